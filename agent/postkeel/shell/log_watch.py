"""Tells at once when a log is written to, however fast it grows.

The kernel's inotify by itself, not watchdog: its threads take from a third to most of a
processor for a file that gets 50,000 lines a second, one event for each, and those of
Debian 12's die when a watch ends in such a stream. Here a file is watched for one
event at a time, and events of other files in the directory are not asked for.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.shell.loop import Loop

PACE: Final = 0.01
"""Seconds after an event for which no further one of the file is asked for."""

NET: Final = 30.0
"""Seconds after which the log is looked at without any event: not all file systems have them."""

_MODIFY, _ATTRIB, _MOVE_SELF = 0x002, 0x004, 0x800
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _DELETE_SELF = 0x040, 0x080, 0x100, 0x200, 0x400
_ONE_SHOT = 0x80000000

_OF_FILE = _MODIFY | _ATTRIB | _MOVE_SELF | _ONE_SHOT
_OF_DIRECTORY = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
"""As in <sys/inotify.h>, alike on every machine."""


class LogWatch:
    """Calls `ready` in the loop's thread when there may be something new in the log.

    A line after a pause is told within a millisecond, one in a stream of lines
    within `PACE`; when nothing happens, nothing is called but once in `NET`. `open_file`
    names the piece that is being read: it may be written to under another name.
    Diagnostics: PostkeelError when the kernel gives no more watches.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        ready: Callable[[], object],
        open_file: Callable[[], str | None],
    ) -> None:
        self._loop = loop
        self._path = os.path.abspath(path)
        self._ready = ready
        self._open_file = open_file
        self._timer = f"postkeel.log {self._path}"
        self._library = ctypes.CDLL(None, use_errno=True)
        self._number: int = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._number < 0:
            reason = os.strerror(ctypes.get_errno())
            raise PostkeelError(
                f"{self._path}: cannot be watched: {reason}: "
                f"see the sysctl fs.inotify.max_user_instances"
            )
        loop.register(self._number, self._happened)
        self._watch()
        loop.after(self._timer, NET, self._look_again)

    def close(self) -> None:
        """Stop watching; nothing is called back afterwards."""
        self._loop.cancel(self._timer)
        self._loop.unregister(self._number)
        os.close(self._number)

    def _happened(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._number, 65536):
                pass
        self._loop.after(self._timer, PACE, self._look_again)
        self._ready()

    def _look_again(self) -> None:
        self._watch()  # first: what is written from now on is an event
        self._loop.after(self._timer, NET, self._look_again)
        self._ready()

    def _watch(self) -> None:
        """Ask for the next event of the file, the one being read, and their directories.

        What cannot be watched, because it is not there or for want of watches, is left to
        the net; a directory that is watched already stays so.
        """
        for name in {self._path, os.path.realpath(self._path)}:
            self._add(_nearest(os.path.dirname(name)), _OF_DIRECTORY)
        for file in (self._path, self._open_file()):
            if file is not None:
                self._add(file, _OF_FILE)

    def _add(self, name: str, mask: int) -> None:
        self._library.inotify_add_watch(self._number, os.fsencode(name), ctypes.c_uint32(mask))


def _nearest(directory: str) -> str:
    """The directory, or the nearest one above it that is there."""
    while not os.path.isdir(directory) and directory != "/":
        directory = os.path.dirname(directory)
    return directory
