"""The kernel's inotify in the loop: one descriptor for any number of names, and no thread.

Python's library has no inotify, the C library has. The calls pass numbers and a
name and nothing calls back from C, so no memory must be writable and executable.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from postkeel.shell.loop import Loop

# As in <sys/inotify.h>, alike on every machine. Plain numbers: a stream of writes
# brings 50,000 of them a second.
MODIFY: Final = 0x002
ATTRIB: Final = 0x004
CLOSE_WRITE: Final = 0x008
MOVED_FROM: Final = 0x040
MOVED_TO: Final = 0x080
CREATE: Final = 0x100
DELETE: Final = 0x200
DELETE_SELF: Final = 0x400
MOVE_SELF: Final = 0x800
UNMOUNT: Final = 0x2000
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
ONLY_DIRECTORY: Final = 0x01000000
DO_NOT_FOLLOW: Final = 0x02000000
ADD_TO_MASK: Final = 0x20000000
IS_DIRECTORY: Final = 0x40000000
ONE_SHOT: Final = 0x80000000

_AT_ONCE: Final = 65536
"""Octets that one turn of the loop takes; the rest is for the next one."""

_HEADER: Final = struct.Struct("iIII")

_SEE: Final = {
    errno.EMFILE: "see the sysctl fs.inotify.max_user_instances, and the limit of open files",
    errno.ENOSPC: "see the sysctl fs.inotify.max_user_watches",
}


class FileEvent(NamedTuple):
    """Something happened to `name` in a watched directory, or to the watched itself ("").

    `OVERFLOW` has no watch: the kernel has dropped events of any. `IGNORED` is the last
    one of its watch, whose number is not given again.
    """

    watch: int
    mask: int
    name: str


class Inotify:
    """Calls `happened` in the loop's thread with the events of its watches, in their order.

    Diagnostics: OSError, whose text names the sysctl to raise when the kernel's limits
    are reached.
    """

    def __init__(self, loop: Loop, happened: Callable[[list[FileEvent]], object]) -> None:
        self._loop = loop
        self._happened = happened
        library = ctypes.CDLL(None, use_errno=True)
        self._add = library.inotify_add_watch
        self._add.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        self._remove = library.inotify_rm_watch
        self._remove.argtypes = (ctypes.c_int, ctypes.c_int)
        self._number: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._number < 0:
            raise _refusal()
        loop.register(self._number, self._read)

    def watch(self, name: str, mask: int) -> int:
        """Watch what has this name now; its number.

        What is watched already, whatever its name was, keeps its number and gets this mask.
        """
        encoded = os.fsencode(name)
        while (number := int(self._add(self._number, encoded, mask))) < 0:
            if ctypes.get_errno() != errno.EINTR:  # some network's file systems give that
                raise _refusal(name)
        return number

    def forget(self, number: int) -> None:
        """Watch it no longer; no error when the kernel has forgotten it by itself."""
        self._remove(self._number, number)

    def close(self) -> None:
        """End all watches; nothing is called back afterwards."""
        self._loop.unregister(self._number)
        os.close(self._number)

    def _read(self) -> None:
        try:
            octets = os.read(self._number, _AT_ONCE)
        except BlockingIOError:
            return
        self._happened(list(_events(octets)))


def _events(octets: bytes) -> Iterator[FileEvent]:
    """The events of one read; the kernel gives whole ones only."""
    at = 0
    while at < len(octets):
        watch, mask, _, length = _HEADER.unpack_from(octets, at)
        at += _HEADER.size
        yield FileEvent(watch, mask, os.fsdecode(octets[at : at + length].rstrip(b"\0")))
        at += length


def _refusal(name: str | None = None) -> OSError:
    """What the C library has just refused, as Python says it, and what to do."""
    number = ctypes.get_errno()
    advice = _SEE.get(number)
    text = os.strerror(number) + (f": {advice}" if advice else "")
    return OSError(number, text, name)
