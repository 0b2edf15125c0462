"""A manual page of ours as what it says: sections, items of lists, and literal blocks.

It reads the few macros of mdoc(7) that the pages use; how they look is for mandoc and groff.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_ESCAPES = {
    r"\-": "-",
    r"\&": "",
    r"\e": "\\",
    r"\(dq": '"',
    r"\(aq": "'",
    r"\(ga": "`",
    r"\(ha": "^",
    r"\(ti": "~",
}
_ESCAPE = re.compile(r"\\\(..|\\.")


def plain(text: str) -> str:
    """The text as it is shown; KeyError for an escape that the pages do not use."""
    return _ESCAPE.sub(lambda found: _ESCAPES[found[0]], text)


@dataclass(frozen=True)
class Item:
    """An item of a list: the words of its head, macros included, and the lines of its text."""

    head: tuple[str, ...]
    body: tuple[str, ...]

    def after(self, macro: str) -> tuple[str, ...]:
        """The words that this macro marks in the head, punctuation left out."""
        found = []
        marked = False
        for word in self.head:
            if re.fullmatch("[A-Z][a-z]", word):
                marked = word == macro
            elif marked and word not in ("|", ",", ":", "="):
                found.append(word)
        return tuple(found)

    @property
    def options(self) -> frozenset[str]:
        return frozenset(f"-{one}" for one in self.after("Fl"))

    @property
    def text(self) -> str:
        return " ".join(self.body)


class Page:
    """One page, read from its source."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = path.read_text().splitlines()

    def part(self, title: str) -> list[str]:
        """The lines of this section or subsection. ValueError when there is none."""
        for macro, ends in ((".Sh", (".Sh",)), (".Ss", (".Sh", ".Ss"))):
            if f"{macro} {title}" in self.lines:
                rest = self.lines[self.lines.index(f"{macro} {title}") + 1 :]
                end = next((at for at, one in enumerate(rest) if one.startswith(ends)), len(rest))
                return rest[:end]
        raise ValueError(f"{self.path}: no section {title}")

    def subsections(self, title: str) -> list[str]:
        return [one.removeprefix(".Ss ") for one in self.part(title) if one.startswith(".Ss ")]

    def items(self, title: str) -> list[Item]:
        """The items of all lists of a part, nested ones too, in their order."""
        found: list[tuple[tuple[str, ...], list[str]]] = []
        within: list[list[str]] = []
        for line in self.part(title):
            if line.startswith(".Bl"):
                within.append([])
            elif line == ".El":
                within.pop()
            elif line.startswith(".It"):
                within[-1] = []
                found.append((tuple(_words(line)[1:]), within[-1]))
            elif within:
                within[-1].append(_shown(line))
        return [Item(head=head, body=tuple(body)) for head, body in found]

    def literals(self, title: str) -> list[str]:
        """The literal blocks of a part, as they are shown."""
        blocks = re.findall(r"(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed", "\n".join(self.part(title)))
        return [plain(one) for one in blocks]

    def marked(self, *macros: str) -> list[str]:
        """The whole lines of these macros, anywhere on the page, as they are shown."""
        start = tuple(f".{one} " for one in macros)
        return [_shown(one) for one in self.lines if one.startswith(start)]

    @property
    def text(self) -> str:
        return " ".join(_shown(one) for one in self.lines if not one.startswith('.\\"'))


def _words(line: str) -> list[str]:
    return [plain(one) for one in re.findall(r'"[^"]*"|\S+', line)]


def _shown(line: str) -> str:
    """A line without the macro that begins it."""
    words = _words(line)
    return " ".join(words[1:] if line.startswith(".") else words)


def commands_in(line: str) -> list[list[str]]:
    """The arguments of each call of postkeel in a line of shell."""
    calls = re.findall(r"(?:^|\|) *postkeel ([^|]+)", line)
    return [shlex.split(re.sub(r" [.,:;]$", "", one)) for one in calls]
