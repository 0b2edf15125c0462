"""Correcting: write, reload, gather and observe again, prove by handshake, or take it back.

The plan is made once from what was seen and, should the files have moved until
the writer holds Postfix's lock, made again under the lock: nobody's update is
overwritten by a decision that did not know of it.

What is taken back is edits. A certificate's file is its renewer's: that Postfix does
not serve what it holds is told, and tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postkeel.certificates.asking import asks_of
from postkeel.certificates.values import Certificates
from postkeel.contract import Change, Handshake, Need, Outcome, Plan
from postkeel.core.decide import Decision, conclude, dry
from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.core.model import Judged
from postkeel.core.unified_diff import unified
from postkeel.postfix.editing import Texts, edit
from postkeel.postfix.instance import Instance
from postkeel.shell.activation import prepare, without
from postkeel.shell.looking import Looking, Memory, Result, Seen
from postkeel.shell.reload import reload
from postkeel.shell.writer import Written, put_back, write

RELOAD_SECONDS = 20.0
NOT_RUNNING = "Postfix is not running: the files are corrected, nothing was observed"
_MOST_NAMES = 8
"""Of a server with many names so many are told of in the proof."""


class Correction:
    """One correction of one round."""

    def __init__(self, round_: Looking, memory: Memory) -> None:
        self.round = round_
        self.memory = memory
        self.failed: dict[Change, str] = {}

    def make(self, seen: Seen) -> Result:
        """Do what the plan says, make it live, prove it, or take it back."""
        self.failed = prepare(seen.decision.plan, self.round.directory)
        self.round.between()
        writing = Writing(self.round, seen, self.failed)
        try:
            written = self.write(writing)
        except PostkeelError as error:
            return self.refused(writing.seen.decision, str(error))
        self.round.between()
        seen = writing.seen
        if not written.changed and not writing.activates():
            # Somebody else has put it right between the look and the lock, or nothing can be done.
            judged = (self.as_failed(one) for one in dry(seen.decision))
            return Result(judged=tuple(judged), plan=seen.decision.plan)
        problem, proof = self.make_live()
        if problem and written.changed:
            problem = self.take_back(written, problem)
        after = self.round.look() if problem else self.round.seen or seen
        # What differs from this was written since by somebody else, and is an event yet to come.
        self.round.left = written.before if problem else written.after
        judged = (
            self.as_failed(one) for one in conclude(seen.decision.drifts, after.findings, problem)
        )
        known = {one.subject for one in seen.findings}
        left = {one.subject for one in after.findings}
        settled = (one for one in seen.decision.settled if one.finding.subject in left)
        appeared = (one for one in dry(after.decision) if one.finding.subject not in known)
        return Result(
            judged=(*settled, *judged, *appeared),
            plan=seen.decision.plan,
            proof=proof,
            diff=unified(written.before, written.after),
        )

    def write(self, writing: Writing) -> Written:
        """Make the plan's edits. Errors: PostkeelError, and nothing was written."""
        if not writing.plan.edits:
            left = self.round.left or Texts(main_cf="", master_cf="")
            return Written(
                config_directory=self.round.directory, before=left, after=left, changed=()
            )
        return write(
            self.round.directory,
            writing.revise,
            check=self.memory.check(self.round.directory),
            keep=self.memory.keep(self.round.directory),
        )

    def make_live(self) -> tuple[str, tuple[str, ...]]:
        """Reload, look again and prove: what went wrong or "", and what was observed."""
        before = self.round.seen.instance(self.round.directory) if self.round.seen else None
        problem = self.reloaded() if before and before.running else ""
        seen = self.round.look(served=False)
        instance = seen.instance(self.round.directory)
        if before is None or not before.running or (instance and not instance.running):
            return "", (NOT_RUNNING,)
        if problem:
            return problem, ()
        if instance is None:
            return "the corrected configuration cannot be read", ()
        try:
            shown = self.prove(instance, seen)
        except PostkeelError as error:
            return f"no proof by handshake: {error}", ()
        self.round.between()
        return "; ".join(str(one) for one in shown if _is_broken(one)), tuple(_told(shown))

    def prove(self, instance: Instance, seen: Seen) -> tuple[Handshake, ...]:
        """Handshakes until all are as they should be, or time is over; what is served is seen."""
        from postkeel.shell.proof import prove_until

        about = self.round.directory
        certificates = seen.facts.get(Need(kind="certificates", subject=about))
        if not isinstance(certificates, Certificates):
            return prove_until(instance, _all_ok)
        served = self.round.served
        asks = served.due(instance, certificates) if served else asks_of(instance, certificates)
        shown = prove_until(instance, _all_ok, asks)
        if served is not None:
            now = served.note(instance, certificates, shown)
            self.round.judge({**seen.facts, Need(kind="served", subject=about): now})
        return shown

    def reloaded(self) -> str:
        """Why Postfix could not be reloaded, or ""."""
        try:
            reload(self.round.directory, RELOAD_SECONDS)
        except PostkeelError as error:
            return str(error)
        return ""

    def take_back(self, written: Written, problem: str) -> str:
        """Restore the previous bytes and reload; says what was done beside the problem."""
        said = "the previous configuration is back"
        try:
            put_back(written)
        except PostkeelError as error:
            said = f"taking it back: {error}"
        try:
            reload(self.round.directory, RELOAD_SECONDS)
        except PostkeelError as error:
            said += f"; {error}"
        return f"{problem}; {said}"

    def as_failed(self, judged: Judged) -> Judged:
        """The same, unless a part of the remedy could not be done."""
        reasons = [why for change, why in self.failed.items() if change in judged.finding.remedy]
        if not reasons:
            return judged
        return Judged(finding=judged.finding, outcome=Outcome.FAILED, reason="; ".join(reasons))

    def refused(self, decision: Decision, reason: str) -> Result:
        failures = (
            Judged(finding=one, outcome=Outcome.FAILED, reason=reason) for one in decision.drifts
        )
        return Result(judged=(*decision.settled, *failures), plan=decision.plan)


class Writing:
    """The revision of one plan. `seen` is what the plan that was written was made from.

    failed: what was to be done before and could not; its drifts are left out.
    """

    def __init__(self, round_: Looking, seen: Seen, failed: dict[Change, str]) -> None:
        self.round = round_
        self.seen = seen
        self.failed = failed

    @property
    def plan(self) -> Plan:
        return without(self.seen.decision.plan, self.seen.decision.drifts, self.failed)

    def activates(self) -> bool:
        """Whether the plan has more than edits: then it wants a reload in any case."""
        plan = self.plan
        return len(plan.edits) < len(plan.changes)

    def revise(self, texts: Texts) -> Texts:
        """Called under Postfix's lock with the files as they are now."""
        if not texts.main_cf.strip():
            raise PostfixError(
                f"{self.round.directory}/main.cf: empty, so perhaps half-written; not corrected"
            )
        instance = self.seen.instance(self.round.directory)
        seen = None if instance is None else (instance.main_cf, instance.master_cf)
        # dpkg may have begun since: what is held then leaves nothing to write.
        if seen != (texts.main_cf, texts.master_cf) or self.round.hold():
            self.seen = self.round.look()
        return edit(texts, self.plan.edits)


def _all_ok(shown: tuple[Handshake, ...]) -> bool:
    return all(one.ok for one in shown)


def _is_broken(one: Handshake) -> bool:
    """Whether edits are to be taken back for it: TLS does not come about, or too old a one does.

    Which certificate is served does not hang on them.
    """
    if one.below:
        return not one.ok
    return not (one.protocol or one.name or one.algorithm)


def _told(shown: Iterable[Handshake]) -> Iterator[str]:
    """A sentence for each handshake that is as it should be; of many names not each."""
    right = [one for one in shown if one.ok]
    named = [one for one in right if one.name]
    yield from (str(one) for one in right if not one.name)
    yield from (str(one) for one in named[:_MOST_NAMES])
    if len(named) > _MOST_NAMES:
        yield f"{len(named) - _MOST_NAMES} more names serve what their files hold"
