"""Which day's moment has come, by the clock of the host and its zone.

`instant` makes an aware time of a local one (a time that the change to summer leaves out
is the one an hour later; of one that comes twice it is the first). The clock may be set,
forward or back, between any two questions.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

Instant = Callable[[datetime], datetime]

_DAY = timedelta(days=1)


def last_day(now: datetime, at: time, instant: Instant) -> date:
    """The latest day whose moment has come. now: aware, in the host's zone."""
    today = now.date()
    return today if now.astimezone(UTC) >= _moment(today, at, instant) else today - _DAY


def due_day(told: date, last: date) -> date | None:
    """The day to tell of now: the latest, whatever was missed; None when it was told.

    A clock that was set back across the moment brings no second time. One
    that was set back by more than a day was wrong before, see `settled_day`.
    """
    return last if told < last else None


def settled_day(told: date, last: date) -> date:
    """The day that counts as told: a date from a future that never came is forgotten."""
    return last if told - last > _DAY else told


def seconds_until(now: datetime, at: time, instant: Instant) -> float:
    """Until the next moment, above 0."""
    following = last_day(now, at, instant) + _DAY
    return (_moment(following, at, instant) - now.astimezone(UTC)).total_seconds()


def _moment(day: date, at: time, instant: Instant) -> datetime:
    """In UTC, for two times of one zone are compared as if its clocks were never changed."""
    return instant(datetime.combine(day, at)).astimezone(UTC)
