"""How many handshakes fail usually, for each cause, and whether now it is more.

The usual rate is the mean of the hours that are over: of all at first, later weighted so
that a week ago counts a third. What failed within the window is held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from postkeel.contract import frozen
from postkeel.maillog.values import OTHERS

MOST_CAUSES: Final = 100
ALWAYS_TOLERATED: Final = 10
TIMES_USUAL: Final = 5
LEARNING_HOURS: Final = 24
"""So long must lines have been read before anything is known to be unusual."""

_HOUR: Final = 3600
_SLICES: Final = 12
"""Parts of the window that counts leave it by."""
_WEEK: Final = 168
_FORGOTTEN_AFTER: Final = 30 * 24
"""Hours without one failure of a cause."""


@frozen
class Surge:
    """A cause of which there is more than usual within the window. usual: in one hour."""

    direction: str
    reason: str
    count: int
    usual: float


class Rates:
    """Counts by cause: "inbound unsupported protocol". begun: the first hour that was read.

    witness: who vouches for the lines, in words.
    """

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self.witness: str = kept.get("witness", "")
        self._begun: int | None = kept.get("begun")
        causes: Mapping[str, Mapping[str, Any]] = kept.get("causes", {})
        self._causes = {name: _Cause(one) for name, one in causes.items()}

    def written(self) -> dict[str, object]:
        causes = {name: one.written() for name, one in self._causes.items()}
        return {"begun": self._begun, "witness": self.witness, "causes": causes}

    def begin(self, moment: float) -> None:
        """Lines from then on were read: hours without a failure count as such."""
        if self._begun is None:
            self._begun = int(moment // _HOUR)

    def count(self, direction: str, reason: str, moment: float, number: int, window: float) -> None:
        """So many failed at that moment."""
        self.begin(moment)
        name = f"{direction} {reason}"
        if name not in self._causes and len(self._causes) >= MOST_CAUSES:
            name = f"{direction} {OTHERS}"
        hour = int(moment // _HOUR)
        cause = self._causes.setdefault(name, _Cause({"hour": hour}))
        cause.count(self._begun or 0, hour, number)
        cause.count_recent(moment, number, window)

    def surges(self, now: float, window: float) -> Iterator[Surge]:
        """What is above the usual, in an order of names."""
        if self._begun is None or now // _HOUR < self._begun + LEARNING_HOURS:
            return
        for name, cause in sorted(self._causes.items()):
            count = cause.within(now, window)
            if count <= ALWAYS_TOLERATED:
                continue
            usual = cause.usual_at(self._begun, int(now // _HOUR))
            if count > TIMES_USUAL * usual * window / _HOUR:
                direction, _, reason = name.partition(" ")
                yield Surge(direction=direction, reason=reason, count=count, usual=usual)

    def forget(self, now: float, window: float) -> None:
        """Leave out what does not matter any more."""
        for name, cause in list(self._causes.items()):
            cause.keep_since(now - window)
            if cause.hour < int(now // _HOUR) - _FORGOTTEN_AFTER:
                del self._causes[name]


class _Cause:
    """hour: the last with a failure; usual: the mean of those before; counted: in it.

    recent: counts by the slice of time that begins at this second of the epoch.
    """

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self.hour: int = kept["hour"]
        self.usual: float = kept.get("usual", 0.0)
        self.counted: int = kept.get("counted", 0)
        self.recent: dict[str, int] = dict(kept.get("recent", {}))

    def written(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("hour", "usual", "counted", "recent")}

    def count(self, begun: int, hour: int, number: int) -> None:
        if hour > self.hour:
            self.usual = self.usual_at(begun, hour)
            self.hour, self.counted = hour, 0
        # A line that comes late counts for the hour that it came in.
        self.counted += number

    def usual_at(self, begun: int, hour: int) -> float:
        """The mean of the hours before this one."""
        usual = self.usual
        for over in range(self.hour, min(hour, self.hour + _FORGOTTEN_AFTER)):
            counted = self.counted if over == self.hour else 0
            usual += (counted - usual) / max(1, min(over - begun + 1, _WEEK))
        return usual

    def count_recent(self, moment: float, number: int, window: float) -> None:
        width = window / _SLICES
        part = str(int(moment // width * width))
        self.recent[part] = self.recent.get(part, 0) + number
        self.keep_since(moment - window)

    def within(self, now: float, window: float) -> int:
        return sum(number for part, number in self.recent.items() if int(part) > now - window)

    def keep_since(self, moment: float) -> None:
        self.recent = {part: number for part, number in self.recent.items() if int(part) > moment}
