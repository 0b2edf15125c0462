"""One round: gather, observe, decide; then, where something is to be corrected,
write, reload, gather and observe again, prove by handshake, or take it back.

The plan is made once from what was seen and, should the files have moved until
the writer holds Postfix's lock, made again under the lock: nobody's update is
overwritten by a decision that did not know of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from postkeel.contract import Absent, Event, EventKind, Facts, Finding, Need, Outcome, Report
from postkeel.core.configuration import Configuration
from postkeel.core.decide import (
    Decision,
    Policy,
    Subject,
    conclude,
    contested,
    decide,
    dry,
    worst,
)
from postkeel.core.errors import PostkeelError
from postkeel.core.model import Hold, Judged, Plan
from postkeel.postfix.editing import Texts, edit
from postkeel.postfix.instance import Instance
from postkeel.registry import Registry
from postkeel.shell.reload import reload
from postkeel.shell.writer import Keep, Written, put_back, write

RELOAD_SECONDS = 20.0


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
            result = self.correct(seen, self.memory)
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

    def correct(self, seen: Seen, memory: Memory) -> Result:
        """Write what the plan says, make it live, prove it, or take it back."""
        writing = Writing(self, seen)
        try:
            written = write(
                self.directory,
                writing.revise,
                check=memory.check(self.directory),
                keep=memory.keep(self.directory),
            )
        except PostkeelError as error:
            return self.failed(writing.seen.decision, str(error))
        self.between()
        seen = writing.seen
        if not written.changed:
            # Somebody else has put it right between the look and the lock.
            return Result(judged=dry(seen.decision), plan=seen.decision.plan)
        problem, proof = self.make_live()
        if problem:
            problem = self.take_back(written, problem)
        after = self.look() if problem else self.seen or seen
        judged = conclude(seen.decision.drifts, after.findings, problem)
        known = {one.subject for one in seen.findings}
        appeared = (one for one in dry(after.decision) if one.finding.subject not in known)
        return Result(
            judged=(*seen.decision.settled, *judged, *appeared),
            plan=seen.decision.plan,
            proof=proof,
            diff=unified(written.before, written.after),
        )

    def make_live(self) -> tuple[str, tuple[str, ...]]:
        """Reload, look again and prove: what went wrong or "", and what was observed."""
        before = self.seen.instance(self.directory) if self.seen else None
        if before is None or not before.running:
            self.look()
            return "", ("Postfix is not running: the files are corrected, nothing was observed",)
        try:
            reload(self.directory, RELOAD_SECONDS)
        except PostkeelError as error:
            return str(error), ()
        instance = self.look().instance(self.directory)
        if instance is None:
            return "the corrected configuration cannot be read", ()
        from postkeel.shell.handshake import prove_until

        shown = prove_until(instance, lambda found: all(one.ok for one in found))
        self.between()
        problem = "; ".join(str(one) for one in shown if not one.ok)
        return problem, tuple(str(one) for one in shown if one.ok)

    def take_back(self, written: Written, problem: str) -> str:
        """Restore the previous bytes and reload; says what was done beside the problem."""
        try:
            put_back(written)
            reload(self.directory, RELOAD_SECONDS)
        except PostkeelError as error:
            return f"{problem}; taking it back failed too: {error}"
        return f"{problem}; the previous configuration is back"

    def failed(self, decision: Decision, reason: str) -> Result:
        failures = (
            Judged(finding=one, outcome=Outcome.FAILED, reason=reason) for one in decision.drifts
        )
        return Result(judged=(*decision.settled, *failures), plan=decision.plan)


class Writing:
    """The revision of one plan. `seen` is what the plan that was written was made from."""

    def __init__(self, round_: Round, seen: Seen) -> None:
        self.round = round_
        self.seen = seen

    def revise(self, texts: Texts) -> Texts:
        """Called under Postfix's lock with the files as they are now."""
        instance = self.seen.instance(self.round.directory)
        if instance is None or (instance.main_cf, instance.master_cf) != (
            texts.main_cf,
            texts.master_cf,
        ):
            self.seen = self.round.look()
        return edit(texts, (one.change for one in self.seen.decision.plan.changes))


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


def unified(before: Texts, after: Texts, *, context: int = 3) -> str:
    """The change to both files as a unified diff."""
    import difflib

    parts = []
    for name, old, new in (
        ("main.cf", before.main_cf, after.main_cf),
        ("master.cf", before.master_cf, after.master_cf),
    ):
        lines = difflib.unified_diff(
            old.splitlines(keepends=True),
            new.splitlines(keepends=True),
            f"a/{name}",
            f"b/{name}",
            n=context,
        )
        parts += [
            one if one.endswith("\n") else one + "\n\\ No newline at end of file\n" for one in lines
        ]
    return "".join(parts)
