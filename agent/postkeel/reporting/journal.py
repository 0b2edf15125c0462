"""A message as an entry of the systemd journal, in journald's native protocol."""

from __future__ import annotations

from postkeel.core.text import LINE_LIMIT, one_line
from postkeel.reporting.fitting import fitted
from postkeel.reporting.message import Message

IDENTIFIER = "postkeel"

PREFIX = "POSTKEEL_"
"""Before the name of each field, which is in upper case: POSTKEEL_RULE."""


def journal_entry(message: Message, facility: int, process: int, text: str = "") -> bytes:
    """The datagram, some 4 KiB at most: what syslog would know of it, and all the fields.

    https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: NAME=VALUE lines, which one printable line
    cannot break. Where the fields take more than 2 KiB the last ones are cut. text: another
    MESSAGE than the sentence.
    """
    head = (
        ("MESSAGE", text or message.text),
        ("PRIORITY", str(message.severity)),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("SYSLOG_FACILITY", str(facility)),
        ("SYSLOG_PID", str(process)),
    )
    written = "".join([_line(*one) for one in head])
    return (written + fitted(message.fields, LINE_LIMIT, _field)).encode()


def _field(name: str, value: str) -> str:
    return _line(f"{PREFIX}{name.upper()}", value)


def _line(name: str, value: str) -> str:
    return f"{name}={value if value.isprintable() else one_line(value)}\n"
