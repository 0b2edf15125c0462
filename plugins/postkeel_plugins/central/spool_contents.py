"""What is done with the rows of the spool, within the transactions of its owner."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from postkeel.contract import Standing, frozen, one_line
from postkeel.database import stored, transaction
from postkeel.reporting.fields import VERSION
from postkeel.reporting.message import Fields, Message
from postkeel_plugins.central.folding import Bounds, Folding, Outgoing, any_due, due_in, stamp
from postkeel_plugins.central.spool_tables import NEVER_DROPPED, checked, moment
from postkeel_plugins.central.standing import standing_of

if TYPE_CHECKING:
    import sqlite3

Encode = Callable[[Message, Fields], bytes]
"""The octets that are sent of a message; the fields come before its own."""

KNOWN_AGAIN: Final = 20_000
"""Reports back to which one that is put a second time is known again."""

_FORGET_EVERY: Final = 1000  # reports: older ones are looked for this often
_SLACK_PAGES: Final = 1024  # 4 MiB that an empty spool may keep of the disk
_WARNING: Final = 4
# The last number that was used: asked for, and kept before the report that has it goes.
_LAST: Final = "SELECT max(highest, ifnull((SELECT max(seq) FROM reports), 0)) FROM spool"
_KEEP_LAST: Final = (
    "UPDATE spool SET highest = max(highest, ifnull((SELECT max(seq) FROM reports), 0))"
)

_SAME_START_SECONDS: Final = 30.0  # by which the clock may have been set meanwhile


@frozen
class Spooled:
    """A report as it is sent, and its number in this file; the one it is sent with may differ."""

    seq: int
    octets: bytes


class Contents:
    """The rows, and in memory what need not be asked each time: after an error, a new one."""

    def __init__(self, connection: sqlite3.Connection, bounds: Bounds, encode: Encode) -> None:
        self._connection = connection
        self._bounds = bounds
        self._encode = encode
        row = connection.execute("SELECT id, secret, untold, base FROM spool").fetchone()
        self._id, secret, untold, self._base = checked(row, str, bytes, int, int)
        self._owes_telling = untold > 0
        (self._last,) = checked(connection.execute(_LAST).fetchone(), int)
        (self._waiting,) = connection.execute("SELECT count(*) FROM reports").fetchone()
        (self._taken,) = connection.execute("SELECT ifnull(max(number), 0) FROM taken").fetchone()
        self._folding = Folding(bounds, secret)
        self._waits = False  # as the connection was opened

    def change(self, act: Callable[[Contents], None], *, waits: bool) -> None:
        """Do all of this or nothing. waits: until the disk has it."""
        if waits != self._waits:
            mode = "FULL" if waits else "NORMAL"
            self._connection.execute(f"PRAGMA synchronous = {mode}").fetchall()
            self._waits = waits
        with transaction(self._connection):
            act(self)

    def take(self, message: Message, now: datetime) -> None:
        """Keep it to be sent, or count it, unless that was done."""
        if not self._is_new(message):
            return
        for one in self._folding.take(self._connection, message, now.timestamp()):
            self._store(one)
        self._tell_dropped()

    def any_due(self, now: float) -> bool:
        """Whether there is something to do for `end_due`."""
        return any_due(self._connection, now)

    def end_due(self, now: float) -> None:
        """Keep the summaries to be sent of some of the windows that have ended."""
        for one in self._folding.end_due(self._connection, now):
            self._store(one)

    def due_in(self, now: float) -> float | None:
        """Seconds until the next window ends that owes a summary."""
        return due_in(self._connection, now)

    def select(self, after: int, most: int) -> tuple[Spooled, ...]:
        """What waits with a higher number, oldest first."""
        rows = self._connection.execute(
            "SELECT seq, octets FROM reports WHERE seq > ? ORDER BY seq LIMIT ?", (after, most)
        ).fetchall()
        checked_rows = (checked(row, int, bytes) for row in rows)
        return tuple(Spooled(seq=seq, octets=octets) for seq, octets in checked_rows)

    def delete(self, numbers: Iterable[int]) -> None:
        """Let go of what has been sent."""
        rows = [(one,) for one in numbers]
        self._connection.execute(_KEEP_LAST)
        gone = self._connection.executemany("DELETE FROM reports WHERE seq = ?", rows)
        self._waiting -= gone.rowcount
        self._tell_dropped()

    def tell_damage(self, aside: str, when: datetime) -> None:
        """A message that reports were lost, nobody knows how many. aside: where they may be."""
        text = one_line(
            "the spool was damaged, so reports that waited to be sent are lost,"
            f" nobody knows how many; it was moved to {aside} and a new one begun"
        )
        self._insert(Outgoing(message=_of_dropped(when, text)), NEVER_DROPPED)
        self._connection.execute("UPDATE spool SET aside = ?", (stored(aside),))

    def note(self, collector: str, problem: str) -> None:
        """Keep what is wrong with the collector; "" for nothing."""
        name = stored(collector)
        self._connection.execute("DELETE FROM notes WHERE collector = ?", (name,))
        if problem:
            row = (name, stored(one_line(problem)))
            self._connection.execute("INSERT INTO notes VALUES (?, ?)", row)

    def standing(self) -> Standing:
        """What there is to say."""
        return standing_of(self._connection)

    def shrink(self) -> None:
        """Give back what a long outage took of the disk; outside of a transaction."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if not self._waiting and free > _SLACK_PAGES:
            self._connection.execute("VACUUM")

    def _is_new(self, message: Message) -> bool:
        """Whether it was not taken before; from now on it was."""
        row = (self._folding.digest(message), self._taken + 1)
        taken = self._connection.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", row)
        if not taken.rowcount:
            return False
        self._taken += 1
        if self._taken % _FORGET_EVERY == 0:
            oldest = self._taken - KNOWN_AGAIN
            self._connection.execute("DELETE FROM taken WHERE number <= ?", (oldest,))
        return True

    def _store(self, one: Outgoing) -> None:
        self._insert(one, one.message.severity)
        while self._waiting > self._bounds.reports and self._drop():
            pass

    def _insert(self, one: Outgoing, rank: int) -> None:
        self._last += 1
        marks = (("spool", self._id), ("seq", str(self._last - self._base)), *one.marks)
        octets = self._encode(one.message, marks)
        self._connection.execute(
            "INSERT INTO reports VALUES (?, ?, ?, ?, ?)",
            (self._last, stamp(one.message.time), rank, one.stands_for, octets),
        )
        self._waiting += 1

    def _drop(self) -> bool:
        """Let go of the newest of the least severe; False when none may be let go."""
        row = self._connection.execute(
            "SELECT seq, time, stands_for FROM reports WHERE rank >= 0"
            " ORDER BY rank DESC, seq DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return False
        seq, when, stands_for = checked(row, int, str, int)
        self._connection.execute("DELETE FROM reports WHERE seq = ?", (seq,))
        self._connection.execute(
            "UPDATE spool SET dropped = dropped + ?1, dropped_at = ?2, untold = untold + ?1,"
            " first = iif(first = '', ?2, min(first, ?2)), last = max(last, ?2),"
            " highest = max(highest, ?3)",
            (stands_for, when, seq),
        )
        self._waiting -= 1
        self._owes_telling = True
        return True

    def _tell_dropped(self) -> None:
        """Once there is room for a tenth: in a flood, each report settled makes room for one."""
        if not self._owes_telling or self._waiting * 10 > self._bounds.reports * 9:
            return
        row = self._connection.execute("SELECT untold, first, last FROM spool").fetchone()
        untold, first, last = checked(row, int, str, str)
        text = f"{untold:,} reports were dropped from {first} to {last}: too many waited to be sent"
        message = _of_dropped(moment(last), text)
        marks = (("first", first), ("last", last), ("count", str(untold)))
        self._insert(Outgoing(message=message, marks=marks), NEVER_DROPPED)
        self._connection.execute("UPDATE spool SET untold = 0, first = '', last = ''")
        self._owes_telling = False


def _of_dropped(when: datetime, text: str) -> Message:
    fields = (("v", VERSION), ("event", "dropped"))
    return Message(time=when, severity=_WARNING, event="dropped", fields=fields, text=text)


def identify(connection: sqlite3.Connection) -> None:
    """An id and numbers from 1, for a new file and after each start of the system.

    A disk that was put back to an earlier state would have numbers used twice.
    """
    identity = os.urandom(4).hex()
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    connection.execute(
        "INSERT OR IGNORE INTO spool VALUES (1, ?, ?, 0, '', 0, '', '', '', ?, 0, 0)",
        (identity, os.urandom(16), started),
    )
    connection.execute(
        "UPDATE spool SET id = ?1, started = ?2,"
        " base = max(highest, ifnull((SELECT max(seq) FROM reports), 0))"
        " WHERE abs(started - ?2) > ?3",
        (identity, started, _SAME_START_SECONDS),
    )
