"""Files of postkeel's own that are always whole: the old content or the new, never half.

Postfix's files are not written here but by `writer`, which has more to keep.
"""

from __future__ import annotations

import os
from contextlib import suppress

from postkeel.core.errors import PostkeelError


def write_whole(path: str, content: bytes, *, mode: int, durable: bool) -> None:
    """Replace the file; `durable` means that a power cut after the return changes nothing.

    The directory is made, for its owner only, when it is missing.

    Diagnostics: PostkeelError naming the file; the old one is then as it was.
    Security: the staged file is made anew in the same directory, without
    following a link that somebody put in its place.
    """
    staged = f"{path}.new"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        _unlink(staged)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(staged, flags, 0o600)
        try:
            _write_all(descriptor, content)
            os.fchmod(descriptor, mode)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(staged, path)
        if durable:
            _sync_directory(os.path.dirname(path))
    except OSError as error:
        _unlink(staged)
        raise PostkeelError(f"{path}: cannot be written: {error.strerror}") from error


def read_whole(path: str, *, limit: int = -1) -> bytes | None:
    """The file's content, or its first `limit` bytes; None when there is no such file.

    Errors: PostkeelError for any other failure.
    """
    try:
        # Who has put a pipe there must not make us wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read(limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PostkeelError(f"{path}: cannot be read: {error.strerror}") from error


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _unlink(path: str) -> None:
    with suppress(OSError):  # not there, or O_EXCL will say why it cannot go
        os.unlink(path)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
