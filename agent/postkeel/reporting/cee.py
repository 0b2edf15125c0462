"""A message as `@cee:` JSON, which rsyslog's mmjsonparse and syslog-ng's json-parser read."""

from __future__ import annotations

from postkeel.core.text import LINE_LIMIT, one_line
from postkeel.reporting.fitting import fitted_beside, shortened
from postkeel.reporting.message import Fields, Message

COOKIE = "@cee: "

_TEXT = "msg"
"""What CEE calls the text for people."""


def cee(message: Message, marks: Fields = (), limit: int = LINE_LIMIT) -> str:
    """One line, at most `limit` octets, with nothing behind the JSON object: so receivers want it.

    marks: fields that go before the others and are never cut. Where not all fits, it is
    as in `rfc5424`. All values are texts.
    """
    head = COOKIE + "{" + "".join([member(*one) for one in marks])
    fields = "".join([member(*one) for one in message.fields])
    whole = (head + fields + member(_TEXT, message.text))[:-1] + "}"
    if len(whole) <= limit and len(whole.encode()) <= limit:
        return whole
    return _fitted(head, message, limit)


def member(name: str, value: str) -> str:
    """The member with the comma behind it."""
    shown = value if value.isprintable() else one_line(value)
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}":"{escaped}",'


def _fitted(head: str, message: Message, limit: int) -> str:
    room = limit - len(head.encode())
    fields = fitted_beside(member(_TEXT, message.text), message.fields, room, member)
    text = shortened(_TEXT, message.text, room - len(fields.encode()), member)
    return (head + fields + text)[:-1] + "}"
