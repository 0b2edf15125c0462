"""Logical lines: how Postfix joins physical lines of main.cf and master.cf.

A line that starts with white space continues the one before it, across comment
lines and blank lines; a comment line is one whose first character that is not
white space is `#`. The rules are those of Postfix's readllines(3), byte for
byte, which are not those of Python's str.isspace: only ASCII counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from postkeel.core.frozen import frozen

SPACE = " \t\n\v\f\r"
"""What C's isspace calls white space in ASCII."""


@frozen
class LogicalLine:
    """Joined text and where it came from.

    `numbers` are the physical lines (from 1) that carry text, comments and
    blank lines between them left out; `starts` are the offsets in `joined` at
    which each begins. `joined` is whole; Postfix sees it up to the first NUL.
    """

    numbers: tuple[int, ...]
    starts: tuple[int, ...]
    joined: str

    @property
    def text(self) -> str:
        """The text that Postfix, written in C, sees of it."""
        return self.joined.split("\0", 1)[0]

    @property
    def ignored(self) -> bool:
        """Indented text that has nothing before it to continue."""
        return self.joined[0] in SPACE

    def number(self, offset: int) -> int:
        """The physical line on which this offset of `joined` stands."""
        return self.numbers[bisect_right(self.starts, offset) - 1]

    def line_end(self, offset: int) -> int:
        """The offset at which the physical line with the character at `offset` ends."""
        index = bisect_right(self.starts, offset)
        return self.starts[index] if index < len(self.starts) else len(self.joined)

    def splice(self, lines: list[str], start: int, end: int, new: str) -> None:
        """Put `new` in place of `joined[start:end]` in the file's lines.

        Lines that were cut and hold nothing more become empty strings, so
        that the numbers of the others still hold; a line's CR survives, and a
        continuation line stays one.
        """
        chosen = bisect_right(self.starts, start) - 1
        for index, (number, begin) in enumerate(zip(self.numbers, self.starts, strict=True)):
            body, ending = split_ending(lines[number - 1])
            low, high = max(start - begin, 0), max(end - begin, 0)
            if index != chosen and (low >= len(body) or high == 0):
                continue
            fresh = body[:low] + (new if index == chosen else "") + body[high:]
            if index and fresh.strip(SPACE) and fresh[0] not in SPACE:
                fresh = body[: len(body) - len(body.lstrip(SPACE))] + fresh
            if body.endswith("\r") and not fresh.endswith("\r"):
                fresh += "\r"
            lines[number - 1] = fresh + ending if fresh.strip(SPACE) else ""


def split_lines(text: str) -> list[str]:
    """Physical lines with their newline; only LF ends a line."""
    lines = text.split("\n")
    last = lines.pop()
    whole = [line + "\n" for line in lines]
    return [*whole, last] if last else whole


def split_ending(line: str) -> tuple[str, str]:
    """A line without its LF, and the LF if it has one."""
    return (line[:-1], "\n") if line.endswith("\n") else (line, "")


def logical_lines(text: str) -> Iterator[LogicalLine]:
    """Every logical line of the text, those that Postfix ignores included. Total."""
    numbers: list[int] = []
    parts: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if parts and line[:1] not in ("", "#", *SPACE):
            yield _joined(numbers, parts)
            numbers, parts = [], []
        if line.lstrip(SPACE)[:1] not in ("", "#"):
            numbers.append(number)
            parts.append(line)
    if parts:
        yield _joined(numbers, parts)


def _joined(numbers: list[int], parts: list[str]) -> LogicalLine:
    starts = [0]
    for part in parts[:-1]:
        starts.append(starts[-1] + len(part))
    return LogicalLine(numbers=tuple(numbers), starts=tuple(starts), joined="".join(parts))


def split_assignment(text: str) -> tuple[str, str] | str:
    """(name, value) of `name = value`, else what is wrong, in Postfix's words."""
    stripped = text.lstrip(SPACE)
    if not stripped or stripped[0] == "=":
        return "missing attribute name"
    end = next((at for at, one in enumerate(stripped) if one in SPACE or one == "="), len(stripped))
    rest = stripped[end:].lstrip(SPACE)
    if not rest.startswith("="):
        return "missing '=' after attribute name"
    return stripped[:end], rest[1:].strip(SPACE)


def as_printed(value: str) -> str:
    """The value as `postconf -n` and `-P` print it: each run of blanks made one space."""
    for blank in "\t\r\n":
        value = value.replace(blank, " ")
    return " ".join(word for word in value.split(" ") if word)
