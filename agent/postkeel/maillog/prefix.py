"""What stands before the message: stamp, host, `syslog_name/program[pid]`.

    Nov 22 13:09:22 mx postfix/submission/smtpd[124]: connect from ...
    2026-11-22T13:09:22.123456+01:00 mx postfix/smtp[125]: ...

A program of another name can put anything behind its own; so the name is taken
from its place after the host, and never looked for in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

MOST_OF_A_LINE: Final = 65_536
"""Octets of one line that are read; rsyslog and Postfix cut theirs far below."""

_OLD_STAMP: Final = len("Nov 22 13:09:22")
_OLD_HOUR: Final = len("Nov 22 13")
_NEW_HOUR: Final = len("2026-11-22T13")
_LONGEST_TAG: Final = 200
_MONTHS: Final = {
    name: number
    for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_TAG: Final = re.compile(rb"([^\s\[\]:]+)/([a-z]+)\[(\d{1,10})")
_LEAP_YEARS_APART: Final = 8
_LATEST: Final = 400 * 86_400
"""Seconds that a clock may be ahead."""


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets, cut at ends of lines; what is too long of a line is left out.

    A last line without an end gets one: nothing comes after it.
    """
    rest = b""
    for chunk in chunks:
        end = chunk.find(b"\n") if len(rest) >= MOST_OF_A_LINE else 0
        if end < 0:
            continue
        text = rest + chunk[end:]
        whole = text.rfind(b"\n") + 1
        if whole:
            yield text[:whole]
        rest = text[whole:][:MOST_OF_A_LINE]
    if rest:
        yield rest + b"\n"


def tag_start(line: bytes) -> int:
    """Where the host begins: after the stamp of either form."""
    return line.find(b" ", 0 if line[4:5] == b"-" else _OLD_STAMP) + 1


def read_tag(tag: bytes) -> tuple[str, str] | None:
    """ "postfix/smtpd[124" gives its syslog_name and program; None for other programs."""
    found = _TAG.fullmatch(tag) if len(tag) <= _LONGEST_TAG else None
    if found is None:
        return None
    return found[1].decode("ascii", "backslashreplace"), found[2].decode("ascii")


def hour_prefix(line: bytes) -> bytes:
    """What all lines of the same hour begin with."""
    return line[: _NEW_HOUR if line[4:5] == b"-" else _OLD_HOUR]


def moment(line: bytes, *, now: datetime, zone: tzinfo) -> float | None:
    """The line's time in seconds of the epoch; None when the stamp is none, or none of our time.

    RFC 3164 stamps have neither year nor zone: the year is the last one in which the
    stamp is not more than a day after `now`.
    """
    try:
        if line[4:5] != b"-":
            return _old_moment(line, now=now, zone=zone)
        found = datetime.fromisoformat(line[: line.find(b" ")].decode("ascii"))
        seconds = (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= now.timestamp() + _LATEST else None


def _old_moment(line: bytes, *, now: datetime, zone: tzinfo) -> float:
    month = _MONTHS.get(line[:3], 0)
    day, hour, minute, second = (int(line[place : place + 2]) for place in (4, 7, 10, 13))
    for year in range(now.year + 1, now.year - _LEAP_YEARS_APART - 1, -1):
        try:
            found = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        except ValueError:
            if month != 2 or day != 29:  # noqa: PLR2004  the one date that some years lack
                raise
            continue
        if found <= now + timedelta(days=1):
            return found.timestamp()
    raise ValueError("no such date")


def in_utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
