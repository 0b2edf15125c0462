"""Mail logs as they lie on disk: plain or compressed, and the older ones beside them."""

from __future__ import annotations

import bz2
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line

CHUNK: Final = 256 * 1024
"""Octets handed out at once, at most."""

STANDARD_INPUT: Final = "-"

_PACKED_CHUNK = 32 * 1024
_XZ_MEMORY = 128 * 1024 * 1024
"""`xz -9` takes 65 MiB to unpack; a file that claims more is refused."""

_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_SUFFIX = re.compile(r"[.-]([0-9]+(?:[-._T:][0-9]+)*)")
_SHORTEST_DATE = 6


class _Unpacker(Protocol):
    """A decompressor of bz2 or lzma, or zlib's made to look like one."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor, with the methods of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_UNPACKERS: dict[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
}
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def read_log(
    path: str, on_progress: Callable[[int], object] | None = None, command: str = "tls-log"
) -> Iterator[bytes]:
    """The octets of a log in chunks of 256 KiB at most; "-" is standard input.

    gzip, bzip2 and xz are unpacked, known by how they begin and not by their name.
    `on_progress` is told how many octets more were read of the file as it is on disk.
    command: postkeel's, that could be given unpacked lines on its standard input.
    Diagnostics: PostkeelError, after all that could be read, when the file is
    missing, may not be read, is damaged or was cut off.
    Security: nothing is kept, so a small file that unpacks to a large one costs time only.
    """
    number = 0 if path == STANDARD_INPUT else _opened(path)
    try:
        yield from read_open(path, number, on_progress, command)
    finally:
        if number:
            os.close(number)


def read_open(
    path: str, number: int, on_progress: Callable[[int], object] | None, command: str
) -> Iterator[bytes]:
    """As `read_log`, of an open file; path is what its errors call it."""
    told = on_progress or (lambda _: None)
    first = next(_stored(path, number, _PACKED_CHUNK, told), b"")
    if first.startswith(_ZSTANDARD):
        raise PostkeelError(
            f"{one_line(path)}: compressed with zstd, which is not unpacked here: "
            f"zstdcat FILE | postkeel {command} -"
        )
    new = next((new for magic, new in _UNPACKERS.items() if first.startswith(magic)), None)
    if new is not None:
        packed = _stored(path, number, _PACKED_CHUNK, told)
        yield from _unpacked(path, first, packed, new)
    elif first:
        yield first
        yield from _stored(path, number, CHUNK, told)


def begins_packed(first: bytes) -> bool:
    """Whether a file that begins so is compressed, in a way that is unpacked here or not."""
    return first.startswith((*_UNPACKERS, _ZSTANDARD))


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: str, error: OSError) -> PostkeelError:
    """What to tell an administrator about a log that cannot be read."""
    if isinstance(error, PermissionError):
        return PostkeelError(
            f"{one_line(path)}: permission denied: logs are for root and, on Debian, for "
            f"the group adm: add the user who is to read it to that group"
        )
    return PostkeelError(f"{one_line(path)}: cannot be read: {error.strerror or error}")


def _stored(
    path: str, number: int, size: int, on_progress: Callable[[int], object]
) -> Iterator[bytes]:
    try:
        while chunk := os.read(number, size):
            on_progress(len(chunk))
            yield chunk
    except OSError as error:
        raise unreadable(path, error) from None


def _unpacked(
    path: str, first: bytes, more: Iterable[bytes], new: Callable[[], _Unpacker]
) -> Iterator[bytes]:
    """Unpack in small parts: of the one that holds a damage nothing comes out."""
    unpacker: _Unpacker | None = None
    try:
        for packed in _chained(first, more):
            # Archives may be several, one behind the other, with NULs between them.
            rest = packed if unpacker else packed.lstrip(b"\0")
            while rest or (unpacker and not unpacker.needs_input):
                unpacker = unpacker or new()
                text = unpacker.decompress(rest, CHUNK)
                rest = b""
                if text:
                    yield text
                if unpacker.eof:
                    rest, unpacker = unpacker.unused_data.lstrip(b"\0"), None
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise PostkeelError(
            f"{one_line(path)}: damaged; what follows cannot be read: {one_line(str(error))}"
        ) from None
    if unpacker is not None:
        raise PostkeelError(f"{one_line(path)}: cut off: the end of the archive is missing")


def _chained(first: bytes, more: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from more


def total_bytes(paths: Iterable[str]) -> int:
    """What `read_log` will tell as read of all these; 0 when one of them is no regular file."""
    sizes = [_size(path) for path in paths]
    return 0 if None in sizes else sum(size for size in sizes if size)


def _size(path: str) -> int | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def older(path: str) -> tuple[str, ...]:
    """What rotation left of a log beside it, the oldest first, without the log itself.

    mail.log.1, mail.log.2.gz, mail.log-20261122.gz, maillog.20261122-031500: as
    logrotate, savelog and Postfix's own rotation name them. A file that is there plain
    and compressed is named once, plain: it is being compressed.
    """
    directory, name = os.path.split(path)
    try:
        names = frozenset(os.listdir(directory or "."))
    except OSError:
        return ()
    found = [(age, one) for one in names if (age := _age(name, one, names)) is not None]
    return tuple(os.path.join(directory, one) for _, one in sorted(found))


def is_packed(name: str) -> bool:
    """Whether a file of that name is compressed, as rotation names them."""
    return name.endswith(_COMPRESSIONS)


def _age(name: str, other: str, names: frozenset[str]) -> tuple[int, int, str] | None:
    """Sorts older files by age; None for a file that is none. Numbers come before dates."""
    plain = next((other.removesuffix(one) for one in _COMPRESSIONS if other.endswith(one)), other)
    suffix = _SUFFIX.fullmatch(plain, len(name)) if plain.startswith(name) else None
    if suffix is None or (plain != other and plain in names):
        return None
    digits = re.sub(r"\D", "", suffix[1])
    if len(digits) < _SHORTEST_DATE:
        return (0, -int(digits), "")
    return (1, 0, digits)
