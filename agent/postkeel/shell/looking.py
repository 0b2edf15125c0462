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

from postkeel.contract import (
    Absent,
    Event,
    Facts,
    Finding,
    LookAgain,
    Need,
    Profile,
    Report,
    Severity,
    Side,
)
from postkeel.core.changes import Plan
from postkeel.core.configuration import Configuration
from postkeel.core.decide import Decision, Policy, Subject, contested, decide
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.model import Hold, Judged, Upgrade
from postkeel.postfix.editing import Texts
from postkeel.postfix.instance import Instance
from postkeel.registry import Registry

if TYPE_CHECKING:
    from postkeel.shell.served import KeptServed
    from postkeel.shell.writer import Keep

_SERVED = "served"
_LIVE = (_SERVED, "tlsa")
"""Facts that cost handshakes or queries: for who decides what to do, or asked to look live."""


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
    """What one look at an instance gave. `waits`: what is under way, and wants another look."""

    facts: Facts
    findings: tuple[Finding, ...]
    decision: Decision
    waits: tuple[LookAgain, ...] = ()

    def instance(self, directory: str) -> Instance | None:
        found = self.facts.get(Need(kind="postfix", subject=directory))
        return found if isinstance(found, Instance) else None

    @property
    def is_unclear(self) -> bool:
        """Whether what is served may change the plan: there is none, or a file that is wrong."""
        wrong = any(one.file and one.severity is Severity.ERROR for one in self.findings)
        return wrong or not self.decision.plan.changes

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
    watchdog's ping. `deciding`: what to do is decided, so what Postfix serves must be known.

    `seen` is the last look; `left` is what main.cf and master.cf held then:
    who finds anything else there has found somebody else's edit. `served` is what the
    agent remembers of the certificates that are served.
    """

    event: Event
    registry: Registry
    configuration: Configuration
    memory: Memory | None = None
    deciding: bool = False
    served: KeptServed | None = None
    between: Callable[[], object] = lambda: None
    problems: list[str] = field(default_factory=list)
    seen: Seen | None = None
    left: Texts | None = None

    @property
    def directory(self) -> str:
        return self.event.instance

    def look(self, *, live: bool = False, served: bool = True) -> Seen:
        """Gather, observe and decide, touching nothing; `live` adds handshakes.

        What is served is asked last, and not at all when there is a plan without it: its
        reload is proved by the same handshakes. A finding about a certificate's file may
        forbid that reload, so then it is asked. served: False when that is what comes next.
        """
        plugins = self.registry.of(Side.ROOT)
        interests = self.registry.interests(self.directory, {}, self.problems, plugins)
        wanted = [need for _, interest in interests for need in interest.needs]
        left_out = (_SERVED,) if live or self.deciding else _LIVE
        needs = [need for need in wanted if need.kind not in left_out]
        if live:
            needs.append(Need(kind="handshakes", subject=self.directory))
        facts = self.registry.gather(needs, self.problems)
        profile = facts.get(Need(kind="profile", subject=self.directory))
        if isinstance(profile, Profile) and profile.outdated:
            self.problems.append(f"profile {profile.name} is outdated: {profile.summary}")
        self.between()
        seen = self.judge(facts)
        if live or (self.deciding and served and seen.is_unclear):
            last = [need for need in wanted if need.kind == _SERVED]
            seen = self.judge({**facts, **self.registry.gather(last, self.problems)})
        return seen

    def judge(self, facts: Facts) -> Seen:
        """Observe these facts, and decide."""
        plugins = self.registry.of(Side.ROOT)
        observed = self.registry.observe(self.event, self.directory, facts, self.problems, plugins)
        findings = tuple(one for one in observed if isinstance(one, Finding))
        waits = tuple(one for one in observed if isinstance(one, LookAgain))
        self.between()
        instance = facts.get(Need(kind="postfix", subject=self.directory))
        running = isinstance(instance, Instance) and instance.running
        self.seen = Seen(
            facts=facts,
            findings=findings,
            decision=self.decide(
                findings, wait="; ".join(one.reason for one in waits), running=running
            ),
            waits=waits,
        )
        instance = self.seen.instance(self.directory)
        self.left = (
            Texts(main_cf=instance.main_cf, master_cf=instance.master_cf) if instance else None
        )
        return self.seen

    def decide(self, findings: tuple[Finding, ...], *, wait: str, running: bool) -> Decision:
        """The decision under today's configuration, hold and history; see `Policy`.

        The history is asked only when there is something to correct.
        """
        settings = self.configuration.settings(self.directory)
        policy = Policy(
            mode=settings.mode,
            today=self.event.time.date(),
            waivers=self.configuration.waivers,
            hold=self.hold(),
            wait=wait,
            running=running,
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
