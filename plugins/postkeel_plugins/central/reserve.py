"""Room on the disk that is kept for letting go of things.

To delete from a file of SQLite's takes room as well, for its log and for what that has yet
to bring into the file. Without it a spool on a full disk would be stuck until somebody tidies up.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

OCTETS: Final = 2 * 1024 * 1024
"""A whole log, and what one transaction of the sender's adds to it."""


class Reserve:
    """A file of zeros, for as long as there is room for it. Never fails."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_there = False

    def keep(self) -> None:
        """Take the room, unless that was done."""
        if self._is_there:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(self._path, flags, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(file, 0, OCTETS)
            self._is_there = True
        except OSError:
            self.give()
        finally:
            os.close(file)

    def give(self) -> None:
        """Give the room back, for what needs it more."""
        self._is_there = False
        with contextlib.suppress(OSError):
            os.unlink(self._path)
