"""The messages of a Maildir, while others file, flag and delete them.

All names are listed first, so that a message that is filed from new to cur, or flagged in cur,
is read once: where it is not found under the name that it had, its new one is looked up.

Security: the mailbox is its user's, and this may be root. No symbolic link is followed below
cur and new, and what is no regular file is left alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line
from postkeel.shell.log_archive import begins_packed, read_open
from postkeel.shell.mbox import header_of
from postkeel.shell.stored_mail import Complain, Stored, unreadable

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
_CHUNK: Final = 64 * 1024
_MOST_LOOKS: Final = 4
"""A message that moves on each time it is looked for is given up."""


def read_maildir(
    path: str, complain: Complain, told: Callable[[int], object] = lambda _: None
) -> Iterator[Stored]:
    """The messages in cur and new, in the order of their names, which is that of delivery.

    What is deleted before its turn is not in it. told: is given a 1 for each.
    Errors: PostkeelError where it is no Maildir, or closed.
    """
    names = messages_in(path)
    for _ in range(_MOST_LOOKS):
        moved: list[str] = []
        for name in names:
            try:
                yield _read(path, name)
                told(1)
            except FileNotFoundError:
                moved.append(name)
            except PostkeelError as error:
                complain(str(error))
        if not moved:
            return
        names = _found_again(path, moved)


def messages_in(path: str) -> list[str]:
    """Each as its file's name with its directory behind it, sorted: "1763.M1.host:2,S/cur".

    Errors: PostkeelError where it is no Maildir, or closed.
    """
    names = [f"{one}/new" for one in _listed(path, "new")]
    fresh = {_unique(one) for one in names}
    # What is in both was filed between the two lists.
    names += (f"{one}/cur" for one in _listed(path, "cur") if _unique(one) not in fresh)
    names.sort()
    return names


def _found_again(path: str, moved: Iterable[str]) -> list[str]:
    """Under which names they are there now, those that are."""
    wanted = {_unique(one) for one in moved}
    now = {_unique(one): one for one in messages_in(path)}
    return sorted(now[one] for one in wanted & now.keys())


def _unique(name: str) -> str:
    """What of a name stays when a message is filed or flagged."""
    return name.partition("/")[0].partition(":")[0]


def _listed(path: str, directory: str) -> Iterator[str]:
    try:
        with os.scandir(os.path.join(path, directory)) as entries:
            for one in entries:
                if not one.name.startswith("."):
                    yield one.name
    except (FileNotFoundError, NotADirectoryError):
        raise PostkeelError(_no_maildir(path)) from None
    except OSError as error:
        raise unreadable(path, error) from None


def _no_maildir(path: str) -> str:
    above, last = os.path.split(os.path.abspath(path))
    if last in ("cur", "new"):
        return f"{one_line(path)}: a part of a Maildir; give the Maildir itself, {one_line(above)}"
    return (
        f"{one_line(path)}: a directory that is no Maildir, as it has no cur and new; of other"
        " directories give the files"
    )


def _read(path: str, name: str) -> Stored:
    """Errors: FileNotFoundError; PostkeelError for all others."""
    base, _, directory = name.rpartition("/")
    place = os.path.join(path, directory, base)
    try:
        number = os.open(place, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise PostkeelError(_odd(place)) from None
        raise unreadable(place, error) from None
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise PostkeelError(_odd(place))
        one = header_of(_chunks(place, number))
    finally:
        os.close(number)
    return Stored(source=place, header=one.octets, problem=one.problem)


def _odd(place: str) -> str:
    return f"{one_line(place)}: no regular file, so it is no message; left out"


def _chunks(place: str, number: int) -> Iterator[bytes]:
    """The octets, unpacked where the server that filed it packs messages, as Dovecot can."""
    try:
        first = os.read(number, _CHUNK)
        if begins_packed(first):
            os.lseek(number, 0, os.SEEK_SET)
            yield from read_open(place, number, None, "headers")
            return
        while first:
            yield first
            first = os.read(number, _CHUNK)
    except OSError as error:
        raise unreadable(place, error) from None
