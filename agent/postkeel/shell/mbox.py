"""The headers in an mbox, or of one message, out of a stream of octets.

A message begins at a line such as "From a@example.org Mon Nov 23 10:00:00 2026" after an empty
line. Content-Length is not asked: it was written by who sent the message.

Security: a body that holds such a line passes for a further message, where whoever wrote the
mbox did not escape it (Postfix's local(8) does: ">From "). So a sender can add a message that
looks as if it had come another way; he cannot take away the real one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Final

from postkeel.core.frozen import frozen

MOST_HEADER: Final = 1 << 20
"""Octets that are read of a header."""

TOO_LONG: Final = "the header is longer than 1 MiB; the rest of it was not read"

_FROM: Final = (
    rb"From (?:.{0,800} )?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? {1,9}"
    rb"(?:[0-9]{1,2} {1,9})?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,9}"
    rb"(?:[0-9]{1,4} {1,9}){1,2}[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: .{0,80})?\r?\n"
)
_LONGEST: Final = 1024
"""More than the longest of what the patterns match, none of which is without bounds."""

_END: Final = re.compile(rb"\n\r?\n")
_END_OR_FROM: Final = re.compile(rb"\n(?:\r?\n|(?=" + _FROM + rb"))")
_NEXT: Final = re.compile(rb"\n\r?(?=\n" + _FROM + rb")")
_LEADING: Final = re.compile(rb"\n(?:\xef\xbb\xbf)?[\r\n]*")


@frozen
class Header:
    """The octets up to the empty line, and what is wrong with them.

    number: of the message in an mbox, from 1; 0 for a message that is none's.
    """

    octets: bytes
    problem: str = ""
    number: int = 0


def headers_in(chunks: Iterable[bytes]) -> Iterator[Header]:
    """One by one, as they are read; of one message that is no mbox nothing after its header.

    Empty lines and a byte order mark ahead of the first one are left out: people paste headers.
    Memory: one header and a chunk or two, whatever comes. Time: linear.
    """
    octets = _Octets(chunks)
    octets.drop_leading()
    if octets.is_at_end():
        return
    if not octets.begins_mbox():
        yield octets.header(_END, MOST_HEADER)
        return
    number = 0
    while not octets.is_at_end():
        number += 1
        octets.drop_line()
        one = octets.header(_END_OR_FROM)
        yield Header(octets=one.octets, problem=one.problem, number=number)
        octets.drop_body()


def header_of(chunks: Iterable[bytes]) -> Header:
    """The header of one message, whatever it begins with."""
    return _Octets(chunks).header(_END, MOST_HEADER)


class _Octets:
    """What is read of a stream and not done with.

    It always stands at a line end, that before the line to be looked at, as patterns that
    begin with one then fit everywhere. The first line has a line end put before it.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = bytearray(b"\n")
        self._at = 0

    def is_at_end(self) -> bool:
        return not self._has(2)

    def begins_mbox(self) -> bool:
        """Whether the next line is one that messages begin with in an mbox."""
        self._has(_LONGEST)
        begins = self._held.startswith(b"\nFrom ", self._at)
        return begins and self._held.find(b"\n", self._at + 1, self._at + _LONGEST) > 0

    def drop_leading(self) -> None:
        """Drop empty lines, of the first so many octets, and a byte order mark."""
        self._has(_LONGEST)
        found = _LEADING.match(self._held)
        if found:
            self._at = found.end() - 1
        self._held[self._at] = ord("\n")

    def drop_line(self) -> None:
        """Drop a line that is known to be whole."""
        self._at = self._held.index(b"\n", self._at + 1)

    def drop_body(self) -> None:
        """Drop all before the line that the next message begins with."""
        if self.begins_mbox():
            return
        self.take_until(_NEXT, 0)
        if not self.is_at_end():
            self.drop_line()

    def header(self, end: re.Pattern[bytes], furthest: float = math.inf) -> Header:
        """The header that begins here, to its end or the stream's. furthest: see `take_until`."""
        taken, size = self.take_until(end, MOST_HEADER + 1, furthest)
        problem = TOO_LONG if size > MOST_HEADER + 1 else ""
        if not problem and self._held.startswith(b"\nFrom ", self._at):
            problem = "the header has no end"
        return Header(octets=taken[1:] + b"\n", problem=problem)

    def take_until(
        self, pattern: re.Pattern[bytes], most: int, furthest: float = math.inf
    ) -> tuple[bytes, int]:
        """What stands before the next match, at most so much of it, and its size.

        Stands at the match then, or at the end. furthest: when that many octets without a
        match are enough.
        """
        taken, size = bytearray(), 0
        while True:
            place = _place(pattern, self._held, self._at)
            # Of what is not whole yet the end may be the beginning of a match.
            end = max(len(self._held) - _LONGEST, self._at) if place is None else place
            taken += self._held[self._at : min(end, self._at + most - len(taken))]
            size += end - self._at
            self._at = end
            if place is None and size <= furthest and self._more():
                continue
            if place is None:
                taken += self._held[: max(most - len(taken), 0)]
                size += len(self._held)
                self._at = len(self._held)
            return bytes(taken), size

    def _has(self, number: int) -> bool:
        while len(self._held) - self._at < number:
            if not self._more():
                return False
        return True

    def _more(self) -> bool:
        """Take one chunk more. False at the end."""
        chunk = next((one for one in self._chunks if one), b"")
        del self._held[: self._at]
        self._at = 0
        self._held += chunk
        return bool(chunk)


def _place(pattern: re.Pattern[bytes], held: bytearray, begin: int) -> int | None:
    """Where the next match begins; a match that lived on would forbid to add to `held`."""
    found = pattern.search(held, begin)
    return found.start() if found else None
