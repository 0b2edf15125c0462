"""The mailbox that probes come to: an mbox file or a Maildir, and what is done in it.

Probes of this host are taken out, and nothing else is touched: what else lies there is
counted.

Security: anybody may send mail there. A message is a probe by a token that only this host can
make; of others nothing is kept. Names in it are never followed: a symbolic link, a pipe or a
device in the place of a file is refused.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final, NamedTuple, Protocol

from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line
from postkeel.shell.probe_token import FIELD, Token, read_token

MOST_HEADER: Final = 256 * 1024
"""Octets of a header that are handed on, the last ones: what the probe itself wrote is there."""

OPEN: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""However a mailbox is opened: no link is followed, and no pipe waited for."""

_TOKEN: Final = re.compile(
    rb"^%b:[ \t]*([0-9a-f.]{1,80})[ \t]*\r?$" % FIELD.encode(), re.IGNORECASE | re.MULTILINE
)
_NAME: Final = 200


class BusyError(Exception):
    """Somebody else has locked the mailbox; it may be another thing in a moment."""


class Taken(NamedTuple):
    """A probe that was in the mailbox. came: when it was put there, seconds of the epoch."""

    token: Token
    header: bytes
    came: float


class Watched(NamedTuple):
    """What tells that something came: name and inotify mask; `instead` when it may not be read."""

    path: str
    mask: int
    instead: str = ""


class Mailbox(Protocol):
    """Who uses it is one user, whose own it has to be."""

    @property
    def others(self) -> int:
        """Messages in it that are no probes of this host."""
        raise NotImplementedError

    @property
    def left(self) -> int:
        """Probes that could not be taken out."""
        raise NotImplementedError

    @property
    def watched(self) -> tuple[Watched, ...]:
        raise NotImplementedError

    def take(self) -> list[Taken]:
        """Take out the probes that are in it.

        Errors: BusyError when it is locked; PostkeelError with a sentence when it cannot be
        used.
        """
        raise NotImplementedError


def mailbox_of(name: str, directory: str, secret: bytes) -> Mailbox:
    """The mailbox of this name, which is below `directory` unless it is absolute.

    Errors: PostkeelError when it has no name.
    """
    if not name.strip("/"):
        raise PostkeelError("no mailbox is known: set probe_mailbox")
    path = os.path.join(directory, name)
    if name.endswith("/"):
        from postkeel.shell.probe_maildir import Maildir

        return Maildir(path.rstrip("/"), secret)
    from postkeel.shell.probe_mbox import Mbox

    return Mbox(path, secret)


def token_in(header: bytes, secret: bytes) -> Token | None:
    """Whose probe it is that has this header; None when it is not one of this host."""
    for one in _TOKEN.finditer(header):
        token = read_token(one[1].decode("ascii"), secret)
        if token is not None:
            return token
    return None


def unusable(path: str, reason: str) -> PostkeelError:
    return PostkeelError(f"{one_line(path, _NAME)}: {reason}")


def must_be_own(path: str, descriptor: int) -> os.stat_result:
    """What is known of an open file. Errors: PostkeelError when it is no file of this user."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise unusable(path, "no regular file, so it is not used as a mailbox")
    if found.st_uid != os.geteuid():
        raise unusable(path, not_own(found))
    return found


def not_own(found: os.stat_result) -> str:
    return f"belongs to user {found.st_uid} and not to user {os.geteuid()}, who sends probes"
