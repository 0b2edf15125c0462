"""One round: look and, where something is to be corrected, correct; then the report."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from postkeel.contract import Event, EventKind, Outcome, Report
from postkeel.core.decide import dry, worst
from postkeel.core.errors import PostkeelError
from postkeel.shell.looking import Looking, Result

END_OF_HOLD = "end of hold"
TRY_AGAIN = "try again"


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
        case EventKind.TIMER if event.detail == (END_OF_HOLD,):
            return "the hold is over"
        case EventKind.TIMER if event.detail == (TRY_AGAIN,):
            return "tried again after a failure"
        case EventKind.TIMER:
            return "found by the periodic full check"
        case _:
            return "asked for"
