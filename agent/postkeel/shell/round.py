"""One round: gather, observe, decide, and what came of it as a report.

Where something is to be corrected, `correction` does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from postkeel.contract import Absent, Event, EventKind, Facts, Finding, Need, Outcome, Report
from postkeel.core.configuration import Configuration
from postkeel.core.decide import (
    Decision,
    Policy,
    Subject,
    contested,
    decide,
    dry,
    worst,
)
from postkeel.core.errors import PostkeelError
from postkeel.core.model import Hold, Judged, Plan
from postkeel.postfix.instance import Instance
from postkeel.registry import Registry

if TYPE_CHECKING:
    from postkeel.postfix.editing import Texts
    from postkeel.shell.writer import Keep


class Memory(Protocol):
    """What a round knows of earlier ones. Each method may raise PostkeelError."""

    def hold(self, instance: str, now: datetime) -> Hold | None: ...

    def corrections(self, instance: str, since: datetime) -> Mapping[Subject, int]: ...

    def keep(self, instance: str) -> Keep: ...

    def check(self, instance: str) -> Callable[[Texts], None]: ...

    def record(self, report: Report) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at an instance gave."""

    facts: Facts
    findings: tuple[Finding, ...]
    decision: Decision

    def instance(self, directory: str) -> Instance | None:
        found = self.facts.get(Need(kind="postfix", subject=directory))
        return found if isinstance(found, Instance) else None

    @property
    def absent(self) -> tuple[str, ...]:
        """Why facts are missing without which nothing can be judged."""
        return tuple(one.reason for one in self.facts.values() if isinstance(one, Absent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a round came to."""

    judged: tuple[Judged, ...]
    plan: Plan
    proof: tuple[str, ...] = ()
    diff: str = ""


@dataclass(slots=True)
class Round:
    """One round of one instance. `between` is called after each step: the watchdog's ping."""

    event: Event
    registry: Registry
    configuration: Configuration
    memory: Memory | None = None
    between: Callable[[], object] = lambda: None
    problems: list[str] = field(default_factory=list)
    seen: Seen | None = None

    @property
    def directory(self) -> str:
        return self.event.instance

    def look(self, *, live: bool = False) -> Seen:
        """Gather, observe and decide, touching nothing; `live` adds handshakes."""
        interests = self.registry.interests(self.directory, {}, self.problems)
        needs = [need for _, interest in interests for need in interest.needs]
        if live:
            needs.append(Need(kind="handshakes", subject=self.directory))
        facts = self.registry.gather(needs, self.problems)
        findings = self.registry.observe(self.event, self.directory, facts, self.problems)
        self.between()
        self.seen = Seen(facts=facts, findings=findings, decision=self.decide(findings))
        return self.seen

    def decide(self, findings: tuple[Finding, ...]) -> Decision:
        """The decision under today's configuration, hold and history.

        The history is asked only when there is something to correct.
        """
        settings = self.configuration.settings(self.directory)
        policy = Policy(
            mode=settings.mode,
            today=self.event.time.date(),
            waivers=self.configuration.waivers,
            hold=self.memory.hold(self.directory, self.event.time) if self.memory else None,
        )
        decision = decide(findings, policy)
        if not decision.drifts or self.memory is None:
            return decision
        contest = self.configuration.contest
        since = self.event.time - timedelta(seconds=contest.seconds)
        try:
            counts = self.memory.corrections(self.directory, since)
        except PostkeelError as error:
            self.problems.append(str(error))
            counts = {}
        fought = contested(counts, contest.corrections)
        return decide(findings, replace(policy, contested=fought)) if fought else decision

    def run(self, *, act: bool, live: bool = False) -> Report:
        """The whole round; with `act` False, or without a memory, nothing is written."""
        began = time.monotonic()
        seen = self.look(live=live)
        if act and self.memory and seen.decision.plan.changes:
            from postkeel.shell.correction import Correction

            result = Correction(self, self.memory).make(seen)
        else:
            result = Result(judged=dry(seen.decision), plan=seen.decision.plan)
        report = Report(
            instance=self.directory,
            event=self.event,
            outcome=Outcome.FAILED if seen.absent else worst(result.judged),
            judged=result.judged,
            plan=result.plan,
            seconds=time.monotonic() - began,
            cause=cause_of(self.event),
            problems=tuple(dict.fromkeys(self.problems)),
            proof=result.proof,
            diff=result.diff,
        )
        if self.memory:
            try:
                self.memory.record(report)
            except PostkeelError as error:
                report = replace(report, problems=(*report.problems, str(error)))
        return report


def cause_of(event: Event) -> str:
    """Why the round was run, in words for a report."""
    match event.kind:
        case EventKind.STARTED:
            return "found when the agent started"
        case EventKind.PATHS_CHANGED:
            names = sorted({path.rsplit("/", 1)[-1] for path in event.detail})
            return f"{', '.join(names)} changed"
        case EventKind.TIMER:
            return "found by the periodic full check"
        case _:
            return "asked for"
