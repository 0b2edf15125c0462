"""Looking at an instance: gather, observe, decide. Nothing here writes.

Asked are the plugins of side "root"; those of side "monitor" have rounds of their own,
see `monitoring`.

`round` turns a look into a report, `correction` into a corrected instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from postkeel.contract import Absent, Event, Facts, Finding, Need, Profile, Report, Side
from postkeel.core.configuration import Configuration
from postkeel.core.decide import Decision, Policy, Subject, contested, decide
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.model import Hold, Judged, Plan, Upgrade
from postkeel.postfix.editing import Texts
from postkeel.postfix.instance import Instance
from postkeel.registry import Registry

if TYPE_CHECKING:
    from postkeel.shell.writer import Keep


class Memory(Protocol):
    """What a round knows of earlier ones. Each method may raise PostkeelError."""

    def hold(self, instance: str, now: datetime) -> Hold | None: ...

    def corrections(self, instance: str, since: datetime) -> Mapping[Subject, int]: ...

    def keep(self, instance: str) -> Keep: ...

    def check(self, instance: str) -> Callable[[Texts], None]: ...

    def upgrade(self, directory: str, instance: Instance | None) -> Upgrade | None: ...

    def record(self, report: Report) -> None: ...


@frozen
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


@frozen
class Result:
    """What a round came to."""

    judged: tuple[Judged, ...]
    plan: Plan
    proof: tuple[str, ...] = ()
    diff: str = ""


@dataclass(slots=True)
class Looking:
    """Looks at one instance for one event. `between` is called after each step: the
    watchdog's ping.

    `seen` is the last look; `left` is what main.cf and master.cf held then:
    who finds anything else there has found somebody else's edit.
    """

    event: Event
    registry: Registry
    configuration: Configuration
    memory: Memory | None = None
    between: Callable[[], object] = lambda: None
    problems: list[str] = field(default_factory=list)
    seen: Seen | None = None
    left: Texts | None = None

    @property
    def directory(self) -> str:
        return self.event.instance

    def look(self, *, live: bool = False) -> Seen:
        """Gather, observe and decide, touching nothing; `live` adds handshakes."""
        plugins = self.registry.of(Side.ROOT)
        interests = self.registry.interests(self.directory, {}, self.problems, plugins)
        needs = [need for _, interest in interests for need in interest.needs]
        if live:
            needs.append(Need(kind="handshakes", subject=self.directory))
        facts = self.registry.gather(needs, self.problems)
        profile = facts.get(Need(kind="profile", subject=self.directory))
        if isinstance(profile, Profile) and profile.outdated:
            self.problems.append(f"profile {profile.name} is outdated: {profile.summary}")
        observed = self.registry.observe(self.event, self.directory, facts, self.problems, plugins)
        findings = tuple(one for one in observed if isinstance(one, Finding))
        self.between()
        self.seen = Seen(facts=facts, findings=findings, decision=self.decide(findings))
        instance = self.seen.instance(self.directory)
        self.left = (
            Texts(main_cf=instance.main_cf, master_cf=instance.master_cf) if instance else None
        )
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
            hold=self.hold(),
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

    def hold(self) -> Hold | None:
        """Who asked not to be overruled, at this moment."""
        return self.memory.hold(self.directory, self.event.time) if self.memory else None
