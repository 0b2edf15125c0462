"""Hands reports to the reporters, and again to those that could not take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postkeel.contract import Report
from postkeel.core.errors import PostkeelError
from postkeel.registry import Registry
from postkeel.shell.history import History
from postkeel.shell.loop import Loop

RETRY_SECONDS: Final = 60.0
PATIENCE: Final = 10
"""Times as long as an attempt took that its reporters are left alone after it."""
UNDELIVERED_AT_MOST: Final = 1000
_AGAIN: Final = "deliver again"


@dataclass(slots=True)
class _Waiting:
    """A report, the names of the reporters that have yet to take it, its number in the history."""

    report: Report
    names: list[str]
    number: int | None


class Delivery:
    """Keeps what a reporter could not take; when it is too much, the oldest is let go.

    What is under way is in the history as well, before the first reporter is asked: an
    agent that is stopped or killed hands it on when it is back, perhaps a second time.
    """

    def __init__(
        self,
        loop: Loop,
        registry: Registry,
        history: History,
        complain: Callable[[Exception], object],
    ) -> None:
        self._registry = registry
        self._history = history
        self._loop = loop
        self._complain = complain
        self._waiting: deque[_Waiting] = deque()
        self._not_before = 0.0

    def begin(self) -> None:
        """Take up what an earlier process left."""
        try:
            kept = self._history.undelivered()
        except PostkeelError as error:
            self._complain(error)
            return
        self._waiting.extend(
            _Waiting(report, list(names), number) for number, report, names in kept
        )
        if self._waiting:
            self._loop.wake(self._deliver_again)

    def renew(self, registry: Registry, history: History) -> None:
        """Go on with plugins that were loaded anew."""
        self._registry = registry
        self._history = history

    def deliver(self, report: Report) -> None:
        """Hand it to every reporter now, after the reports that wait for it.

        One that failed slowly is not asked for a while: each time may cost a whole deadline.
        """
        if self._waiting and self._loop.clock() >= self._not_before:
            self._deliver_again()
        away = list(dict.fromkeys(name for one in self._waiting for name in one.names))
        names = [one.name for one in self._registry.plugins]
        waiting = _Waiting(report, names, self._kept(report, names))
        problems: list[str] = []
        failed = self._hand_over(report, [one for one in names if one not in away], problems)
        for problem in problems:
            self._complain(PostkeelError(problem))
        self._settle(waiting, [*failed, *away])
        if waiting.names:
            self._wait(waiting)
        self._come_again()

    def _kept(self, report: Report, names: list[str]) -> int | None:
        """Its number; None when the history cannot take it: then memory alone has it."""
        try:
            return self._history.begin_delivery(report, names)
        except PostkeelError as error:
            self._complain(error)
            return None

    def _settle(self, waiting: _Waiting, left: list[str]) -> None:
        waiting.names = left
        if waiting.number is None:
            return
        try:
            self._history.settle_delivery(waiting.number, left)
        except PostkeelError as error:
            self._complain(error)

    def _wait(self, waiting: _Waiting) -> None:
        if len(self._waiting) >= UNDELIVERED_AT_MOST:
            oldest = self._waiting.popleft()
            names = ", ".join(oldest.names)
            self._settle(oldest, [])
            self._complain(PostkeelError(f"too many reports wait: one is never told to {names}"))
        self._waiting.append(waiting)

    def _hand_over(self, report: Report, names: list[str], problems: list[str]) -> list[str]:
        """The names of those that could not take it."""
        began = self._loop.clock()
        failed = self._registry.deliver(report, problems, to=names)
        if failed:
            now = self._loop.clock()
            self._not_before = now + PATIENCE * (now - began)
        return failed

    def _deliver_again(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        away: set[str] = set()
        for one in waiting:
            # Who has just failed is not asked for each report.
            failed = self._hand_over(
                one.report, [name for name in one.names if name not in away], []
            )
            left = [name for name in one.names if name in failed or name in away]
            away.update(failed)
            if left != one.names:
                self._settle(one, left)
            if left:
                self._waiting.append(one)
        self._come_again()

    def _come_again(self) -> None:
        """However many reports come meanwhile, the next attempt is not put off."""
        if self._waiting and _AGAIN not in self._loop.due_times():
            self._loop.after(_AGAIN, RETRY_SECONDS, self._deliver_again)
