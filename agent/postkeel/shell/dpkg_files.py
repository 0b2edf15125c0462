"""Reads dpkg's status and log and apt's history: bounded, rotated, compressed or not there."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from postkeel.core.errors import PostkeelError
from postkeel.core.packages import AptRun, LogPart, installed, read_history, read_log

if TYPE_CHECKING:
    from typing import IO

STATUS = "/var/lib/dpkg/status"
LOGS = "/var/log"
_ROTATED = ("", ".1", ".1.gz", ".2.gz")
_LOG_LIMIT = 4 << 20
"""Octets from the end: the upgrade of a host to the next Debian writes one or two MiB."""
_LARGEST = 64 << 20
_LONGEST_LINE = 4096


class DpkgFiles:
    """What dpkg and apt left on this host. Logs that cannot be read tell nothing.

    status, logs: other places, for tests.
    """

    def __init__(self, status: str = STATUS, logs: str = LOGS) -> None:
        self._status = status
        self._log = os.path.join(logs, "dpkg.log")
        self._history = os.path.join(logs, "apt", "history.log")

    def state(self) -> tuple[int, ...]:
        """Another one after each thing that dpkg does; empty without dpkg. Costs one stat."""
        try:
            status = os.stat(self._status)
        except OSError:
            return ()
        return (status.st_ino, status.st_size, status.st_mtime_ns)

    def versions(self) -> dict[str, str]:
        """The installed packages that matter, with their versions.

        Errors: PostkeelError when the file cannot be read.
        """
        return installed(_lines(self._status, _LARGEST))

    def done_since(self, known: str) -> LogPart:
        """What dpkg's log tells after this line of it, looked for in rotated logs too.

        Where it is in none of them all that they tell comes, with `known` False.
        """
        part = _log_part(self._log, known)
        for suffix in _ROTATED[1:]:
            if part.known or not known:
                break
            older = _log_part(self._log + suffix, known)
            part = LogPart(
                done=(*older.done, *part.done), known=older.known, last=part.last or older.last
            )
        return part

    def runs(self) -> tuple[AptRun, ...]:
        """What apt was told to do, oldest first: of this month's log and the last one's."""
        older = (_content(self._history + one) for one in reversed(_ROTATED[:-1]))
        return tuple(run for content in older for run in read_history(content))


def _log_part(path: str, known: str) -> LogPart:
    try:
        return read_log(_lines(path, _LOG_LIMIT), known)
    except PostkeelError:  # it would only have said when
        return LogPart(done=(), known=False, last="")


def _content(path: str) -> bytes:
    try:
        with _opened(path, _LOG_LIMIT) as file:
            return file.read(_LOG_LIMIT)
    except PostkeelError:  # it would only have said who
        return b""


def _lines(path: str, limit: int) -> Iterator[bytes]:
    """The lines of the last `limit` octets; of one that is too long the beginning."""
    with _opened(path, limit) as file:
        whole, left = True, limit
        while left > 0 and (line := file.readline(_LONGEST_LINE)):
            left -= len(line)
            if whole:
                yield line
            whole = line.endswith(b"\n")


@contextmanager
def _opened(path: str, limit: int) -> Iterator[IO[bytes]]:
    """The file, at most `limit` octets before its end; a compressed one from its beginning.

    Errors: PostkeelError when it is not there, no file, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PostkeelError(f"{path}: not a file")
            if path.endswith(".gz"):
                import gzip

                with gzip.open(file) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                file.seek(max(0, status.st_size - limit))
                yield file
    except (OSError, EOFError, zlib.error) as error:
        raise PostkeelError(f"{path}: cannot be read: {error}") from error
