"""Reading what belongs to the side "monitor" with that side's rights, not with root's.

Who has taken the monitor over may put a symbolic link anywhere in its directories:
followed with root's rights it would be root who reads, or SQLite who writes, at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_owner(directory: str) -> Iterator[None]:
    """Act as the directory's owner, when this is root and the owner is not.

    Security: its parent must be root's, so that nobody chooses the owner.
    """
    try:
        found = os.lstat(directory)
    except OSError:
        yield  # nothing of anybody's is there to be read
        return
    if os.geteuid() != 0 or found.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def become_owner(directory: str, *groups: str) -> None:
    """As `as_owner`, for good: in a process forked for it, whose threads may outlive the work.

    groups: in which it is besides the owner's, where they are known here.
    """
    try:
        found = os.lstat(directory)
    except OSError:
        return  # nothing of anybody's is there to be read
    if os.geteuid() != 0 or found.st_uid == 0:
        return
    os.setgroups([number for one in groups for number in _numbers(one)])
    os.setresgid(found.st_gid, found.st_gid, found.st_gid)
    os.setresuid(found.st_uid, found.st_uid, found.st_uid)


def _numbers(group: str) -> list[int]:
    import grp

    try:
        return [grp.getgrnam(group).gr_gid]
    except KeyError:
        return []
