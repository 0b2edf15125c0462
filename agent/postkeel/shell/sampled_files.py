"""What is read of the messages that are sampled: two fields of the header, and nothing else.

Security: whoever gets mail there may own the directory, and who sends it has written the message.
So a name is opened without following a link or waiting for a pipe's other end, and of each
message no more than `MOST_HEADER` octets are held, until the fields are out of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

MOST_HEADER: Final = 65536
"""Octets of a message that are read in search of the end of its header."""

MOST_PASSED: Final = 4 << 20
"""Octets of an mbox that one look passes over in search of the next message."""

_MOST_NAMES: Final = 5000
"""Names of a directory that are looked at for one message; the last way to find it."""

_PIECE: Final = 8192
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SLACK: Final = 1.0
"""Seconds by which a file's stamp may be behind the clock that is asked here."""

_KEPT: Final = re.compile(
    rb"^(?:received|authentication-results)[ \t]*:.*(?:\n[ \t].*)*\n?", re.IGNORECASE | re.MULTILINE
)
_END: Final = re.compile(rb"(?:\A|\n)\r?\n")
_START: Final = re.compile(rb"\n\r?\nFrom ")
_FROM: Final = b"From "
_BEFORE: Final = len(b"\n\r\nFrom ") - 1


class Header(NamedTuple):
    """The fields Received and Authentication-Results as they stand in a message.

    ended: whether it has been read to its end, or as far as any is.
    """

    fields: bytes
    ended: bool


class Maildir:
    """The messages of a Maildir as they come; `path` ends in "/"."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.watched = f"{path}new"
        self._missing_since: float | None = None
        self._listed: set[str] = set()

    def miss(self) -> None:
        """It is not there now: what is in it once it is there has come since."""
        self._missing_since = self._missing_since or time.time()

    def skip(self) -> None:
        """What is there now is not asked for."""
        self._missing_since = None

    def newcomers(self) -> list[str]:
        """The names of what came while nobody was told of it, because the directory was missing.

        Errors: OSError when it cannot be listed.
        """
        since, self._missing_since = self._missing_since, None
        if since is None:
            return []
        with os.scandir(self.watched) as entries:
            some = islice(entries, _MOST_NAMES)
            self._listed = {one.name for one in some if _came_after(one, since)}
        return sorted(self._listed)

    def is_newcomer(self, name: str) -> bool:
        """Whether it was among those, and is told of now as well."""
        listed = name in self._listed
        self._listed.discard(name)
        return listed

    def header(self, name: str) -> Header | None:
        """Of the message that came under this name; None when it is gone.

        Mail clients move a message to cur within a millisecond, and there it has flags.
        Errors: OSError when it cannot be read.
        """
        unique = name.partition(":")[0]
        cur = f"{self.path}cur"
        for place in (f"{self.watched}/{name}", f"{cur}/{unique}:2,", f"{cur}/{unique}:2,S"):
            with contextlib.suppress(FileNotFoundError):
                return _header_of(place)
        with contextlib.suppress(FileNotFoundError), os.scandir(cur) as entries:
            for one in islice(entries, _MOST_NAMES):
                if one.name.partition(":")[0] == unique:
                    return _header_of(one.path)
        return None


class Mbox:
    """The messages of an mbox as they are added at its end."""

    def __init__(self, path: str) -> None:
        self.path = self.watched = path
        self._identity: tuple[int, int] | None = None
        self._position = 0
        self._missing_since: float | None = None

    def miss(self) -> None:
        """It is not there now: what is in it once it is there has come since."""
        self._identity = None
        self._missing_since = self._missing_since or time.time()

    def skip(self) -> None:
        """Go on from its end. Whatever is wrong with it the next look will find."""
        self._identity = self._missing_since = None
        try:
            self._go_to_end(os.lstat(self.path))
        except FileNotFoundError:
            self.miss()
        except OSError:
            return

    def headers(self, most: int) -> list[bytes]:
        """The fields of at most so many new messages; one that is being written comes later.

        Errors: OSError when it cannot be read, FileNotFoundError when it is not there.
        """
        with _regular(self.path) as (descriptor, status):
            self._find_place(status)
            found: list[bytes] = []
            end = min(status.st_size, self._position + MOST_PASSED)
            while len(found) < most:
                start = _next_start(descriptor, self._position, end)
                if start is None:
                    self._position = max(self._position, status.st_size)
                    break
                octets, ended = _read_header(descriptor, start)
                if not ended:
                    self._position = start
                    break
                self._position = start + len(octets)
                found.append(_kept(octets))
            return found

    def _find_place(self, status: os.stat_result) -> None:
        """Go on where the last look ended, unless it is another file, or a shorter one."""
        if self._identity is None:
            since, self._missing_since = self._missing_since, None
            self._go_to_end(status)
            if since is not None and status.st_mtime >= since - _SLACK:
                self._position = 0
        elif self._identity != _identity(status) or status.st_size < self._position:
            self._go_to_end(status)

    def _go_to_end(self, status: os.stat_result) -> None:
        self._identity = _identity(status)
        self._position = status.st_size


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_dev, status.st_ino)


def _came_after(entry: os.DirEntry[str], since: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime >= since - _SLACK
    except OSError:  # gone meanwhile
        return False


@contextlib.contextmanager
def _regular(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """An open descriptor and its status. Errors: OSError whose text says what is wrong."""
    descriptor = _opened(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        yield descriptor, status
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    """Leave no trace where one may: by the time of the last reading others tell unread mail."""
    try:
        with contextlib.suppress(PermissionError):
            return os.open(path, _FLAGS | os.O_NOATIME)
        return os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link", path) from None
        raise


def _header_of(path: str) -> Header:
    with _regular(path) as (descriptor, _):
        octets, ended = _read_header(descriptor, 0)
    return Header(_kept(octets), ended)


def _read_header(descriptor: int, start: int) -> tuple[bytes, bool]:
    """The octets up to the empty line, and whether that, or all that is read of one, is there."""
    octets = b""
    while len(octets) < MOST_HEADER:
        piece = os.pread(descriptor, _PIECE, start + len(octets))
        if not piece:
            return octets, False
        searched = max(0, len(octets) - 2)
        octets += piece
        if end := _END.search(octets, searched):
            return octets[: end.end()], True
    return octets, True


def _kept(octets: bytes) -> bytes:
    """The fields; one that the reading has cut is left out."""
    found = list(_KEPT.finditer(octets))
    if found and found[-1].end() == len(octets) >= MOST_HEADER:
        found.pop()
    return b"".join(one.group() for one in found)


def _next_start(descriptor: int, position: int, end: int) -> int | None:
    """Where the next message begins: at the old end of the file, or after an empty line."""
    line = b"\n" + _FROM if position else _FROM
    if os.pread(descriptor, len(line), position + len(_FROM) - len(line)) == line:
        return position
    at = max(0, position - _BEFORE)
    while at < end:
        piece = os.pread(descriptor, min(_PIECE * 8, end - at), at)
        if hit := _START.search(piece):
            return at + hit.end() - len(_FROM)
        if not piece or at + len(piece) >= end:
            return None
        at += len(piece) - _BEFORE
    return None
