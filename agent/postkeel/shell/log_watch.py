"""Tells at once when a log is written to, however fast it grows.

A file that gets 50,000 lines a second has an event for each, and to take them all costs
most of a processor. So the file is watched for one event at a time, and what is
written to other files in the directory is not asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.shell import inotify
from postkeel.shell.inotify import Inotify
from postkeel.shell.loop import Loop

PACE: Final = 0.01
"""Seconds after an event for which no further one of the file is asked for."""

NET: Final = 30.0
"""Seconds after which the log is looked at without any event: not all file systems have them."""

_OF_FILE: Final = inotify.MODIFY | inotify.ATTRIB | inotify.MOVE_SELF | inotify.ONE_SHOT
_OF_DIRECTORY: Final = (
    inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.CREATE
    | inotify.DELETE
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
)


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
        try:
            self._inotify = Inotify(loop, self._happened)
        except OSError as error:
            raise PostkeelError(f"{self._path}: cannot be watched: {error.strerror}") from error
        self._watch()
        loop.after(self._timer, NET, self._look_again)

    def close(self) -> None:
        """Stop watching; nothing is called back afterwards."""
        self._loop.cancel(self._timer)
        self._inotify.close()

    def _happened(self, _: object) -> None:
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
        with suppress(OSError):
            self._inotify.watch(name, mask)


def _nearest(directory: str) -> str:
    """The directory, or the nearest one above it that is there."""
    while not os.path.isdir(directory) and directory != "/":
        directory = os.path.dirname(directory)
    return directory
