"""Repeats and floods become one message that says how many they were.

A report that was sent opens a window. The same one again within it is counted; when the
window ends, a summary says how often, and opens a window in turn. What comes in a minute
beyond the rate is counted by event, instance and outcome until the minute is over; errors
have a minute's allowance of their own, so that no flood of lesser reports folds them.

The counts are rows, written in the transaction that takes the report. The allowance is in
memory: a process that is started anew begins a new minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from postkeel.contract import frozen
from postkeel.database import DamagedError
from postkeel.reporting.fields import lasting
from postkeel.reporting.message import Fields, Message
from postkeel_plugins.central.spool_tables import NAME, checked, moment

if TYPE_CHECKING:
    import sqlite3

UNFOLDED: Final = frozenset(("heartbeat", "digest"))
"""Events that are told each time: their silence means something, and no two are the same."""

MOST_WINDOWS: Final = 2000
"""Beyond it the oldest end early, so that a flood of different reports fills no disk."""

_ERROR: Final = 3  # RFC 5424's "error" and what is worse
_MINUTE: Final = 60.0
_AT_ONCE: Final = 200  # windows that end in one transaction
_TOLD_OF_MANY: Final = ("v", "event", "instance", "outcome")


@frozen
class Bounds:
    """What the spool keeps and sends at most.

    reports: that wait. fold_seconds: how long a repeat is counted, 0 for never. per_minute:
    different reports that are sent singly in a minute, 0 for any number.
    """

    reports: int
    fold_seconds: int
    per_minute: int


@frozen
class Outgoing:
    """A message to be sent, and how many reports it stands for."""

    message: Message
    stands_for: int = 1
    marks: Fields = ()


@frozen
class _Window:
    key: int
    began: float
    seconds: float
    renewed: int
    repeated: int
    first: str
    last: str
    severity: int
    message: str

    def is_open(self, now: float) -> bool:
        """A clock that was set closes it as well, unless by less than the window is long."""
        return abs(now - self.began) < self.seconds

    def follows(self, now: float) -> bool:
        """Whether the next one may begin where it ended."""
        return bool(self.renewed) and 0 <= now - self.began < 2 * self.seconds


class Folding:
    """Decides what is sent of what comes; every call is within the caller's transaction."""

    def __init__(self, bounds: Bounds, secret: bytes) -> None:
        self._bounds = bounds
        self._secret = secret
        self._minute = 0.0
        self._sent = {True: 0, False: 0}  # in this minute: errors, others
        self._opened = 0

    def take(
        self, connection: sqlite3.Connection, message: Message, now: float
    ) -> Iterator[Outgoing]:
        """What is to be sent now, in this order, with this report or because of it."""
        if message.event in UNFOLDED:
            yield Outgoing(message=message)
            return
        folds = self._bounds.fold_seconds > 0
        key = self._same(message) if folds else 0
        if folds:
            window = _select(connection, key)
            yield from self._ended(connection, window, now)
            if window is not None and _count(connection, key, message):
                return
        if self._is_too_much(message, now):
            yield from self._count_with_many(connection, message, now)
            return
        if folds:
            self._open(connection, key, now, self._bounds.fold_seconds, renewed=True)
            yield from self._make_room(connection)
        yield Outgoing(message=message)

    def end_due(self, connection: sqlite3.Connection, now: float) -> Iterator[Outgoing]:
        """What some of the windows owe that have ended, and there may be more of them."""
        rows = connection.execute(
            "SELECT * FROM windows WHERE abs(? - began) >= seconds ORDER BY began LIMIT ?",
            (now, _AT_ONCE),
        )
        for row in rows.fetchall():
            yield from self._ended(connection, _window(row), now)

    def _ended(
        self, connection: sqlite3.Connection, window: _Window | None, now: float
    ) -> Iterator[Outgoing]:
        if window is not None and not window.is_open(now):
            yield from self._end(connection, window, now)

    def _end(
        self, connection: sqlite3.Connection, window: _Window, now: float
    ) -> Iterator[Outgoing]:
        if window.repeated and window.follows(now):
            self._open(connection, window.key, now, window.seconds, renewed=True)
        else:
            connection.execute("DELETE FROM windows WHERE key = ?", (window.key,))
        if window.repeated:
            yield _summary(window)

    def _is_too_much(self, message: Message, now: float) -> bool:
        if not self._bounds.per_minute:
            return False
        if not 0 <= now - self._minute < _MINUTE:
            self._minute = now
            self._sent = {True: 0, False: 0}
        kind = message.severity <= _ERROR
        self._sent[kind] += 1
        return self._sent[kind] > self._bounds.per_minute

    def _count_with_many(
        self, connection: sqlite3.Connection, message: Message, now: float
    ) -> Iterator[Outgoing]:
        known = dict(message.fields)
        told = tuple((name, known[name]) for name in _TOLD_OF_MANY if name in known)
        key = self._digest("many", *(text for _, text in told))
        yield from self._ended(connection, _select(connection, key), now)
        text = f"more than {self._bounds.per_minute} reports in a minute: not told singly"
        many = Message(
            time=message.time,
            severity=message.severity,
            event=message.event,
            fields=told,
            text=text,
        )
        if not _count(connection, key, many):
            left = _MINUTE - (now - self._minute)
            self._open(connection, key, now, left, renewed=False)
            _count(connection, key, many)
            yield from self._make_room(connection)

    def _open(
        self, connection: sqlite3.Connection, key: int, now: float, seconds: float, *, renewed: bool
    ) -> None:
        connection.execute(
            "REPLACE INTO windows VALUES (?, ?, ?, ?, 0, '', '', 7, '')",
            (key, now, seconds, renewed),
        )
        self._opened += 1

    def _make_room(self, connection: sqlite3.Connection) -> Iterator[Outgoing]:
        """Seldom, for it counts the rows."""
        if self._opened < _AT_ONCE:
            return
        self._opened = 0
        (count,) = connection.execute("SELECT count(*) FROM windows").fetchone()
        oldest = "(SELECT key FROM windows ORDER BY began LIMIT ?)"
        many = (max(count - (MOST_WINDOWS - _AT_ONCE), 0),)
        found = f"FROM windows WHERE key IN {oldest}"
        rows = connection.execute(f"SELECT * {found} AND repeated > 0", many).fetchall()
        connection.execute(f"DELETE {found}", many)
        for row in rows:
            yield _summary(_window(row))

    def _same(self, message: Message) -> int:
        texts = chain.from_iterable(lasting(message.fields))
        return self._digest("same", str(message.severity), message.event, *texts)

    def digest(self, message: Message) -> int:
        """The same for the same message, and only for that."""
        known = (stamp(message.time), str(message.severity), message.event, message.text)
        return self._digest(*known, *chain.from_iterable(message.fields))

    def _digest(self, *texts: str) -> int:
        """Keyed, so that nobody who has a say in a report can make it look like another one."""
        import hashlib

        octets = "\n".join(texts).encode("utf-8", "backslashreplace")
        made = hashlib.blake2b(octets, digest_size=8, key=self._secret).digest()
        return int.from_bytes(made, "big", signed=True)


def stamp(moment: datetime) -> str:
    """Of one width and zone, so that texts compare as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def due_in(connection: sqlite3.Connection, now: float) -> float | None:
    """Seconds until the next window ends that owes a summary; 0 when one has, or soon will."""
    row = connection.execute(
        "SELECT began, seconds FROM windows WHERE repeated > 0 ORDER BY began + seconds LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    began, seconds = checked(row, float, float)
    return max(0.0, float(began + seconds - now))


def any_due(connection: sqlite3.Connection, now: float) -> bool:
    """Whether a window has ended."""
    found = connection.execute(
        "SELECT 1 FROM windows WHERE abs(? - began) >= seconds LIMIT 1", (now,)
    )
    return found.fetchone() is not None


def _select(connection: sqlite3.Connection, key: int) -> _Window | None:
    row = connection.execute("SELECT * FROM windows WHERE key = ?", (key,)).fetchone()
    return None if row is None else _window(row)


def _window(row: tuple[Any, ...]) -> _Window:
    checked(row, int, float, float, int, int, str, str, int, str)
    return _Window(**dict(zip(_Window.__annotations__, row, strict=True)))


def _count(connection: sqlite3.Connection, key: int, message: Message) -> bool:
    """Count the report in its window; False when there is none."""
    time = stamp(message.time)
    counted = connection.execute(
        "UPDATE windows SET repeated = repeated + 1, last = max(last, ?1),"
        " first = iif(first = '', ?1, min(first, ?1)), severity = min(severity, ?2)"
        " WHERE key = ?3 RETURNING repeated",
        (time, message.severity, key),
    ).fetchall()
    if counted == [(1,)]:
        connection.execute("UPDATE windows SET message = ? WHERE key = ?", (_written(message), key))
    return bool(counted)


def _written(message: Message) -> str:
    return json.dumps([message.event, lasting(message.fields), message.text])


def _summary(window: _Window) -> Outgoing:
    """Errors: DamagedError when the row is not what was written."""
    try:
        event, fields, text = json.loads(window.message)
        message = Message(
            time=moment(window.last),
            severity=window.severity,
            event=event,
            fields=tuple((str(name), str(value)) for name, value in fields),
            text=f"{window.repeated:,} more from {window.first} to {window.last}: {text}",
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"{NAME}: a window is not as it was written") from error
    marks = (
        ("repeated", str(window.repeated)),
        ("first", window.first),
        ("last", window.last),
    )
    return Outgoing(message=message, stands_for=window.repeated, marks=marks)
