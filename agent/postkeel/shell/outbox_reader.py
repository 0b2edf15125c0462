"""Reads the outbox of the correcting side behind a position, line by line.

Who reads trusts nothing but the format: what is no line of an outbox is passed over, and
what is missing shows in the numbers.
"""

from __future__ import annotations

import errno
import os
import stat
from binascii import crc32
from typing import Final

from postkeel.contract import Report
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.shell.outbox_files import (
    LONGEST_LINE,
    SEGMENT_OCTETS,
    Segment,
    report_of,
    segments,
    split_line,
)

_AT_ONCE: Final = 64 * 1024
_ADVICE: Final[dict[int | None, str]] = {
    errno.EACCES: ": its group must be the monitor's; systemd-tmpfiles --create sees to it",
    errno.ENOENT: ": the correcting side makes it with its first report",
}


@frozen
class OutboxPosition:
    """The last line that was taken.

    check: of its content. A power cut may cost the outbox its last line after it was
    read, and another one then gets its number.
    """

    series: str
    number: int
    check: int


@frozen
class Taken:
    """A report, the position behind it, and how many are missing before it."""

    report: Report
    position: OutboxPosition
    lost: int


class OutboxReader:
    """Begins behind the position, without one at the oldest report that is there.

    Diagnostics: PostkeelError when the outbox cannot be read; begin again with a new reader
    at the last position. `refused` says which of its files are left out, and why.
    Security: no link is followed; a file of anybody else than root or this user is refused.
    """

    def __init__(self, directory: str, position: OutboxPosition | None = None) -> None:
        self.refused: dict[str, str] = {}
        self._directory = directory
        self._resume = position
        self._series = position.series if position else ""
        self._last: int | None = None
        self._entered: Segment | None = None
        self._file: _File | None = None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> Taken | None:
        """The next report; None when there is no further one yet."""
        try:
            while (line := self._line()) is not None:
                taken = self._taken(line)
                if taken is not None:
                    return taken
        except OSError as error:
            self.close()
            raise PostkeelError(
                f"{self._directory}: reports of the correcting side cannot be read: "
                f"{error.strerror}{_ADVICE.get(error.errno, '')}"
            ) from error
        if self._file is not None:
            self._file.close()
            self._resume = None  # the end was taken away, and all before it is known
        return None

    def _taken(self, line: bytes) -> Taken | None:
        found = split_line(line)
        if found is None:
            return None
        number, text = found
        check = crc32(line)
        if self._resume is not None and not self._is_behind(self._resume, number, check):
            self._last = number
            return None
        report = report_of(text)
        if report is None:  # it is missing, as the number of the next one shows
            return None
        lost = 0 if self._last is None else max(0, number - self._last - 1)
        self._last = number
        position = OutboxPosition(series=self._series, number=number, check=check)
        return Taken(report=report, position=position, lost=lost)

    def _is_behind(self, position: OutboxPosition, number: int, check: int) -> bool:
        """Whether the line was not taken yet; the first one that was not ends the search."""
        if number < position.number:
            return False
        self._resume = None
        if number == position.number:
            return check != position.check
        self._last = position.number
        return True

    def _line(self) -> bytes | None:
        while True:
            line = self._file.line() if self._file else None
            if line is not None:
                return line
            later = self._later()
            if later is None:
                return None
            # What this one got before the later one was begun.
            line = self._file.line() if self._file else None
            if line is not None:
                return line
            self._enter(later)

    def _later(self) -> Segment | None:
        """The file to go on with, if there is one."""
        found = segments(self._directory)
        own = [one for one in found if one.series == self._series]
        if not own:  # the beginning, or that of another series
            return found[0] if found else None
        if self._entered is not None and self._entered.series == self._series:
            name = self._entered.name
            return next((one for one in found if one.name > name), None)
        number = self._resume.number if self._resume else 0
        return next((one for one in reversed(own) if one.first <= number), own[0])

    def _enter(self, segment: Segment) -> None:
        self.close()
        path = os.path.join(self._directory, segment.name)
        if segment.series != self._series:
            # The first one may begin anywhere, those after it with what came first.
            self._last = 0 if self._series else None
            self._resume = None
            self._series = segment.series
        try:
            self._file = _File(path)
        except FileNotFoundError:  # it was the oldest, and had to go
            return
        except _RefusedError as error:
            self.refused[segment.name] = f"{path}: {error}"
        self._entered = segment


class _RefusedError(Exception):
    """Not a file that root wrote."""


class _File:
    """One file of the outbox, read by whole lines. Errors: _RefusedError, OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._data = b""
        self._at = 0
        self._skipping = False
        self._open()

    def _open(self) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        if stat.S_ISLNK(os.lstat(self._path).st_mode):
            raise _RefusedError("is a symbolic link, and is not followed")
        self._descriptor = os.open(self._path, flags)
        found = os.fstat(self._descriptor)
        fits = stat.S_ISREG(found.st_mode) and found.st_size <= SEGMENT_OCTETS + LONGEST_LINE
        if not fits or found.st_uid not in (0, os.geteuid()):
            self.close()
            raise _RefusedError("is not a file of root's, or too large, and is not read")
        identity = (found.st_dev, found.st_ino)
        if self._identity not in (None, identity):
            self.close()
            raise FileNotFoundError
        self._identity = identity

    def close(self) -> None:
        """Until the next line is asked for: a file that is open keeps its directory in being,
        and nobody would hear of its end.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def line(self) -> bytes | None:
        """The next line whose end is written, without it; None at the end.

        Nothing of a line without its end is kept: its writer may take it back. A line that
        is too long is passed over.
        """
        while True:
            end = self._data.find(b"\n", self._at)
            if end < 0:
                end = self._fill() if self._is_open() else -1
            if end < 0 and not self._skip():
                return None
            line = self._data[self._at : end]
            self._at = end + 1
            if not self._skipping:
                return line
            self._skipping = end < 0

    def _is_open(self) -> bool:
        """False for a file that is gone, or is another one by now: it has ended."""
        if self._descriptor < 0:
            try:
                self._open()
            except (FileNotFoundError, _RefusedError):
                return False
        return True

    def _fill(self) -> int:
        """Read on from the beginning of the line; where it ends, or -1."""
        self._offset += self._at
        self._at = 0
        for octets in (_AT_ONCE, LONGEST_LINE):
            self._data = os.pread(self._descriptor, octets, self._offset)
            end = self._data.find(b"\n")
            if end >= 0 or len(self._data) < octets:
                break
        return end

    def _skip(self) -> bool:
        """Leave out what was read, of a line that is too long; False at the end."""
        size, self._data = len(self._data), b""
        self._skipping = self._skipping or size >= LONGEST_LINE
        self._offset += size if self._skipping else 0
        return self._skipping and size > 0
