"""What one entry of the journal says, as a line of an RFC 3339 syslog file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Entry = Mapping[str, Any]
"""Fields as `RawReader` gives them: bytes, or a list of bytes where a field is repeated."""

DAMAGED = "__DAMAGED"
"""Field of an entry of which only place and time are known."""

LINE = 64 * 1024
"""Bytes of one line, its newline included."""

_SECOND = 1_000_000
_BELIEVABLE = 3600 * _SECOND
_BLANKS = bytes.maketrans(b"\n\0", b"  ")


def line_of(entry: Entry) -> bytes:
    """The entry as a line of an RFC 3339 syslog file, at most 64 KiB, newline included.

    Security: the process number is the one that journald saw, not the one that the
    sender claims, and a message cannot begin a line of its own.
    """
    second, microsecond = divmod(_moment(entry), _SECOND)
    who = first(entry, "SYSLOG_IDENTIFIER") or first(entry, "_COMM") or b"-"
    line = b"%b.%06d+00:00 %b %b[%b]: %b" % (
        _second(second),
        microsecond,
        first(entry, "_HOSTNAME") or b"-",
        who,
        first(entry, "_PID") or b"-",
        first(entry, "MESSAGE"),
    )
    return line[: LINE - 1].translate(_BLANKS) + b"\n"


def _moment(entry: Entry) -> int:
    """When it was sent if that is believable, else when journald wrote it; microseconds."""
    written: int = entry["__REALTIME_TIMESTAMP"]
    sent = first(entry, "_SOURCE_REALTIME_TIMESTAMP")
    if not sent.isdigit():
        return written
    return int(sent) if abs(written - int(sent)) < _BELIEVABLE else written


def first(entry: Entry, field: str) -> bytes:
    """The field's value, the first of several, b"" if there is none."""
    value = entry.get(field, b"")
    return bytes(value[0] if isinstance(value, list) else value)


@lru_cache(maxsize=8)
def _second(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def shown(microseconds: int) -> str:
    """A moment as an administrator reads it, in UTC to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(microseconds // _SECOND))
