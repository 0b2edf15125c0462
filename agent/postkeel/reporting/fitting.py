"""What fits of a message's fields: whole ones first, and the names of those that did not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from postkeel.core.text import one_line
from postkeel.reporting.message import Fields

Write = Callable[[str, str], str]
"""A field with its name as the format writes it, delimiters included."""

CUT = "cut"
"""The field that names those which were shortened or left out."""

_TEXT_KEPT = 400
_NAMES_LIMIT = 96
_MORE = "..."
_LEAST = 16
"""Octets of a value; less of it says nothing."""


def cut_names(names: Sequence[str]) -> str:
    """The names in a text of at most 96 octets; "..." in the end stands for more of them."""
    listed = ",".join(one for one in names if one != _MORE)
    if len(listed) <= _NAMES_LIMIT and _MORE not in names:
        return listed
    shown = f"{listed},"[: _NAMES_LIMIT - len(_MORE)]
    return shown[: shown.rfind(",") + 1] + _MORE


def fitted(fields: Fields, room: int, write: Write, more: Iterable[str] = ()) -> str:
    """The fields in their order, as `write` gives them, in at most `room` octets.

    The first one that does not fit is shortened, those after it are left out, and the field
    "cut" names them, after those that were cut before. more: what else was cut, named first.
    """
    names = [*more]
    for name, value in fields:
        names += value.split(",") if name == CUT else ()
    pieces: list[str] = []
    left = room - _octets(write(CUT, "x" * _NAMES_LIMIT))
    full = False
    for name, value in fields:
        if name == CUT:
            continue
        piece = "" if full else write(name, value)
        if full or _octets(piece) > left:
            piece = "" if full else shortened(name, value, left, write)
            names.append(name)
            full = True
        pieces.append(piece)
        left -= _octets(piece)
    if names:
        pieces.append(write(CUT, cut_names(names)))
    whole = "".join(pieces)
    return whole if _octets(whole) <= room else ""


def fitted_beside(text: str, fields: Fields, room: int, write: Write) -> str:
    """The fields in the room that they share with this text, as it is written.

    The text gives way first, and keeps 400 octets; "cut" then names it as "text".
    """
    wanted = _octets(text)
    kept = room - min(wanted, _TEXT_KEPT)
    shown = fitted(fields, kept, write)
    if wanted <= room - _octets(shown):
        return shown
    return fitted(fields, kept, write, ("text",))


def shortened(name: str, value: str, room: int, write: Write) -> str:
    """The field with as much of its value as fits, cut between two characters; or nothing."""
    limit = room
    while limit >= _LEAST:
        piece = write(name, one_line(value, limit))
        excess = _octets(piece) - room
        if excess <= 0:
            return piece
        limit -= excess
    return ""


def _octets(text: str) -> int:
    return len(text.encode())
