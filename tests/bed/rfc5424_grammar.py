"""RFC 5424 messages, read by the grammar of its section 6 and by nothing looser.

Written from the RFC and not from the code, so that each can be held against the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_SD_NAME = r"[!#-<>-\\^-~]{1,32}"  # printable ASCII but = ] " and the blank
_PARAMETER = re.compile(rf' ({_SD_NAME})="((?:[^"\\\]]|\\["\\\]])*)"')
_HEADER = re.compile(
    r"<(0|[1-9][0-9]{0,2})>1"
    r" ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2}))"
    r" ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
_MOST_URGENT, _LEAST_URGENT = 0, 191
_ESCAPE = re.compile(r'\\(["\\\]])')


@dataclass(frozen=True)
class Read:
    """A message as it was read; element is "" and parameters are none for the "-" of no data."""

    priority: int
    time: datetime
    host: str
    application: str
    process: str
    event: str
    element: str
    parameters: tuple[tuple[str, str], ...]
    text: str


def read(octets: bytes) -> Read:
    """The parts of a message with one element or none. ValueError for what the RFC forbids."""
    line = octets.decode()
    header = _HEADER.match(line)
    if not header or not _MOST_URGENT <= int(header[1]) <= _LEAST_URGENT:
        raise ValueError(f"no header: {line[:80]!r}")
    element, parameters, end = _element(line, header.end())
    text = line[end:]
    if text and not text.startswith(" "):
        raise ValueError(f"no blank before the text: {text[:40]!r}")
    return Read(
        priority=int(header[1]),
        time=datetime.fromisoformat(header[2]),
        host=header[3],
        application=header[4],
        process=header[5],
        event=header[6],
        element=element,
        parameters=parameters,
        text=text[1:],
    )


def _element(line: str, at: int) -> tuple[str, tuple[tuple[str, str], ...], int]:
    if line[at : at + 1] == "-":
        return "", (), at + 1
    start = re.compile(rf"\[({_SD_NAME})").match(line, at)
    if not start:
        raise ValueError(f"no element: {line[at : at + 40]!r}")
    parameters = []
    at = start.end()
    while found := _PARAMETER.match(line, at):
        parameters.append((found[1], _ESCAPE.sub(r"\1", found[2])))
        at = found.end()
    if line[at : at + 1] != "]":
        raise ValueError(f"the element does not end: {line[at : at + 40]!r}")
    return start[1], tuple(parameters), at + 1
