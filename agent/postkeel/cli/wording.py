"""How commands put numbers, shares and moments, on a terminal as in a document."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

HOUR: Final = 3600
_DAY: Final = 24 * HOUR
_WEEK: Final = 7 * _DAY
_UNITS: Final = {HOUR: "hour", _DAY: "day", _WEEK: "week"}


def counted(number: int, word: str) -> str:
    """ "1 day", "2,000 days"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """ "12.3%"; what is not all is never shown as all, nor what is not nothing as nothing."""
    if not whole:
        return "-"
    share = 100 * part / whole
    if 0 < part < whole:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f}%"


def minute(moment: datetime | float) -> str:
    """ "2026-11-22 13:09", of a moment in UTC."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return f"{moment:%Y-%m-%d %H:%M}"


def stretch_length(first: int, last: int, shortest: int, most: int) -> int:
    """Seconds of the shortest stretches of which `most` reach from the first to the last moment.

    An hour, a day, a week, or as many weeks as are needed; not below `shortest`.
    """
    return next(one for one in _lengths(shortest) if last // one - first // one < most)


def _lengths(shortest: int) -> Iterator[int]:
    yield from (one for one in (HOUR, _DAY) if one >= shortest)
    length = _WEEK
    while True:
        if length >= shortest:
            yield length
        length *= 2


def unit_of(length: int) -> str:
    """Of a stretch of so many seconds: "hour", "day", "week", "4 weeks"."""
    return _UNITS.get(length) or f"{length // _WEEK} weeks"
