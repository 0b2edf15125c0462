"""Hands reports to the reporters, and again to those that could not take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from postkeel.contract import Report
from postkeel.core.errors import PostkeelError
from postkeel.registry import Registry
from postkeel.shell.loop import Loop

RETRY_SECONDS: Final = 60.0
UNDELIVERED_AT_MOST: Final = 1000
_AGAIN: Final = "deliver again"


class Delivery:
    """Keeps what a reporter could not take; when it is too much, the oldest is let go.

    registry: may be replaced, when plugins were loaded anew.
    """

    def __init__(
        self, loop: Loop, registry: Registry, complain: Callable[[Exception], object]
    ) -> None:
        self.registry = registry
        self._loop = loop
        self._complain = complain
        self._waiting: deque[tuple[Report, list[str]]] = deque(maxlen=UNDELIVERED_AT_MOST)

    def deliver(self, report: Report) -> None:
        """Hand it to every reporter now."""
        problems: list[str] = []
        failed = self.registry.deliver(report, problems)
        for problem in problems:
            self._complain(PostkeelError(problem))
        if failed:
            self._waiting.append((report, failed))
            self._loop.after(_AGAIN, RETRY_SECONDS, self._deliver_again)

    def _deliver_again(self) -> None:
        waiting, self._waiting = self._waiting, deque(maxlen=UNDELIVERED_AT_MOST)
        away: set[str] = set()
        for report, names in waiting:
            # Who has just failed is not asked for each report: that may cost a whole deadline.
            asked = [name for name in names if name not in away]
            failed = self.registry.deliver(report, [], to=asked)
            away.update(failed)
            failed += [name for name in names if name not in asked]
            if failed:
                self._waiting.append((report, failed))
        if self._waiting:
            self._loop.after(_AGAIN, RETRY_SECONDS, self._deliver_again)
