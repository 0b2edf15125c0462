"""Correcting: write, reload, gather and observe again, prove by handshake, or take it back.

The plan is made once from what was seen and, should the files have moved until
the writer holds Postfix's lock, made again under the lock: nobody's update is
overwritten by a decision that did not know of it.
"""

from __future__ import annotations

from postkeel.contract import Outcome
from postkeel.core.decide import Decision, conclude, dry
from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.core.model import Judged
from postkeel.core.unified_diff import unified
from postkeel.postfix.editing import Texts, edit
from postkeel.shell.looking import Looking, Memory, Result, Seen
from postkeel.shell.reload import reload
from postkeel.shell.writer import Written, put_back, write

RELOAD_SECONDS = 20.0
NOT_RUNNING = "Postfix is not running: the files are corrected, nothing was observed"


class Correction:
    """One correction of one round."""

    def __init__(self, round_: Looking, memory: Memory) -> None:
        self.round = round_
        self.memory = memory

    def make(self, seen: Seen) -> Result:
        """Write what the plan says, make it live, prove it, or take it back."""
        writing = Writing(self.round, seen)
        try:
            written = write(
                self.round.directory,
                writing.revise,
                check=self.memory.check(self.round.directory),
                keep=self.memory.keep(self.round.directory),
            )
        except PostkeelError as error:
            return self.failed(writing.seen.decision, str(error))
        self.round.between()
        seen = writing.seen
        if not written.changed:
            # Somebody else has put it right between the look and the lock.
            return Result(judged=dry(seen.decision), plan=seen.decision.plan)
        problem, proof = self.make_live()
        if problem:
            problem = self.take_back(written, problem)
        after = self.round.look() if problem else self.round.seen or seen
        # What differs from this was written since by somebody else, and is an event yet to come.
        self.round.left = written.before if problem else written.after
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
        before = self.round.seen.instance(self.round.directory) if self.round.seen else None
        problem = self.reloaded() if before and before.running else ""
        instance = self.round.look().instance(self.round.directory)
        if before is None or not before.running or (instance and not instance.running):
            return "", (NOT_RUNNING,)
        if problem:
            return problem, ()
        if instance is None:
            return "the corrected configuration cannot be read", ()
        from postkeel.shell.proof import prove_until

        try:
            shown = prove_until(instance, lambda found: all(one.ok for one in found))
        except PostkeelError as error:
            return f"no proof by handshake: {error}", ()
        self.round.between()
        problem = "; ".join(str(one) for one in shown if not one.ok)
        return problem, tuple(str(one) for one in shown if one.ok)

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

    def failed(self, decision: Decision, reason: str) -> Result:
        failures = (
            Judged(finding=one, outcome=Outcome.FAILED, reason=reason) for one in decision.drifts
        )
        return Result(judged=(*decision.settled, *failures), plan=decision.plan)


class Writing:
    """The revision of one plan. `seen` is what the plan that was written was made from."""

    def __init__(self, round_: Looking, seen: Seen) -> None:
        self.round = round_
        self.seen = seen

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
        return edit(texts, (one.change for one in self.seen.decision.plan.changes))
