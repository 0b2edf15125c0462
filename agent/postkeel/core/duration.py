"""Lengths of time as administrators write them: "30m", "2h", "1d", "1h30m"."""

from __future__ import annotations

from datetime import timedelta

from postkeel.core.errors import PostkeelError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """The length of time: whole numbers with s, m, h, d or w, largest unit first or not.

    Errors: PostkeelError that shows how to write it, for anything else, for
    nothing at all and for more than ten years.
    """
    seconds = 0
    number = ""
    for character in text.strip():
        if character.isascii() and character.isdigit():
            number += character
        elif character in _SECONDS and number and len(number) < 12:  # noqa: PLR2004  int() stays quick
            seconds += int(number) * _SECONDS[character]
            number = ""
        else:
            raise _unreadable(text)
    if number or not seconds:
        raise _unreadable(text)
    if seconds > _LONGEST.total_seconds():
        raise PostkeelError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def _unreadable(text: str) -> PostkeelError:
    return PostkeelError(f"not a length of time: {text!r}; write one like 30m, 2h, 1d or 1h30m")
