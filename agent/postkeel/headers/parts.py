"""A Received line taken apart: clauses, comments and date (RFC 5321, section 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postkeel.core.frozen import frozen
from postkeel.headers.values import Tls


@frozen
class Clause:
    """What stands after one of the words from, by, via, with, id, for, tls, group.

    value: the words up to the next clause, joined by one blank ("esmtps", "<a@example.org>").
    comments: the texts in parentheses after them, without the outer parentheses, in order;
    what is nested in them stays as it is written.
    """

    value: str
    comments: tuple[str, ...] = ()


@frozen
class Parts:
    """One line. The first clause of each name counts.

    clauses: by name, small letters. before: comments ahead of the first clause, as qmail has
    them. date: what stands after the last semicolon outside of comments, not read yet.
    """

    clauses: Mapping[str, Clause]
    before: tuple[str, ...] = ()
    date: str = ""

    def clause(self, name: str) -> Clause:
        """The clause, or an empty one."""
        return self.clauses.get(name, _NONE)


_NONE = Clause(value="")


@frozen
class Said:
    """What a form knows of a line beyond what all have: by, with, id, for, date.

    hidden: the server keeps the client back on purpose. local: it came from within the host.
    in_clear: the form would have said it, had there been TLS.
    """

    mta: str
    helo: str = ""
    name: str = ""
    address: str = ""
    tls: Tls | None = None
    authenticated: bool = False
    hidden: bool = False
    local: bool = False
    in_clear: bool = False


Reader = Callable[[Parts], "Said | None"]
"""What this mail server says; None when the line is not of its form."""
