"""Whether packages are being installed right now, by asking for dpkg's locks without taking them.

Maintainer scripts edit master.cf with sed and mv, and no lock of Postfix's keeps
them out. So nothing is written while dpkg, or apt around it, is at work.
"""

from __future__ import annotations

import fcntl
import os
import struct

from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

DIRECTORY = "/var/lib/dpkg"
_LOCKS = ("lock-frontend", "lock")  # apt holds the first from before its question to the end
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, process
_NAME_LIMIT = 40


@frozen
class LockHolder:
    """A process; 0 where it has no number here, "" where its name may not be read."""

    pid: int
    name: str

    def __str__(self) -> str:
        if self.pid <= 0:
            return "a process of another container"
        return f"process {self.pid} {self.name}".rstrip()


def held_by(directory: str = DIRECTORY) -> LockHolder | None:
    """Who holds one of dpkg's locks, or None; also None without dpkg.

    Needs no capability, and no more than to read root's files. The answer is true of the moment.

    Security: only who may write root's files holds such a lock. Asked is who is in the way of a
    reader: a stranger's lock for reading, where the files may be read, keeps no correction away.
    """
    for name in _LOCKS:
        holder = _asked(os.path.join(directory, name))
        if holder is not None:
            return holder
    return None


def _asked(path: str) -> LockHolder | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        question = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else LockHolder(pid=pid, name=_name(pid))


def _name(pid: int) -> str:
    """A sandbox with ProtectProc=invisible hides who has more capabilities than the agent."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return one_line(file.read(_NAME_LIMIT).strip())
    except OSError:
        return ""
