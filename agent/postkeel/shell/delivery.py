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
PATIENCE: Final = 10
"""Times as long as an attempt took that its reporters are left alone after it."""
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
        self._not_before = 0.0

    def deliver(self, report: Report) -> None:
        """Hand it to every reporter now, after the reports that wait for it.

        One that failed slowly is not asked for a while: each time may cost a whole deadline.
        """
        if self._waiting and self._loop.clock() >= self._not_before:
            self._deliver_again()
        away = list(dict.fromkeys(name for _, names in self._waiting for name in names))
        asked = [one.name for one in self.registry.plugins if one.name not in away]
        problems: list[str] = []
        failed = self._hand_over(report, asked, problems)
        for problem in problems:
            self._complain(PostkeelError(problem))
        if failed or away:
            self._waiting.append((report, [*failed, *away]))
        self._come_again()

    def _hand_over(self, report: Report, names: list[str], problems: list[str]) -> list[str]:
        """The names of those that could not take it."""
        began = self._loop.clock()
        failed = self.registry.deliver(report, problems, to=names)
        if failed:
            now = self._loop.clock()
            self._not_before = now + PATIENCE * (now - began)
        return failed

    def _deliver_again(self) -> None:
        waiting, self._waiting = self._waiting, deque(maxlen=UNDELIVERED_AT_MOST)
        away: set[str] = set()
        for report, names in waiting:
            # Who has just failed is not asked for each report.
            failed = self._hand_over(report, [name for name in names if name not in away], [])
            left = [name for name in names if name in failed or name in away]
            away.update(failed)
            if left:
                self._waiting.append((report, left))
        self._come_again()

    def _come_again(self) -> None:
        """However many reports come meanwhile, the next attempt is not put off."""
        if self._waiting and _AGAIN not in self._loop.due_times():
            self._loop.after(_AGAIN, RETRY_SECONDS, self._deliver_again)
