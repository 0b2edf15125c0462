"""What the correcting side writes for the other one: its reports, append-only.

Nothing here depends on who reads. The reader keeps its own position, and sees by the
numbers what it has missed when the oldest file had to go.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from postkeel.contract import Report
from postkeel.core.errors import PostkeelError
from postkeel.shell.outbox_files import (
    LONGEST_LINE,
    SEGMENT_OCTETS,
    SEGMENTS_AT_MOST,
    Segment,
    last_number,
    line_of,
    outbox_directory,
    segments,
)

# A link is not followed, and the other end of a pipe not waited for.
_SAFELY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FLAGS: Final = os.O_RDWR | os.O_APPEND | _SAFELY
_PATIENCE: Final = 1.0  # seconds to wait for another writer; the agent's loop waits with it
_PAUSE: Final = 0.005


class Outbox:
    """Numbers each report and appends it.

    Numbers have no gaps, over restarts as well. What a kill or a full disk left of a line
    stays a line of its own, which no reader takes for a report. Of two writers, an agent and
    `postkeel enforce`, each sees by the size what the other one has written.
    Security: for root alone, the lock as well. The group may read, which is that of the
    directory where the directory passes it on (set-group-ID); the process needs no right to
    give files away.
    """

    def __init__(self, state_directory: str) -> None:
        self.directory = outbox_directory(state_directory)
        self._series = ""
        self._number = 0
        self._segment: Segment | None = None
        self._size = 0

    def append(self, report: Report) -> None:
        """Keep the report for the other side; after the return a power cut does not cost it.

        Errors: PostkeelError; the report may then be appended again.
        """
        try:
            with suppress(FileExistsError):
                os.makedirs(self.directory, mode=0o750)
            with _locked(f"{self.directory}.lock"):
                self._append(report)
        except OSError as error:
            raise PostkeelError(
                f"{self.directory}: a report cannot be kept for the monitor: "
                f"{error.strerror}: it is tried again"
            ) from error

    def _append(self, report: Report) -> None:
        if not self._series or self._has_changed():
            self._go_on()
        line = line_of(self._number + 1, report)
        descriptor = self._opened(len(line))
        try:
            self._write(descriptor, line)
        finally:
            self._size = os.fstat(descriptor).st_size
            os.close(descriptor)  # which wakes the reader, after the line is durable

    def _has_changed(self) -> bool:
        """Whether another writer has been here."""
        newest = segments(self.directory)[-1:]
        if self._segment is None or newest != [self._segment]:
            return bool(newest)
        return os.stat(self._path(self._segment)).st_size != self._size

    def _go_on(self) -> None:
        """Take up series and number where another process left them."""
        found = segments(self.directory)
        newest = found[-1] if found else None
        if newest is not None:
            with suppress(OSError):  # not one of ours: what is to come goes into another series
                self._number = max(newest.first - 1, last_number(self._lines(newest)))
                self._series, self._segment = newest.series, newest
                return
        began = max(int(time.time()), int(newest.series[:8], 16) + 1 if newest else 0)
        self._series = f"{began & 0xFFFFFFFF:08x}{os.urandom(2).hex()}"

    def _lines(self, segment: Segment) -> list[bytes]:
        """Its whole lines. OSError when it is not a file that this process would write."""
        descriptor = os.open(self._path(segment), os.O_RDONLY | _SAFELY)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
            if not ours or found.st_size > SEGMENT_OCTETS + LONGEST_LINE:
                raise PermissionError
            return file.read().split(b"\n")[:-1]

    def _opened(self, octets: int) -> int:
        """The file that these octets are to be appended to; it may be a new one."""
        if self._segment is not None:
            with suppress(FileNotFoundError):  # somebody has tidied up
                descriptor = os.open(self._path(self._segment), _FLAGS)
                size = os.fstat(descriptor).st_size
                if not size or size + octets <= SEGMENT_OCTETS:
                    return descriptor
                os.close(descriptor)
        return self._begun(Segment(series=self._series, first=self._number + 1))

    def _begun(self, segment: Segment) -> int:
        descriptor = os.open(self._path(segment), _FLAGS | os.O_CREAT, 0o640)
        try:
            os.fchmod(descriptor, 0o640)  # whatever the umask
            _sync_directory(self.directory)
            for old in segments(self.directory)[:-SEGMENTS_AT_MOST]:
                os.unlink(self._path(old))
        except BaseException:
            os.close(descriptor)
            raise
        self._segment = segment
        return descriptor

    def _write(self, descriptor: int, line: bytes) -> None:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        left = memoryview(b"\n" + line if torn else line)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
        self._number += 1  # also if it should not be durable: somebody may have read it
        os.fdatasync(descriptor)

    def _path(self, segment: Segment) -> str:
        return os.path.join(self.directory, segment.name)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """For one writer at a time. Errors: BlockingIOError when another one takes too long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
    try:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
