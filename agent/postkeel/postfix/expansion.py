"""`$name`, `${name}`, `${name?x}`, `${name:y}`, `${{a} == {b} ? {x} : {y}}`.

What Postfix's mac_expand(3) does with a parameter value, recursive expansion
of what the names stand for included. `<level` and its kin, which compare
compatibility levels, are those of Postfix 3.6 and later.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], str | None]

_BLANKS = " \t\r\n"
_CLOSING = {"{": "}", "(": ")"}
_NAME = re.compile(r"[A-Za-z0-9_]*")
_REFERENCE = re.compile(r"[ \t\r\n]*([A-Za-z0-9_]*)[ \t\r\n]*([?:]|\Z)")
_OPERATOR = re.compile(r"([<>!=?+*/~&|%-]*)([A-Za-z0-9]*)[ \t\r\n]*")
_LEVEL = re.compile(r"([0-9]+)(?:\.([0-9]+)(?:\.([0-9]+))?)?\Z")
_DEEPEST = 100
_MOST_WORK = 1 << 20
_LARGEST_NUMBER = 2**63 - 1
_LARGEST_MINOR = 1023

_HOLDS: dict[str, Callable[[int], bool]] = {
    "==": lambda difference: difference == 0,
    "!=": lambda difference: difference != 0,
    "<": lambda difference: difference < 0,
    "<=": lambda difference: difference <= 0,
    ">=": lambda difference: difference >= 0,
    ">": lambda difference: difference > 0,
}


class _NotExpandable(Exception):  # noqa: N818  never leaves this module
    """Postfix is fatal here: bad syntax, or names that lead back to themselves."""


def expand(value: str, lookup: Lookup) -> str:
    """The value with every reference replaced by what it stands for.

    A name for which `lookup` has None stands for nothing. Where Postfix is
    fatal (bad syntax, a loop, nesting without end) the value comes back as it
    went in. Total, and bounded in time and size whatever the values are.
    """
    if "$" not in value:
        return value
    try:
        return _Expansion(lookup).text(value, 0)
    except _NotExpandable:
        return value


class _Expansion:
    """One expansion and the work that it may still do."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.work = _MOST_WORK

    def text(self, text: str, depth: int) -> str:
        self.work -= len(text) + 1
        if depth > _DEEPEST or self.work < 0:
            raise _NotExpandable
        parts: list[str] = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            parts.append(text[at:dollar])
            if text.startswith("$", dollar + 1):
                parts.append("$")
                at = dollar + 2
            else:
                inside, at = _reference(text, dollar + 1)
                parts.append(self.reference(inside, depth))
        parts.append(text[at:])
        return "".join(parts)

    def reference(self, inside: str, depth: int) -> str:
        rest = inside.lstrip(_BLANKS)
        if rest.startswith("{"):
            truth, rest = self.relation(rest, depth)
            found: str | None = "true" if truth else ""
            operator, rest = rest[:1], rest[1:]
        else:
            match = _REFERENCE.match(inside)
            if match is None:
                raise _NotExpandable
            found = self.lookup(match[1])
            operator, rest = match[2], inside[match.end() :]
        if operator not in ("", "?", ":"):
            raise _NotExpandable
        if not operator:
            return self.text(found, depth + 1) if found else ""
        return self.text(_choice(operator, rest, holds=bool(found)), depth + 1)

    def relation(self, text: str, depth: int) -> tuple[bool, str]:
        left, rest = _braced(text)
        match = _OPERATOR.match(rest)
        if match is None or match[1] not in _HOLDS or match[2] not in ("", "level"):
            raise _NotExpandable
        right, rest = _braced(rest[match.end() :])
        difference = _level_difference if match[2] else _difference
        return _HOLDS[match[1]](
            difference(self.text(left, depth + 1), self.text(right, depth + 1))
        ), rest


def _reference(text: str, at: int) -> tuple[str, int]:
    """What stands between `$`'s brackets, or the plain name, and where it ends."""
    opening = text[at : at + 1]
    if opening not in ("{", "("):
        match = _NAME.match(text, at)
        end = match.end() if match else at
        inside = text[at:end]
    else:
        end = _closing(text, at, opening)
        inside = text[at + 1 : end - 1]
    if not inside:
        raise _NotExpandable
    return inside, end


def _closing(text: str, at: int, opening: str) -> int:
    """The offset after the bracket that closes the one at `at`."""
    depth = 0
    for end in range(at, len(text)):
        if text[end] == opening:
            depth += 1
        elif text[end] == _CLOSING[opening]:
            depth -= 1
            if depth == 0:
                return end + 1
    raise _NotExpandable


def _braced(text: str) -> tuple[str, str]:
    """What is in the braces with which the text starts, and what follows them."""
    if not text.startswith("{"):
        raise _NotExpandable
    end = _closing(text, 0, "{")
    return text[1 : end - 1], text[end:].lstrip(_BLANKS)


def _choice(operator: str, text: str, *, holds: bool) -> str:
    """The operand of `?` or `:` that counts; "" when there is none."""
    chosen = ""
    if operator == "?":
        operand, text = _operand(text)
        chosen = operand if holds else ""
        if not text:
            return chosen
        if not text.startswith(":"):
            raise _NotExpandable
        text = text[1:]
    operand, text = _operand(text)
    if text:
        raise _NotExpandable
    return chosen if holds else operand


def _operand(text: str) -> tuple[str, str]:
    stripped = text.lstrip(_BLANKS)
    return _braced(stripped) if stripped.startswith("{") else (text, "")


def _difference(left: str, right: str) -> int:
    if _is_number(left) and _is_number(right):
        return _number(left) - _number(right)
    one, other = (text.encode("utf-8", "surrogateescape") for text in (left, right))
    return (one > other) - (one < other)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(digits: str) -> int:
    """As strtol(3) reads them on a 64-bit system."""
    # Python refuses texts of thousands of digits; any twenty are too large already.
    number = int(digits.lstrip("0")[:20] or "0")
    if number > _LARGEST_NUMBER:
        raise _NotExpandable
    return number


def _level_difference(left: str, right: str) -> int:
    one, other = _level(left), _level(right)
    return (one > other) - (one < other)


def _level(text: str) -> tuple[int, ...]:
    """A compatibility level: up to three numbers, missing ones are 0."""
    match = _LEVEL.match(text)
    if match is None:
        raise _NotExpandable
    major, *minor = (_number(part or "0") for part in match.groups())
    if max(minor) > _LARGEST_MINOR:
        raise _NotExpandable
    return (major, *minor)
