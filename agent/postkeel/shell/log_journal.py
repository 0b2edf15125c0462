"""The systemd journal as a log source: which lines are new, and which are gone.

Who wrote a line is known by fields that journald sets (`_EXE`, `_UID`, `_SYSTEMD_UNIT`),
never by the identifier, which any local user chooses. An iteration of the
journal sees no entry of a file that came after it was opened, and after a
vacuum it goes on wherever there still is something, without a word; so the
journal is opened anew when its files change, and the place is compared.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from postkeel.core.errors import PostkeelError
from postkeel.core.model import LogBatch
from postkeel.shell.journal_entry import DAMAGED, Entry, first, line_of, shown

if TYPE_CHECKING:
    from postkeel.shell.journal_reader import RawReader
    from postkeel.shell.loop import Loop

BATCH = 256 * 1024
"""Bytes of lines, about, in one batch."""
RETRY = 10.0
"""Seconds until a journal that could not be read is tried again."""
RECHECK = 2.0
"""Seconds between looks at a journal whose changes the kernel does not tell, as on NFS."""

_SECOND = 1_000_000
_DAY_BACK = 24 * 3600 * _SECOND
_LATENESS = _SECOND  # an entry may bear an earlier time than that at which it can be seen
_SIZE_OF_DAMAGED = 1024  # so that a batch of nothing else ends too
_TIMER = "journal"
_CURSOR = re.compile("s=[0-9a-f]+;i=[0-9a-f]+;b=[0-9a-f]+;m=[0-9a-f]+;t=[0-9a-f]+;x=[0-9a-f]+")
_VERIFY = "`journalctl --verify` says which file"
_REMEDY = "raise RateLimitBurst= in journald.conf, or LogRateLimitBurst= of the unit"
_SUPPRESSED = re.compile(rb"Suppressed (\d+) messages from (.+)", re.DOTALL)


class Journal:
    """Lines that these programs wrote as these users; a `LogSource`. See `LogLines`.

    units: whose suppressed lines are told as lost; without programs, whose lines are read.
    position: of an earlier Journal; None, or what never was one, for 24 hours back.
    directory: of other journal files than the host's own.

    Diagnostics: PostkeelError when the journal cannot be read: not there, not
    permitted, python3-systemd missing, or damaged beyond a second try. The next
    `read` tries anew, and a loop that watches asks for it.
    Security: the entry of a process that was gone before journald looked bears neither
    program nor unit, so it is not read.
    """

    name = "journal"

    def __init__(
        self,
        units: tuple[str, ...],
        programs: tuple[str, ...],
        users: tuple[str, ...],
        position: object = None,
        directory: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._units = units
        self._programs = programs
        self._users = users
        self._directory = directory
        self._clock = clock
        self._cursor, self._until = _place(position, int(clock() * _SECOND))
        self._reader: RawReader | None = None
        self._stale = False
        self._watcher: tuple[Loop, Callable[[], object]] | None = None

    @property
    def position(self) -> dict[str, str | int]:
        """After the entry of `cursor`, which is "" before the first; all before `until` is read.

        until: microseconds since 1970. Between the two there was nothing for us.
        """
        return {"cursor": self._cursor, "until": self._until}

    def read(self) -> LogBatch | None:
        """The next lines; None when there are none. Opens the journal anew once if it fails."""
        try:
            return self._read_or_reopen()
        except PostkeelError:
            self._ask_again(RETRY)
            raise

    def watch(self, loop: Loop, ready: Callable[[], object]) -> None:
        """Call `ready` in the loop's thread whenever there may be something new.

        journald tells of what it wrote a quarter to half a second later (measured), not at once.
        """
        self._watcher = (loop, ready)
        if self._reader is None:
            self._ask_again(0.0)
        else:
            self._register(self._reader, loop, ready)

    def close(self) -> None:
        """Stop watching and give back descriptors; a later `read` goes on from the position."""
        self._close_reader()
        if self._watcher is not None:
            self._watcher[0].cancel(_TIMER)
            self._watcher = None

    def _read_or_reopen(self) -> LogBatch | None:
        try:
            return self._batch()
        except OSError:  # journald may have taken a file away under the reader
            self._close_reader()
        try:
            return self._batch(skip_damaged=True)
        except OSError as error:
            self._close_reader()
            raise PostkeelError(f"journal: cannot be read: {error}; {_VERIFY}") from error

    def _batch(self, *, skip_damaged: bool = False) -> LogBatch | None:
        """The position moves only when nothing failed, so what failed is read again."""
        now = int(self._clock() * _SECOND)
        reader, lost = self._up_to_date()
        lines: list[bytes] = []
        cursor = "" if lost else self._cursor  # one that is gone would be missed at each opening
        size = damaged = 0
        while size < BATCH:
            entry = reader.next_entry(skip_damaged=skip_damaged)
            if entry is None:
                until = max(_time_of(cursor) if cursor else 0, now - _LATENESS)
                break
            cursor, until = entry["__CURSOR"], entry["__REALTIME_TIMESTAMP"]
            if DAMAGED in entry:
                damaged += 1
                size += _SIZE_OF_DAMAGED
            elif entry.get("_TRANSPORT") == b"driver":
                lost += self._suppressed(entry)
            else:
                lines.append(line_of(entry))
                size += len(lines[-1])
        if damaged:
            lost.append(f"damaged entries up to {shown(until)}: {damaged}; {_VERIFY}")
        self._cursor, self._until = cursor, until
        if not lines and not lost:
            return None
        return LogBatch(source=self.name, text=b"".join(lines), proven=True, lost=tuple(lost))

    def _up_to_date(self) -> tuple[RawReader, list[str]]:
        """A reader that sees all files there are, and what is missing after the cursor."""
        reader_module = _reader_module()
        if self._reader is not None:
            self._stale = self._stale or self._reader.process() == reader_module.INVALIDATE
            if not self._stale:
                return self._reader, []
            self._close_reader()
        self._reader = reader_module.open_reader(
            self._units, self._programs, self._users, self._directory
        )
        if self._watcher is not None:
            self._register(self._reader, *self._watcher)
        return self._reader, self._seek(self._reader)

    def _seek(self, reader: RawReader) -> list[str]:
        if not self._cursor:
            reader.seek_realtime(self._until)
            return []
        reader.seek_cursor(self._cursor)
        landed = reader.next_cursor()
        if landed and _same_entry(landed, self._cursor):
            return []
        if landed:
            reader.seek_cursor(landed)
        return _missing(_time_of(self._cursor), self._until, reader.begin())

    def _suppressed(self, entry: Entry) -> list[str]:
        found = _SUPPRESSED.fullmatch(first(entry, "MESSAGE"))
        unit = found[2].decode(errors="replace") if found else ""
        if found is None or unit not in self._units:
            return []
        when = shown(entry["__REALTIME_TIMESTAMP"])
        return [f"journald suppressed {int(found[1])} messages of {unit} before {when}; {_REMEDY}"]

    def _register(self, reader: RawReader, loop: Loop, ready: Callable[[], object]) -> None:
        loop.register(reader.fileno(), lambda: self._wake(reader, ready))
        if not reader.reliable_fd():
            loop.repeat(_TIMER, ready, every=RECHECK)

    def _wake(self, reader: RawReader, ready: Callable[[], object]) -> None:
        """Take the events off the descriptor here: `ready` may put the reading off."""
        invalid = _reader_module().INVALIDATE
        try:
            change = reader.process()
        except OSError:
            change = invalid
        self._stale = self._stale or change == invalid
        ready()

    def _ask_again(self, seconds: float) -> None:
        if self._watcher is not None:
            loop, ready = self._watcher
            loop.cancel(_TIMER)
            loop.after(_TIMER, seconds, ready)

    def _close_reader(self) -> None:
        if self._reader is None:
            return
        if self._watcher is not None:
            self._watcher[0].unregister(self._reader.fileno())
        self._reader.close()
        self._reader = None
        self._stale = False


def _place(position: object, now: int) -> tuple[str, int]:
    """Cursor and `until`; of no position, or one in the future, those of 24 hours back."""
    known = position if isinstance(position, dict) else {}
    cursor, until = known.get("cursor"), known.get("until")
    if not isinstance(until, int) or not isinstance(cursor, str):
        return "", now - _DAY_BACK
    if _CURSOR.fullmatch(cursor):
        return cursor, until
    return "", until if until <= now else now - _DAY_BACK


def _same_entry(one: str, other: str) -> bool:
    """Whether two cursors mean one entry; the file's part (s, i) changes when journald moves
    what it had in memory to disk."""
    return one.split(";")[2:] == other.split(";")[2:]


def _time_of(cursor: str) -> int:
    return int(cursor.split(";")[4].removeprefix("t="), 16)


def _missing(last_read: int, until: int, begin: int) -> list[str]:
    """What is lost when the entry that was read last is gone; `begin` is the journal's."""
    if begin > until:
        lines = f"lines between {shown(until)} and {shown(begin)} may be missing"
        return [f"{lines}: journald removed them before they were read"]
    if begin < last_read:
        lines = f"lines after {shown(last_read)} may be missing"
        return [f"{lines}: the line that was read last is no longer in the journal"]
    return []


def _reader_module() -> ModuleType:
    try:
        from postkeel.shell import journal_reader
    except ImportError as error:
        raise PostkeelError(
            f"journal: {error}; install python3-systemd, or follow a file instead"
        ) from error
    return journal_reader
