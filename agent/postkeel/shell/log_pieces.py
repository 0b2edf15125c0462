"""The pieces of a mail log, the present file and what rotation left beside it, and a mark in one.

A piece keeps its inode when it is renamed, and its first octets even when it is
copied or compressed. By these two a mark is found again.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line
from postkeel.shell.log_archive import is_packed, older, read_log

BEGINNING: Final = 1024
"""Octets at the start of a piece that tell it from others: some lines with their stamps."""

_MOST_LOOKS = 8
"""A directory that is being rotated is listed again until it stands still."""


@frozen
class Mark:
    """How far the log was read: `offset` in the piece with this inode and beginning.

    beginning: a digest of its first `beginning_size` octets. modified: when it was last written
    to, in nanoseconds. inside: the offset is inside of a line whose rest is not wanted.
    """

    device: int
    inode: int
    offset: int
    beginning: str
    beginning_size: int
    modified: int
    inside: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        return (self.device, self.inode)

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in _FIELDS}

    @staticmethod
    def from_json(value: Any) -> Mark:
        """Reads what `as_json` gave."""
        return Mark(**{name: value[name] for name in _FIELDS})


_FIELDS = ("device", "inode", "offset", "beginning", "beginning_size", "modified", "inside")


def digest(beginning: bytes) -> str:
    """Tells the few pieces of one log from each other; `hashlib` would load OpenSSL for it."""
    return f"{zlib.crc32(beginning):08x}"


class Piece(Protocol):
    """An open piece: stays readable when its name goes to another.

    `problem` says why its end could not be read, once it has come to that.
    """

    problem: str

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        raise NotImplementedError

    @property
    def first_beginning(self) -> bytes:
        """The first octets, as they were when it was opened."""
        raise NotImplementedError

    def modified(self) -> int: ...
    def size(self) -> int | None:
        """Octets in it, None where only reading can tell."""
        raise NotImplementedError

    def octets(self, offset: int, most: int) -> bytes:
        """Up to `most` octets; none at the end. Offsets never go back."""
        raise NotImplementedError

    def beginning(self) -> bytes:
        """The first octets, as they are now."""
        raise NotImplementedError

    def descriptor_name(self) -> str | None:
        """A name that means this piece however it is called now; None when it does not grow."""
        raise NotImplementedError

    def close(self) -> None: ...


class PlainPiece:
    """A file that may still grow, shrink or be renamed."""

    problem = ""

    def __init__(self, name: str) -> None:
        # Opening a pipe would wait for somebody to write.
        self._number = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._number)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._number)
            raise PostkeelError(f"{one_line(name)}: no regular file: it cannot be followed")
        self.identity = (status.st_dev, status.st_ino)
        self.first_beginning = self.beginning()

    def modified(self) -> int:
        return os.fstat(self._number).st_mtime_ns

    def size(self) -> int | None:
        return os.fstat(self._number).st_size

    def octets(self, offset: int, most: int) -> bytes:
        return os.pread(self._number, most, offset)

    def beginning(self) -> bytes:
        return os.pread(self._number, BEGINNING, 0)

    def descriptor_name(self) -> str | None:
        return f"/proc/self/fd/{self._number}"

    def close(self) -> None:
        os.close(self._number)


class PackedPiece:
    """A compressed file: unpacked as far as is asked for, and not kept."""

    def __init__(self, name: str) -> None:
        status = os.stat(name)
        self.identity = (status.st_dev, status.st_ino)
        self._modified = status.st_mtime_ns
        self._chunks = read_log(name)
        self.problem = ""
        self._start = 0
        self._text = self._more()
        self.first_beginning = self._text[:BEGINNING]

    def modified(self) -> int:
        return self._modified

    def size(self) -> int | None:
        return None

    def octets(self, offset: int, most: int) -> bytes:
        while self._start + len(self._text) < offset + most and (chunk := self._more()):
            skipped = min(offset - self._start, len(self._text))
            self._text = self._text[skipped:] + chunk
            self._start += skipped
        return self._text[offset - self._start :][:most]

    def beginning(self) -> bytes:
        return self.first_beginning

    def descriptor_name(self) -> str | None:
        return None

    def close(self) -> None:
        self._chunks = iter(())

    def _more(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except PostkeelError as error:
            self.problem = str(error)
            return b""


@frozen
class _Listed:
    """A piece in the directory at the moment of a look."""

    name: str
    identity: tuple[int, int]
    modified: int
    size: int

    @property
    def packed(self) -> bool:
        return is_packed(self.name)

    def open(self) -> Piece | None:
        """None when the name means another piece by now, or none."""
        with suppress(FileNotFoundError):
            piece: Piece = PackedPiece(self.name) if self.packed else PlainPiece(self.name)
            if piece.identity == self.identity:
                return piece
            piece.close()
        return None

    def open_at(self, mark: Mark) -> Piece | None:
        """None when the mark is not in it, too."""
        piece = self.open()
        if piece is None or digest(piece.first_beginning[: mark.beginning_size]) == mark.beginning:
            return piece
        piece.close()
        return None


def present_identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what the name means now; None when there is no such file."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (status.st_dev, status.st_ino)


def is_there(path: str, identity: tuple[int, int]) -> bool:
    """Whether a piece of the log has this inode."""
    return any(one.identity == identity for one in _listed(path))


def holding(path: str, mark: Mark) -> Piece | None:
    """The piece that the mark is in: under its own inode, else a copy, else compressed."""
    entries = _listed(path)
    for _ in range(_MOST_LOOKS):
        found = _search(entries, mark)
        before, entries = entries, _listed(path)
        if found is not None or _names(entries) == _names(before):
            return found
    return None


def _search(entries: tuple[_Listed, ...], mark: Mark) -> Piece | None:
    newest_first = entries[::-1]
    for one in sorted(newest_first, key=lambda one: (one.identity != mark.identity, one.packed)):
        piece = one.open_at(mark)
        if piece is not None:
            return piece
    return None


def following(path: str, mark: Mark, *, gone: bool = False) -> Piece | None:
    """The next piece with something in it after the marked one; None while there is none.

    gone: no piece holds the mark; then it is the first that was written to after it.
    """
    if not gone and present_identity(path) == mark.identity:
        return None
    entries = _listed(path)
    for _ in range(_MOST_LOOKS):
        newer = [one for one in _newer(entries, path, mark, gone=gone) if one.size]
        if not newer:
            return None
        piece = newer[0].open()
        # Had it been copied and truncated before it was opened, its copy would come first.
        before, entries = entries, _listed(path)
        if piece is not None and _names(entries) == _names(before):
            return piece
        if piece is not None:
            piece.close()
    return None


def _newer(entries: tuple[_Listed, ...], path: str, mark: Mark, *, gone: bool) -> Iterable[_Listed]:
    places = [number for number, one in enumerate(entries) if one.identity == mark.identity]
    if places and not gone:
        return entries[places[0] + 1 :]
    return [one for one in entries if one.name == path or one.modified > mark.modified]


def _listed(path: str) -> tuple[_Listed, ...]:
    """The pieces, the oldest first, the present file last, as soon as they stand still."""
    entries = tuple(_look(path))
    for _ in range(_MOST_LOOKS):
        before, entries = entries, tuple(_look(path))
        if _names(entries) == _names(before):
            break
    return entries


def _names(entries: tuple[_Listed, ...]) -> list[tuple[str, tuple[int, int]]]:
    return [(one.name, one.identity) for one in entries]


def _look(path: str) -> Iterator[_Listed]:
    for name in (*older(path), path):
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.stat(name)
            if name == path or stat.S_ISREG(status.st_mode):
                yield _Listed(
                    name=name,
                    identity=(status.st_dev, status.st_ino),
                    modified=status.st_mtime_ns,
                    size=status.st_size,
                )
