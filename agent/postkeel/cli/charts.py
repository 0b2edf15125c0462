"""Small charts in text, and columns that keep their width whatever strangers write into them.

Blocks are drawn where the output can show them, else what ASCII has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from postkeel.core.text import one_line

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_ASCII_HEIGHTS = ".:-=+*#@"


def draws_blocks(stream: TextIO) -> bool:
    """Whether the stream's encoding has block characters."""
    try:
        (_EIGHTHS + _HEIGHTS + "…").encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def bar(share: float, width: int, *, blocks: bool) -> str:
    """A bar of at most `width` columns for a share of 0 to 1; a share above 0 always shows."""
    share = min(max(share, 0.0), 1.0)
    if not blocks:
        return "#" * (max(round(share * width), 1) if share else 0)
    eighths = max(round(share * width * 8), 1) if share else 0
    full, rest = divmod(eighths, 8)
    return _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")


def sparkline(values: Sequence[float], top: float, *, blocks: bool) -> str:
    """One character a value, its height by `top`; nothing is a blank, a little always shows."""
    heights = _HEIGHTS if blocks else _ASCII_HEIGHTS
    last = len(heights) - 1
    return "".join(
        heights[min(round(value / top * last), last)] if value > 0 < top else " "
        for value in values
    )


def columns_of(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def fitted(text: str, width: int, *, blocks: bool, right: bool = False) -> str:
    """Any text as exactly `width` columns on one line: cut or filled up with blanks."""
    shown = cut(text, width, blocks=blocks)
    filling = " " * (width - columns_of(shown))
    return filling + shown if right else shown + filling


def cut(text: str, width: int, *, blocks: bool) -> str:
    """Any text on one line of at most `width` columns, with a mark where it was cut."""
    # No character is shown as more than ten; what is left out here has no room anyway.
    shown = one_line(text[: width + 1], 10 * (width + 1))
    if not blocks:
        shown = shown.encode("ascii", "backslashreplace").decode()
    if len(text) <= width and columns_of(shown) <= width:
        return shown
    mark = "…" if blocks else "~"
    while shown and columns_of(shown) > width - 1:
        shown = shown[:-1]
    return shown + mark


def wrapped(text: str, width: int, *, indent: str, blocks: bool) -> Iterator[str]:
    """Any text as lines of at most `width` columns, broken at blanks; a long word is cut.

    The indent of the first line stands before the others with two blanks more.
    """
    line = before = indent
    for word in one_line(text).split():
        shown = cut(word, width - len(indent) - 2, blocks=blocks)
        if line != before and columns_of(line) + 1 + columns_of(shown) > width:
            yield line
            line = before = indent + "  "
        line += shown if line == before else f" {shown}"
    if line != before:
        yield line
