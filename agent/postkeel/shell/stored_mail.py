"""What reading a mailbox gives: headers, and sentences on what could not be read."""

from __future__ import annotations

from collections.abc import Callable

from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

Complain = Callable[[str], object]
"""Takes a sentence on a file that could not be read, or not to its end."""


@frozen
class Stored:
    """A message's header as it lies there.

    source: the file as given, or in a Maildir; "-" is standard input. number: in an mbox, from
    1, else 0. problem: what is wrong with the header, a sentence without end, or "".
    """

    source: str
    header: bytes
    number: int = 0
    problem: str = ""


def unreadable(path: str, error: OSError) -> PostkeelError:
    """What to tell a person about mail that cannot be read."""
    if isinstance(error, PermissionError):
        return PostkeelError(
            f"{one_line(path)}: permission denied: a mailbox is its user's; read it as that user,"
            " or as root"
        )
    return PostkeelError(f"{one_line(path)}: cannot be read: {error.strerror or error}")
