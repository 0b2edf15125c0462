"""The smallest edit: described changes applied to main.cf and master.cf text.

Texts are bytes decoded as UTF-8 with surrogateescape, so every byte that no
change owns comes out as it went in: comments, order, continuation lines, line
ends, Latin-1, a missing final newline.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from postkeel.core.changes import (
    Edit,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
)
from postkeel.core.errors import EditError
from postkeel.core.frozen import frozen
from postkeel.postfix.logical_lines import (
    SPACE,
    LogicalLine,
    as_printed,
    split_ending,
    split_lines,
)
from postkeel.postfix.main_cf import Setting, read_main_cf
from postkeel.postfix.master_cf import Entry, MasterCf, Override, read_master_cf

_INLINE = " \t"


@frozen
class Texts:
    """The two files of an instance."""

    main_cf: str
    master_cf: str


def edit(texts: Texts, changes: Iterable[Edit]) -> Texts:
    """Both files with the changes made; the same object's content when nothing differs.

    What was written is read again: an edit that Postfix would not see as it was
    meant is refused.

    Errors: EditError when a change cannot be expressed (a newline in a value,
    a service that master.cf does not have).
    """
    main_cf, master_cf = texts.main_cf, texts.master_cf
    made = tuple(changes)
    for change in made:
        match change:
            case SetParameter():
                main_cf = _set_parameter(main_cf, change)
            case RemoveParameter():
                main_cf = _remove_parameter(main_cf, change.name)
            case SetOverride():
                master_cf = _set_override(master_cf, change)
            case RemoveOverride():
                master_cf = _remove_override(master_cf, change)
            case _:
                assert_never(change)
    _check_again(main_cf, [one for one in made if isinstance(one, SetParameter)])
    return Texts(main_cf=main_cf, master_cf=master_cf)


def _check_again(main_cf: str, changes: list[SetParameter]) -> None:
    winners = read_main_cf(main_cf).winners if changes else {}
    for change in changes:
        winner = winners.get(change.name)
        if winner is None or winner.value != _checked(change.name, change.value):
            raise EditError(
                f"main.cf: {change.name} cannot be set to {change.value!r} where it stands"
            )


def _set_parameter(text: str, change: SetParameter) -> str:
    value = _checked(change.name, change.value)
    settings = read_main_cf(text).all_of(change.name)
    if settings and settings[-1].value == value:
        return text
    lines = split_lines(text)
    if settings:
        for earlier in settings[:-1]:
            _drop(lines, earlier.line)
        _replace_value(lines, settings[-1], value)
    else:
        ending = _finish_last_line(lines)
        lines.append(f"{change.name} = {value}".rstrip(SPACE) + ending)
    return "".join(lines)


def _replace_value(lines: list[str], setting: Setting, value: str) -> None:
    """Put the value where the old one stood, in the line's own style."""
    line = setting.line
    equals = line.joined.index("=")
    after = line.joined[equals + 1 :]
    start = equals + 1 + len(after) - len(after.lstrip(SPACE))
    end = len(line.joined) if "\0" in line.joined else len(line.joined.rstrip(SPACE))
    if start >= end or value.startswith("#"):
        same_line = line.joined[equals + 1 : line.line_end(equals)]
        gap = same_line[: len(same_line) - len(same_line.lstrip(_INLINE))]
        spaced = line.joined[equals - 1] in _INLINE
        start, value = equals, "=" + (gap or " " * spaced) + value
        end = max(end, equals + 1 + len(gap))
    line.splice(lines, start, end, value)


def _remove_parameter(text: str, name: str) -> str:
    settings = read_main_cf(text).all_of(name)
    if not settings:
        return text
    lines = split_lines(text)
    for setting in settings:
        _drop(lines, setting.line)
    return "".join(lines)


def _set_override(text: str, change: SetOverride) -> str:
    value = _checked(change.name, change.value)
    if not _balanced(value):
        raise EditError(f"{change.name} cannot be set to {value!r}: braces do not match")
    lines = split_lines(text)
    for entry in reversed(_entries(read_master_cf(text), change.service)):
        winner = entry.winners.get(change.name)
        if winner is None:
            _add_override(lines, entry, _option(change.name, value))
        elif winner.value != value:
            _replace_override(lines, entry, winner, value)
    written = "".join(lines)
    _expect(written, change.service, change.name, value)
    return written


def _replace_override(lines: list[str], entry: Entry, winner: Override, value: str) -> None:
    line = entry.line
    old = line.joined[winner.assignment : winner.end]
    if old.startswith("{"):
        inner = old.index("=") + 1
        tail = old[inner:].removesuffix("}")
        filled = len(tail.rstrip(SPACE))
        start = winner.assignment + inner
        gap = len(tail) - len(tail.lstrip(SPACE)) if filled else 0
        new = value if filled else " " + value
        line.splice(lines, start + gap, start + filled, new)
    elif _needs_braces(value):
        attached = line.joined[winner.assignment - 1] not in SPACE
        new = " " * attached + _assignment(winner.name, value)
        line.splice(lines, winner.assignment, winner.end, new)
    else:
        start = winner.assignment + old.index("=") + 1
        line.splice(lines, start, winner.end, value)
    for earlier in reversed(entry.overrides):
        if earlier.name == winner.name and earlier is not winner:
            _cut_option(lines, line, earlier)


def _add_override(lines: list[str], entry: Entry, option: str) -> None:
    if entry.options_end is not None:
        entry.line.splice(lines, entry.options_end, entry.options_end, option + " ")
        return
    last = entry.line.numbers[-1] - 1
    body, ending = split_ending(lines[last])
    carriage = "\r" * body.endswith("\r")
    if ending:
        lines[last] += f"  {option}{carriage}\n"
    else:
        lines[last] = f"{body}\n  {option}"


def _remove_override(text: str, change: RemoveOverride) -> str:
    lines = split_lines(text)
    for entry in reversed(_entries(read_master_cf(text), change.service)):
        for override in reversed(entry.overrides):
            if override.name == change.name:
                _cut_option(lines, entry.line, override)
    written = "".join(lines)
    _expect(written, change.service, change.name, None)
    return written


def _cut_option(lines: list[str], line: LogicalLine, override: Override) -> None:
    """Take the option out with the blanks before it, or after it at a line's start.

    Options are cut from the last to the first, so that offsets still hold.
    """
    start, end = override.start, override.end
    begin = line.starts[line.numbers.index(line.number(start))]
    before = line.joined[begin:start]
    if before.strip(SPACE):
        start -= len(before) - len(before.rstrip(_INLINE))
    else:
        rest = line.joined[end : line.line_end(end - 1)]
        end += len(rest) - len(rest.lstrip(_INLINE))
    line.splice(lines, start, end, "")


def _entries(master_cf: MasterCf, service: str) -> tuple[Entry, ...]:
    entries = master_cf.all_of(service)
    if not entries:
        raise EditError(f"master.cf has no service {service}")
    return entries


def _expect(written: str, service: str, name: str, value: str | None) -> None:
    for entry in _entries(read_master_cf(written), service):
        winner = entry.winners.get(name)
        if (None if winner is None else winner.value) != value:
            raise EditError(
                f"master.cf:{entry.number}: {name} of {service} cannot be changed where it stands"
            )


def _option(name: str, value: str) -> str:
    return f"-o {_assignment(name, value)}"


def _assignment(name: str, value: str) -> str:
    return f"{{ {name} = {value} }}" if _needs_braces(value) else f"{name}={value}"


def _needs_braces(value: str) -> bool:
    return any(one in SPACE for one in value)


def _balanced(value: str) -> bool:
    """Whether every brace has its partner; master.cf would join words otherwise."""
    depth = 0
    for one in value:
        depth += (one == "{") - (one == "}")
        if depth < 0:
            return False
    return depth == 0


def _checked(name: str, value: str) -> str:
    """The value as postconf prints it: no white space around it, single spaces in it."""
    bad_name = not name or name[0] in "#{-" or any(one in name for one in SPACE + "=\0")
    if bad_name or any(one in value for one in "\n\r\0"):
        raise EditError(f"{name!r} cannot be set to {value!r}: neither may hold a line break")
    return as_printed(value).strip(SPACE)


def _drop(lines: list[str], line: LogicalLine) -> None:
    """Take the lines that carry this text out; comments between them stay."""
    for number in line.numbers:
        lines[number - 1] = ""


def _finish_last_line(lines: list[str]) -> str:
    """The file's line ending, after the last line has been given one."""
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and lines[-1] and not lines[-1].endswith("\n"):
        lines[-1] += ending
    return ending
