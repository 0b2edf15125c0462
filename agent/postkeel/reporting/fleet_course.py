"""How many reports of which kind when: kept by the hour, and more coarsely when hours are many."""

from __future__ import annotations

from typing import Final

from postkeel.reporting.fleet_values import Stretch

HOUR: Final = 3600
_MOST: Final = 5000
_LATE: Final = 31 * 86_400
"""Seconds that a report may have waited, so that its time is believed."""
_EARLY: Final = 3600

CORRECTED, LEFT_OPEN, ALARM = 0, 1, 2


class Course:
    """Sums by stretches of time; `width` is their length in seconds, an hour at first."""

    __slots__ = ("_sums", "width")

    def __init__(self) -> None:
        self._sums: dict[int, list[int]] = {}
        self.width = HOUR

    def add(self, kind: int, sent: float, received: float, times: int) -> None:
        """Count reports of a kind at their own time, if that can be, else at their arrival."""
        believed = -_EARLY <= received - sent <= _LATE
        begin = int(sent if believed else received) // self.width * self.width
        sums = self._sums.get(begin)
        if sums is None:
            sums = self._sums[begin] = [0, 0, 0]
            if len(self._sums) > _MOST:
                sums[kind] += times
                self._widen()
                return
        sums[kind] += times

    def _widen(self) -> None:
        while len(self._sums) > _MOST // 2:
            self.width *= 24 if self.width == HOUR else 7
            wider: dict[int, list[int]] = {}
            for begin, sums in self._sums.items():
                into = wider.setdefault(begin // self.width * self.width, [0, 0, 0])
                into[:] = map(sum, zip(into, sums, strict=True))
            self._sums = wider

    def stretches(self) -> tuple[Stretch, ...]:
        """In order of time; those without a report are left out."""
        return tuple(
            Stretch(begin=begin, corrected=corrected, left_open=left_open, alarms=alarms)
            for begin, (corrected, left_open, alarms) in sorted(self._sums.items())
        )
