"""Mail where it lies: messages, mboxes and Maildirs, plain or compressed; only their headers.

Nothing is locked and nothing changed, so what is being delivered may be met in half.

Security: mailboxes are written by their users. Each header is cut at 1 MiB, nothing else of a
message is kept, and what it unpacks to costs time only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.shell.log_archive import STANDARD_INPUT, read_open
from postkeel.shell.maildir import messages_in, read_maildir
from postkeel.shell.mbox import headers_in
from postkeel.shell.stored_mail import Complain, Stored, unreadable

_DRAINED: Final = 64 << 20
"""Octets of standard input that are read behind what is wanted, as who writes them may take
it for an error that nobody reads on: the largest message that anybody pipes in."""


def read_messages(
    path: str, complain: Complain, told: Callable[[int], object] = lambda _: None
) -> Iterator[Stored]:
    """The messages in a file or Maildir, or on standard input ("-").

    told: is given how many octets more were read of a file, or messages of a Maildir, see
    `work_in`. Errors: none, they are complaints.
    """
    try:
        if path != STANDARD_INPUT and os.path.isdir(path):
            yield from read_maildir(path, complain, told)
        else:
            yield from _in_file(path, told)
    except PostkeelError as error:
        complain(str(error))


def _in_file(path: str, told: Callable[[int], object]) -> Iterator[Stored]:
    number = 0 if path == STANDARD_INPUT else _opened(path)
    try:
        chunks = read_open(path, number, told, "headers")
        for one in headers_in(chunks):
            yield Stored(source=path, header=one.octets, number=one.number, problem=one.problem)
        if not number:
            _drain(chunks)
    finally:
        if number:
            os.close(number)


def _drain(chunks: Iterator[bytes]) -> None:
    drained = 0
    for chunk in chunks:
        drained += len(chunk)
        if drained > _DRAINED:
            return


def _opened(path: str) -> int:
    """Errors: PostkeelError. A named pipe waits for who writes it, as everywhere."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from None


def work_in(path: str) -> int:
    """How much `read_messages` will tell: octets of a file, messages of a Maildir.

    0 where nobody knows.
    """
    if path == STANDARD_INPUT:
        return 0
    try:
        if os.path.isdir(path):
            return len(messages_in(path))
        status = os.stat(path)
    except (OSError, PostkeelError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
