"""One round: look and, where something is to be corrected, correct; then the report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from postkeel.contract import Event, EventKind, Outcome, Report, Upgrade
from postkeel.core.decide import dry, worst
from postkeel.core.errors import PostkeelError
from postkeel.shell.looking import Looking, Result

END_OF_HOLD = "end of hold"
TRY_AGAIN = "try again"
LOOK_AGAIN = "look again"
NO_PACKAGE = "no package of Postfix or OpenSSL has changed"
_TIMERS: dict[tuple[str, ...], str] = {
    (END_OF_HOLD,): "the hold is over",
    (TRY_AGAIN,): "tried again after a failure",
    (LOOK_AGAIN,): "looked at again: what was under way should be over",
}
_ASKS = (EventKind.STARTED, EventKind.PACKAGES)


@dataclass(slots=True)
class Round(Looking):
    """One round of one instance."""

    def run(self, *, act: bool, live: bool = False) -> Report:
        """The whole round; with `act` False, or without a memory, nothing is written."""
        began = time.monotonic()
        seen = self.look(live=live)
        if act and self.memory and seen.decision.plan.changes:
            from postkeel.shell.correction import Correction

            result = Correction(self, self.memory).make(seen)
        else:
            result = Result(judged=dry(seen.decision), plan=seen.decision.plan)
        outcome = Outcome.FAILED if seen.absent else worst(result.judged)
        upgrade = self._upgrade(outcome)
        report = Report(
            instance=self.directory,
            event=self.event,
            outcome=outcome,
            judged=result.judged,
            plan=result.plan,
            seconds=time.monotonic() - began,
            cause=cause_of(self.event, upgrade),
            problems=tuple(dict.fromkeys(self.problems)),
            proof=result.proof,
            diff=result.diff,
            upgrade=upgrade,
        )
        if self.memory:
            try:
                self.memory.record(report)
            except PostkeelError as error:
                report = replace(report, problems=(*report.problems, str(error)))
        return report

    def _upgrade(self, outcome: Outcome) -> Upgrade | None:
        """What changed under the configuration, where the round has a cause to name."""
        quiet = outcome in (Outcome.CLEAN, Outcome.WAIVED)
        if not self.memory or (quiet and self.event.kind not in _ASKS):
            return None
        instance = self.seen.instance(self.directory) if self.seen else None
        try:
            return self.memory.upgrade(self.directory, instance)
        except PostkeelError as error:
            self.problems.append(str(error))
            return None


def cause_of(event: Event, upgrade: Upgrade | None = None) -> str:
    """Why there was something to find, in words for a report: an upgrade, else the event."""
    if upgrade is None:
        return _happened(event)
    from postkeel.core.upgrade import told

    if event.kind is EventKind.PATHS_CHANGED:
        return f"{_happened(event)}; {told(upgrade) or NO_PACKAGE}"
    if event.kind is EventKind.STARTED and not upgrade.found:
        return f"{_happened(event)}; {NO_PACKAGE}"
    return told(upgrade) or _happened(event)


def _happened(event: Event) -> str:
    match event.kind:
        case EventKind.STARTED:
            return "found when the agent started"
        case EventKind.PACKAGES:
            return "found after packages were installed"
        case EventKind.PATHS_CHANGED:
            names = sorted({path.rsplit("/", 1)[-1] for path in event.detail})
            return f"{', '.join(names)} changed"
        case EventKind.TIMER:
            return _TIMERS.get(event.detail, "found by the periodic full check")
        case _:
            return "asked for"
