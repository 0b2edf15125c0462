"""An mbox file as local(8) writes it, out of which probes are taken in place.

What follows a probe is moved down, then the file is cut. Every octet is written to its new
place before anything is written over its old one, so a kill in between leaves all other
messages whole or with a part of one repeated, and never without a part.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from postkeel.shell import inotify
from postkeel.shell.probe_mailbox import (
    MOST_HEADER,
    OPEN,
    BusyError,
    Taken,
    Watched,
    must_be_own,
    token_in,
    unusable,
)

MOST_OCTETS: Final = 32 << 20
"""A mailbox for probes is empty most of the time; a larger one is somebody's."""

_STALE: Final = 500
"""Seconds: Postfix's stale_lock_time."""
_SEPARATOR: Final = b"\nFrom "
_PIECE: Final = 1 << 20
_BEGUN: Final = inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.CREATE


class Mbox:
    """See `Mailbox`. A file that is missing is an empty one: local(8) makes it.

    Locked as Postfix does by default: first PATH.lock, where the directory lets us make it, then
    fcntl. Both are held while it is read and changed, for milliseconds.
    """

    def __init__(self, path: str, secret: bytes) -> None:
        self.others = 0
        self.left = 0
        self._path = path
        self._secret = secret
        self._known: tuple[int, ...] = ()
        self._passed = 0

    @property
    def watched(self) -> tuple[Watched, ...]:
        directory = os.path.dirname(self._path)
        return (Watched(directory, _BEGUN, instead=self._path),)

    def take(self) -> list[Taken]:
        """See `Mailbox`. Costs one system call when nothing was written since the last time."""
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            if not os.path.isdir(os.path.dirname(self._path)):
                raise unusable(os.path.dirname(self._path), "no such directory") from None
            self._forget()
            return []
        except OSError as error:
            raise unusable(self._path, error.strerror or str(error)) from None
        if _signature(found) == self._known:
            return []
        with self._locked() as file:
            try:
                return self._taken(file)
            except OSError as error:
                raise unusable(self._path, error.strerror or str(error)) from None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The open file, while it is ours alone."""
        with self._dotlock():
            try:
                file = os.open(self._path, os.O_RDWR | OPEN)
            except OSError as error:
                is_link = os.path.islink(self._path)
                reason = "a symbolic link, which is not followed" if is_link else error.strerror
                raise unusable(self._path, reason or str(error)) from None
            try:
                must_be_own(self._path, file)
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except (BlockingIOError, PermissionError):
                    raise BusyError from None
                yield file
            finally:
                os.close(file)

    @contextmanager
    def _dotlock(self) -> Iterator[None]:
        name = f"{self._path}.lock"
        _remove_stale(name)
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN, 0o600))
        except FileExistsError:
            raise BusyError from None
        except OSError:  # /var/mail is not for everybody to write to; Postfix goes on then, too
            yield
            return
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(name)

    def _taken(self, file: int) -> list[Taken]:
        found = os.fstat(file)
        if found.st_size > MOST_OCTETS:
            raise unusable(
                self._path,
                f"holds {found.st_size >> 20} MiB, more than the {MOST_OCTETS >> 20} MiB that are"
                " searched for probes: empty it, or name another mailbox",
            )
        if _signature(found)[:2] != self._known[:2] or found.st_size < self._passed:
            self._forget()
        first = self._passed
        text = _read(file, first, found.st_size)
        taken, kept = self._sorted(text)
        self.left = len(taken)
        if taken:
            _keep(file, first, text, kept)
            self.left = 0
        self._passed = first + sum(end - begin for begin, end in kept)
        self._known = _signature(os.fstat(file))
        return taken

    def _sorted(self, text: bytes) -> tuple[list[Taken], list[tuple[int, int]]]:
        """The probes, and where the other messages are."""
        taken, kept = [], []
        for begin, end in _messages(text):
            line = text.find(b"\n", begin, end) + 1
            header = text[line : _end_of_header(text, line, end)]
            token = token_in(header, self._secret)
            if token is None:
                kept.append((begin, end))
                self.others += 1
            else:
                came = _stamp(text[begin:line]) or time.time()
                taken.append(Taken(token, header[-MOST_HEADER:], came))
        return taken, kept

    def _forget(self) -> None:
        self.others = self.left = self._passed = 0
        self._known = ()


def _remove_stale(lock: str) -> None:
    with suppress(OSError):
        if os.lstat(lock).st_mtime < time.time() - _STALE:
            os.unlink(lock)


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(file: int, first: int, size: int) -> bytes:
    parts = []
    while first < size and (part := os.pread(file, min(_PIECE, size - first), first)):
        parts.append(part)
        first += len(part)
    return b"".join(parts)


def _messages(text: bytes) -> Iterator[tuple[int, int]]:
    """Where each begins and ends, its line "From " included."""
    begin = 0
    while begin < len(text):
        end = text.find(_SEPARATOR, begin) + 1 or len(text)
        yield begin, end
        begin = end


def _end_of_header(text: bytes, begin: int, end: int) -> int:
    places = (text.find(blank, begin, end) + 1 for blank in (b"\n\n", b"\n\r\n"))
    return min((one for one in places if one), default=end)


def _stamp(line: bytes) -> float | None:
    """When local(8) put it there: "From MAILER-DAEMON  Mon Nov 23 19:00:00 2026"."""
    try:
        return time.mktime(
            time.strptime(b" ".join(line.split()[-4:]).decode(), "%b %d %H:%M:%S %Y")
        )
    except (ValueError, OverflowError):
        return None


def _keep(file: int, first: int, text: bytes, kept: list[tuple[int, int]]) -> None:
    """Have of the file, from `first` on, only these parts of what was read there."""
    place = 0
    for begin, end in kept:
        if place != begin:
            _write(file, first + place, memoryview(text)[begin:end])
        place += end - begin
    os.ftruncate(file, first + place)


def _write(file: int, place: int, octets: memoryview) -> None:
    while octets:
        written = os.pwrite(file, octets[:_PIECE], place)
        place += written
        octets = octets[written:]
