"""master.cf read as `postconf -M` and `postconf -P` read it, with lines and places."""

from __future__ import annotations

from collections.abc import Mapping

from postkeel.core.errors import Problem
from postkeel.core.frozen import frozen
from postkeel.postfix.logical_lines import (
    LogicalLine,
    as_printed,
    logical_lines,
    split_assignment,
)

BLANKS = " \t\r\n"
"""What separates the words of an entry."""

_FIELDS = 8
_TYPES = ("unix", "fifo", "inet", "pass", "unix-dgram")
_FIELD_NAMES = ("service", "type", "private", "unprivileged", "chroot", "wakeup", "process limit")


@frozen
class Word:
    """A word of an entry and its place in the joined text."""

    text: str
    start: int


@frozen
class Override:
    """One `-o name=value` that Postfix sees.

    `start` to `end` is the whole option in the joined text, `assignment` where
    its `name=value` or `{ name = value }` begins; `number` is its physical line.
    """

    name: str
    value: str
    number: int
    start: int
    assignment: int
    end: int


@frozen
class Entry:
    """One service: `name` is "submission/inet".

    Read as the daemon reads it where postconf errs: postconf 3.7 to 3.11 cut
    `-oname=value` at every further "o", getopt(3) does not.

    `fields` are the seven before the command. `arguments` are the words after
    the command in the form that `postconf -M` gives them: `-oname=value` in
    two words, braces off. `options_end` is where the first word that is no
    option begins in the joined text, None when all are options.
    """

    name: str
    fields: tuple[str, ...]
    command: str
    arguments: tuple[str, ...]
    overrides: tuple[Override, ...]
    options_end: int | None
    line: LogicalLine

    @property
    def number(self) -> int:
        """The physical line on which the entry begins, from 1."""
        return self.line.numbers[0]

    @property
    def chroot(self) -> str:
        """ "y", "n", or "-" for the default."""
        return self.fields[4]

    @property
    def winners(self) -> Mapping[str, Override]:
        """The override that counts for each name: the last one."""
        return {one.name: one for one in self.overrides}


@frozen
class MasterCf:
    """The entries in order. `problems` are lines for which Postfix refuses the
    whole file; `ignored` are what it passes over, in part or with a warning."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    ignored: tuple[Problem, ...] = ()

    def all_of(self, name: str) -> tuple[Entry, ...]:
        """Every entry of this name; Postfix runs the last one."""
        return tuple(one for one in self.entries if one.name == name)

    @property
    def services(self) -> Mapping[str, Entry]:
        """The entry that counts for each name: the last one, as master(8) has it."""
        return {one.name: one for one in self.entries}


def read_master_cf(text: str, file: str = "master.cf") -> MasterCf:
    """What Postfix makes of the text. Total: every text has a reading."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    ignored: list[Problem] = []
    for line in logical_lines(text):
        number = line.numbers[0]
        if line.ignored:
            message = "indented text with no service before it; Postfix ignores it"
            ignored.append(Problem(file=file, line=number, message=message))
            continue
        words = split_words(line.text)
        wrong = _what_is_wrong(words)
        if wrong:
            problems.append(Problem(file=file, line=number, message=wrong))
            continue
        arguments = _Arguments(line, words[_FIELDS:])
        entries.append(arguments.entry(words))
        ignored += [
            Problem(file=file, line=line.number(at), message=said) for at, said in arguments.lost
        ]
    return MasterCf(entries=tuple(entries), problems=tuple(problems), ignored=tuple(ignored))


def split_words(text: str) -> tuple[Word, ...]:
    """The words of an entry; blanks inside braces do not separate."""
    words: list[Word] = []
    start, depth = -1, 0
    for at, one in enumerate(text):
        if start < 0 and one in BLANKS:
            continue
        if start < 0:
            start, depth = at, 0
        if one == "{":
            depth += 1
        elif one == "}" and depth:
            depth -= 1
        elif not depth and one in BLANKS:
            words.append(Word(text=text[start:at], start=start))
            start = -1
    if start >= 0:
        words.append(Word(text=text[start:], start=start))
    return tuple(words)


def _what_is_wrong(words: tuple[Word, ...]) -> str:
    """Why Postfix refuses the entry; "" when it does not."""
    if len(words) < _FIELDS:
        return f"bad field count: {len(words)} fields where a service needs {_FIELDS}"
    texts = [one.text for one in words[: _FIELDS - 1]]
    wakeup = texts[5].removesuffix("?")
    good = (
        True,
        texts[1] in _TYPES,
        texts[2] in ("y", "n", "-"),
        texts[3] in ("y", "n", "-"),
        texts[4] in ("y", "n", "-"),
        _digits(wakeup) or wakeup in ("", "-"),
        _digits(texts[6]) or texts[6] == "-",
    )
    bad = next((at for at, fine in enumerate(good) if not fine), None)
    return "" if bad is None else f'invalid {_FIELD_NAMES[bad]} field "{texts[bad]}"'


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


class _Arguments:
    """Reads the words after the command, as postconf puts them into one form."""

    def __init__(self, line: LogicalLine, words: tuple[Word, ...]) -> None:
        self.line = line
        self.words = words
        self.at = 0
        self.texts: list[str] = []
        self.overrides: list[Override] = []
        self.lost: list[tuple[int, str]] = []
        self.options_end: int | None = None

    def entry(self, words: tuple[Word, ...]) -> Entry:
        while self.at < len(self.words) and self.is_option(self.words[self.at].text):
            self.option(self.words[self.at])
        for word in self.words[self.at :]:
            if self.options_end is None:
                self.options_end = word.start
            braced = word.text.startswith("{")
            self.texts.append(unbraced(word.text)[0] if braced else word.text)
        texts = [one.text for one in words]
        return Entry(
            name=f"{texts[0]}/{texts[1]}",
            fields=tuple(texts[: _FIELDS - 1]),
            command=texts[_FIELDS - 1],
            arguments=tuple(self.texts),
            overrides=tuple(self.overrides),
            options_end=self.options_end,
            line=self.line,
        )

    @staticmethod
    def is_option(text: str) -> bool:
        return text.startswith("-") and text != "--"

    def option(self, word: Word) -> None:
        """One word of options: "-v", "-o", "-oname=value", "-vo", "-voname=value"."""
        self.at += 1
        letter = word.text.find("o", 1)
        if letter < 0:
            self.texts.append(word.text)
            return
        if letter > 1:
            self.texts.append(word.text[:letter])
        self.texts.append("-o")
        begin = word.start + (letter if letter > 1 else 0)
        if len(word.text) > letter + 1:
            self.value(word.text[letter + 1 :], begin, word.start + letter + 1)
        elif self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            self.value(word.text, begin, word.start)
        else:
            self.lost.append((begin, "-o without name=value"))

    def value(self, text: str, start: int, assignment: int) -> None:
        """What follows a -o: name=value or { name = value }."""
        plain = text
        if text.startswith("{") and self.line.joined[assignment - 1] not in BLANKS:
            self.texts.append(text)
            self.lost.append((assignment, "-o{: braces need a blank before them"))
            return
        if text.startswith("{"):
            plain, wrong = unbraced(text)
            if wrong:
                self.lost.append((assignment, wrong))
        found = split_assignment(plain)
        if isinstance(found, str):
            self.texts.append(plain)
            self.lost.append((assignment, f"-o {plain[:60]}: {found}; Postfix does not set it"))
            return
        name, value = found
        self.texts.append(f"{name}={value}" if text.startswith("{") else plain)
        self.overrides.append(
            Override(
                name=name,
                value=as_printed(value),
                number=self.line.number(assignment),
                start=start,
                assignment=assignment,
                end=assignment + len(text),
            )
        )


def unbraced(text: str) -> tuple[str, str]:
    """What stands in the braces that the text begins with, and what is wrong with them."""
    depth = 0
    for at, one in enumerate(text):
        depth += (one == "{") - (one == "}")
        if not depth:
            inside = text[1:at].strip(" \t\n\v\f\r")
            after = text[at + 1 :]
            return inside, f"syntax error after '}}' in \"{text[:60]}\"" if after else ""
    return text[1:].strip(" \t\n\v\f\r"), f"missing '}}' in \"{text[:60]}\""
