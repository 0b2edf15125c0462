"""Hands reports to the reporters, and again to those that could not take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
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
SAY_SECONDS: Final = 1.0
"""Reports that are dropped within this time are one complaint."""
_AGAIN: Final = "deliver again"
_SAY_DROPPED: Final = "deliver dropped"

Others = Mapping[str, Callable[[Report], object]]
"""Who is handed each report beside the plugins, by a name that no plugin has."""


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

    others: are asked before the plugins; one that cannot take it raises PostkeelError.
    """

    def __init__(
        self,
        loop: Loop,
        registry: Registry,
        history: History,
        complain: Callable[[Exception], object],
        others: Others | None = None,
    ) -> None:
        self._registry = registry
        self._others = others or {}
        self._history = history
        self._loop = loop
        self._complain = complain
        self._waiting: deque[_Waiting] = deque()
        self._dropped: dict[str, int] = {}
        self._not_before = 0.0

    def begin(self) -> None:
        """Take up what an earlier process left."""
        self._begin_reporters()
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

    def renew(self, registry: Registry, history: History, others: Others | None = None) -> None:
        """Go on with plugins that were loaded anew."""
        self._registry = registry
        self._history = history
        self._others = others or {}
        self._begin_reporters()

    def _begin_reporters(self) -> None:
        problems: list[str] = []
        self._registry.begin(problems)
        for problem in problems:
            self._complain(PostkeelError(problem))

    def deliver(self, report: Report) -> None:
        """Hand it to every reporter now, after the reports that wait for it.

        One that failed slowly is not asked for a while: each time may cost a whole deadline.
        """
        names = [*self._others, *(one.name for one in self._registry.plugins)]
        away = self._away()
        waiting = _Waiting(report, names, self._kept(report, names))
        failed = self._hand_over(report, [one for one in names if one not in away])
        self._settle(waiting, [*failed, *away])
        if waiting.names:
            self._wait(waiting)
        self._come_again()

    def pass_on(self, report: Report, names: Sequence[str]) -> bool:
        """Hand a report that is kept elsewhere to these reporters, as `deliver` does.

        False when some could not take it and the history cannot keep it for them: then
        nothing here knows of it any more, and it must be offered again.
        """
        away = [one for one in self._away() if one in names]
        failed = self._hand_over(report, [one for one in names if one not in away])
        waiting = _Waiting(report, [*failed, *away], None)
        if not waiting.names:
            return True
        waiting.number = self._kept(report, waiting.names)
        if waiting.number is not None:
            self._wait(waiting)
        self._come_again()
        return waiting.number is not None

    def _away(self) -> list[str]:
        """For whom reports wait, after those who may be asked again have been."""
        if self._waiting and self._loop.clock() >= self._not_before:
            self._deliver_again()
        return list(dict.fromkeys(name for one in self._waiting for name in one.names))

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
            for name in oldest.names:
                self._dropped[name] = self._dropped.get(name, 0) + 1
            self._settle(oldest, [])
            if _SAY_DROPPED not in self._loop.due_times():
                self._loop.after(_SAY_DROPPED, SAY_SECONDS, self._say_dropped)
        self._waiting.append(waiting)

    def _say_dropped(self) -> None:
        """In one sentence for all of a moment: a backlog may be ten thousand reports."""
        dropped, self._dropped = self._dropped, {}
        for name, count in dropped.items():
            error = PostkeelError(f"too many reports wait: {count} are never told to {name}")
            self._complain(error)

    def _hand_over(self, report: Report, names: list[str], *, quietly: bool = False) -> list[str]:
        """The names of those that could not take it; what they say is complained of."""
        began = self._loop.clock()
        problems: list[str] = []
        failed = [
            name
            for name, take in self._others.items()
            if name in names and not _took(take, report, problems)
        ]
        failed += self._registry.deliver(report, problems, to=names)
        if failed:
            now = self._loop.clock()
            self._not_before = now + PATIENCE * (now - began)
        for problem in problems if not quietly else ():
            self._complain(PostkeelError(problem))
        return failed

    def _deliver_again(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        away: set[str] = set()
        for one in waiting:
            # Who has just failed is not asked for each report.
            asked = [name for name in one.names if name not in away]
            failed = self._hand_over(one.report, asked, quietly=True) if asked else []
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


def _took(take: Callable[[Report], object], report: Report, problems: list[str]) -> bool:
    try:
        take(report)
    except PostkeelError as error:
        problems.append(str(error))
        return False
    return True
