"""The lock that postconf takes before it edits a file: flock on FILE.tmp.

Its protocol (Postfix, src/util/edit_file.c): open FILE.tmp, flock it, see that
the name still is the locked file (else start again), write into it, rename it
over FILE. Who keeps to it loses nobody's update and has none of his own lost.

One thing is done differently, and postconf cannot tell: a FILE.tmp that a
crash has left is removed under its own lock and made anew, so that no junk, no
mode, no attribute and no stranger's open descriptor comes along with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from postkeel.core.errors import PostfixError
from postkeel.shell.lock_holder import lock_holder

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_FIRST_PAUSE = 0.0005  # postconf holds the lock for about a millisecond
_LONGEST_PAUSE = 0.005
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class EditLock:
    """Holds FILE.tmp: locked, empty, made by us. Leaving the context lets go of it.

    Diagnostics: PostfixError when somebody holds it past `ends` (of
    time.monotonic) or when it is no plain file; OSError from the system.
    Security: a symbolic link, device or file with a second name at FILE.tmp is
    refused, never followed or written.
    """

    __slots__ = ("descriptor", "ends", "name", "renamed")

    def __init__(self, path: str, ends: float) -> None:
        self.name = path + ".tmp"
        self.ends = ends
        self.descriptor = -1
        self.renamed = False

    def __enter__(self) -> Self:
        self.descriptor = _acquire(self.name, self.ends)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A leftover is harmless, so failing to tidy up hides no other error.
        with contextlib.suppress(OSError):
            if not self.renamed and self.intact():
                os.unlink(self.name)
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def intact(self) -> bool:
        """Whether the name still is the file we hold, as the protocol promises."""
        return _is_named(self.name, self.descriptor)

    def rename(self, target: str) -> None:
        """Put what was written into FILE.tmp in the target's place, and give the name up."""
        os.rename(self.name, target)
        self.renamed = True


def _acquire(name: str, ends: float) -> int:
    while True:
        descriptor, made = _open(name)
        taken = False
        try:
            _refuse(name, descriptor)
            _wait(name, descriptor, ends)
            if _is_named(name, descriptor):
                taken = made and os.fstat(descriptor).st_size == 0
                if not taken:
                    os.unlink(name)
        finally:
            if not taken:
                os.close(descriptor)
        if taken:
            return descriptor


def _open(name: str) -> tuple[int, bool]:
    """The file's descriptor, and whether it was made by this call."""
    while True:
        with contextlib.suppress(FileExistsError):
            return os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600), True
        if stat.S_ISLNK(_mode(name)):
            raise PostfixError(f"{name} is a symbolic link, which is never followed; remove it")
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, _FLAGS), False


def _mode(name: str) -> int:
    try:
        return os.lstat(name).st_mode
    except FileNotFoundError:
        return 0


def _refuse(name: str, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise PostfixError(f"{name} is not a plain file with one name; look at it and remove it")


def _wait(name: str, descriptor: int, ends: float) -> None:
    """Take the flock, or return at once when the name has become another file."""
    pause = _FIRST_PAUSE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                holder = lock_holder(descriptor)
                file = name.removesuffix(".tmp")
                raise PostfixError(f"{file} is locked by {holder}; nothing changed") from None
        else:
            return
        if not _is_named(name, descriptor):
            return
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _is_named(name: str, descriptor: int) -> bool:
    try:
        named = os.lstat(name)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))
