"""A message as RFC 5424 has it: header, one element of structured data, and the sentence.

<133>1 2026-11-23T13:40:00.123456+00:00 mx1.example.org postkeel 812 paths-changed
[postkeel@32473 spool="5f0c11d2" seq="17" v="1" event="paths-changed" ...] /etc/postfix: ...
"""

from __future__ import annotations

from postkeel.core.frozen import frozen
from postkeel.core.text import LINE_LIMIT, one_line
from postkeel.reporting.cee import cee
from postkeel.reporting.fitting import fitted_beside
from postkeel.reporting.message import Fields, Message

APPLICATION = "postkeel"

_LONGEST_HOST = 255
_LONGEST_EVENT = 32
_TIME = len("2026-11-23T13:40:00.123456+00:00")


@frozen
class Header:
    """Who sends: facility and enterprise are numbers, process is the sender's."""

    facility: int
    host: str
    process: int
    enterprise: int


def rfc5424(message: Message, header: Header, marks: Fields = ()) -> bytes:
    """The message for the wire, at most 2048 octets in all, without a frame.

    marks: fields that go before the others and are never cut. Where not all fits, the
    sentence is shortened first, then the fields are from the last one on; "cut" tells.
    """
    head = f"{_head(message, header)} [{APPLICATION}@{header.enterprise}"
    head += "".join([parameter(*one) for one in marks])
    rest = "".join([parameter(*one) for one in message.fields])
    whole = f"{head}{rest}] {message.text}"
    octets = whole.encode() if whole.isprintable() else b""
    if octets and len(octets) <= LINE_LIMIT:
        return octets
    return _fitted(head, message)


def rfc5424_cee(message: Message, header: Header, marks: Fields = ()) -> bytes:
    """The same header with `@cee:` JSON behind it instead of element and sentence."""
    head = f"{_head(message, header)} - "
    return f"{head}{cee(message, marks, LINE_LIMIT - len(head))}".encode()


def parameter(name: str, value: str) -> str:
    """The parameter with the blank before it."""
    shown = value if value.isprintable() else one_line(value)
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
    return f' {name}="{escaped}"'


def _fitted(head: str, message: Message) -> bytes:
    text = one_line(message.text)
    room = LINE_LIMIT - len(head.encode()) - len("] ")
    fields = fitted_beside(text, message.fields, room, parameter)
    return f"{head}{fields}] {one_line(text, room - len(fields.encode()))}".encode()


def _head(message: Message, header: Header) -> str:
    """Up to the MSGID. The time's zone is cut to minutes, of which the RFC knows no parts."""
    priority = header.facility * 8 + message.severity
    time = message.time.isoformat(timespec="microseconds")[:_TIME]
    host = _plain(header.host)[:_LONGEST_HOST] or "-"
    event = _plain(message.event)[:_LONGEST_EVENT] or "-"
    return f"<{priority}>1 {time} {host} {APPLICATION} {header.process} {event}"


def _plain(text: str) -> str:
    """Printable ASCII without blanks."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return "".join(one if "!" <= one <= "~" else "?" for one in text)
