"""Names the process that holds a flock, from /proc/locks."""

from __future__ import annotations

import os


def lock_holder(descriptor: int) -> str:
    """Who holds the flock on this open file: "postconf (process 312)", else "another process".

    For a message only: the holder may have let go since. A process of another
    PID namespace has no number here.
    """
    # The device that stands before the inode is not stat's on Btrfs and overlayfs.
    inode = str(os.fstat(descriptor).st_ino)
    for line in _read("/proc/locks").splitlines():
        words = line.split()
        # a line of somebody who waits has "->" as its second word
        if words[1:2] == ["FLOCK"] and words[5].endswith(f":{inode}") and words[4] != "0":
            return _described(words[4])
    return "another process"


def _described(process: str) -> str:
    name = _read(f"/proc/{process}/comm").strip()
    return f"{name if name.isprintable() and name else 'a process'} (process {process})"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
