"""main.cf read as Postfix reads it, with the lines that postconf does not tell."""

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


@frozen
class Setting:
    """One `name = value`, the value as `postconf -n` prints it."""

    name: str
    value: str
    line: LogicalLine

    @property
    def number(self) -> int:
        """The physical line of the name, from 1."""
        return self.line.numbers[0]


@frozen
class MainCf:
    """The settings in order, duplicates included.

    `problems` are lines for which Postfix refuses the whole file; `ignored` are
    lines that it passes over.
    """

    settings: tuple[Setting, ...]
    problems: tuple[Problem, ...] = ()
    ignored: tuple[Problem, ...] = ()

    @property
    def winners(self) -> Mapping[str, Setting]:
        """The setting that counts for each name: the last one."""
        return {one.name: one for one in self.settings}

    def all_of(self, name: str) -> tuple[Setting, ...]:
        """Every setting of this name; the last one counts."""
        return tuple(one for one in self.settings if one.name == name)


def read_main_cf(text: str, file: str = "main.cf") -> MainCf:
    """What Postfix makes of the text. Total: every text has a reading.

    text: bytes decoded as UTF-8 with surrogateescape. file: a name for problems.
    """
    settings: list[Setting] = []
    problems: list[Problem] = []
    ignored: list[Problem] = []
    for line in logical_lines(text):
        if line.ignored:
            message = "indented text with no parameter before it; Postfix ignores it"
            ignored.append(Problem(file=file, line=line.numbers[0], message=message))
            continue
        found = split_assignment(line.text)
        if isinstance(found, str):
            message = f'{found}: "{line.text[:60]}"'
            problems.append(Problem(file=file, line=line.numbers[0], message=message))
        else:
            settings.append(Setting(name=found[0], value=as_printed(found[1]), line=line))
    return MainCf(settings=tuple(settings), problems=tuple(problems), ignored=tuple(ignored))
