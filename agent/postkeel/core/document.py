"""A TOML document that remembers where its keys stand.

tomli gives values without lines; an administrator needs the line. The text is
searched for the table header and the key, which is right for every document
that postkeel reads, and at worst names the table instead of the key.
"""

from __future__ import annotations

from collections.abc import Mapping

from postkeel.core.errors import Problem
from postkeel.core.frozen import frozen


@frozen
class Document:
    """A parsed file: its name, its text and its top-level table."""

    file: str
    text: str
    data: Mapping[str, object]

    def problem(self, message: str, *keys: str, nth: int = 0) -> Problem:
        """A located problem about the key at this path (`nth` of an array of tables)."""
        return Problem(file=self.file, line=self.line(*keys, nth=nth), message=message)

    def line(self, *keys: str, nth: int = 0) -> int:
        """The line, from 1, where the key at this path is set; 0 when it is not found."""
        if not keys:
            return 0
        lines = self.text.split("\n")
        for depth in range(len(keys), 0, -1):
            start = 0 if depth == 1 else _header(lines, keys[: depth - 1], nth)
            if start is not None:
                found = _key(lines, start, keys[depth - 1]) or 0
                if found:
                    return found
            header = _header(lines, keys[:depth], nth)
            if header is not None:
                return header
        return 0


def _plain(text: str) -> str:
    return text.replace('"', "").replace("'", "").replace(" ", "")


def _header(lines: list[str], keys: tuple[str, ...], nth: int) -> int | None:
    wanted = _plain(".".join(keys))
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("[") and _plain(text.split("#")[0]).strip("[]") == wanted:
            if nth == 0 or not text.startswith("[["):
                return number
            nth -= 1
    return None


def _key(lines: list[str], start: int, key: str) -> int | None:
    for number, line in enumerate(lines[start:], start=start + 1):
        text = line.strip()
        if text.startswith("["):
            return None
        if "=" in text and _plain(text.split("=", 1)[0]) == _plain(key):
            return number
    return None
