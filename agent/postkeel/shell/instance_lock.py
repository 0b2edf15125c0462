"""One agent an instance: a lock on the configuration directory itself.

A lock on the directory leaves no file behind, outlives no process, and is not
postconf's lock. It keeps agents apart, nothing more: commands and editors work on.
"""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import Self

from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen

_LOCKS = "/proc/locks"


class InstanceLock:
    """Holds the instance from construction to `close`, or to the end of the process.

    Errors: PostkeelError when another agent has it, naming its process where
    /proc/locks tells.
    Security: whoever may read the directory may lock it. A lock that neither
    root nor this process's user holds is a stranger's: it does not keep the
    agent from starting, and `stranger` says whose process it is.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.stranger = ""
        try:
            self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PostkeelError(f"{directory}: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._judge_holders()
        except OSError as error:
            self.close()
            raise PostkeelError(f"{directory}: cannot be locked: {error.strerror}") from error

    def still_there(self) -> bool:
        """Whether the directory of this name still is the one that was locked."""
        try:
            now = os.stat(self.directory)
        except OSError:
            return False
        return os.path.samestat(now, os.fstat(self._descriptor))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _judge_holders(self) -> None:
        holders = _holders(self.directory)
        ours = [one for one in holders if one.user in (0, os.geteuid())]
        if holders and not ours:
            named = ", ".join(f"process {one.pid} of user {one.user}" for one in holders)
            self.stranger = f"{self.directory}: locked by {named}, who is no agent; going on"
            return
        self.close()
        who = f"process {ours[0].pid}" if ours else "another process"
        raise PostkeelError(f"{self.directory}: {who} guards this instance already")


def guarded_by(directory: str, *, owner: int = 0, claimed: int = 0) -> int | None:
    """The process that guards this instance, or None; /proc/locks tells, which disturbs nobody.

    owner: whose agents count, beside those of root and of this process's user.
    claimed: the process that says it does; believed where a stranger has the lock, if it
    lives and has the directory open, as an agent has.
    """
    users = (0, os.geteuid(), owner)
    holders = _holders(directory)
    agent = next((one.pid for one in holders if one.user in users), None)
    if agent is None and holders and claimed and _has_open(claimed, os.stat(directory)):
        return claimed
    return agent


@frozen
class _Holder:
    pid: int
    user: int


def _holders(directory: str) -> list[_Holder]:
    """The processes that hold an flock on the directory; empty when the kernel does not say."""
    try:
        with open(_LOCKS, encoding="ascii") as file:
            lines = [line.split() for line in file]
        wanted = os.stat(directory)
    except OSError:
        return []
    pids = [
        int(words[4])
        for words in lines
        # "7: FLOCK ADVISORY WRITE 312 08:01:1234 0 EOF"; a waiter has "->" as its second word.
        if words[1:2] == ["FLOCK"] and words[5].rsplit(":", 1)[-1] == str(wanted.st_ino)
    ]
    return [_Holder(pid=pid, user=_user(pid)) for pid in pids if _has_open(pid, wanted)]


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    """Whether the process has the directory open: two file systems may have equal inode numbers.

    The device that /proc/locks gives is not the one that stat gives on Btrfs or
    overlayfs. A process whose descriptors may not be read is taken to have it open.
    """
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return True
    except OSError:
        return False
    for name in names:
        try:
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), wanted):
                return True
        except PermissionError:  # its names may be listed, and not followed
            return True
        except OSError:
            continue
    return False


def _user(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return 0
