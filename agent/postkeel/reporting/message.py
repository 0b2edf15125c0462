"""A report in the form in which it is sent."""

from __future__ import annotations

from datetime import datetime

from postkeel.core.frozen import frozen

Fields = tuple[tuple[str, str], ...]
"""Names, each once, of small letters, digits and _, with texts of one printable line."""


@frozen
class Message:
    """What is sent of a report. Everything in it is one printable line already.

    time: of the event, aware. severity: RFC 5424, 0 (emergency) to 7 (debug). event: the
    MSGID, as `EventKind` with "-" for blanks. text: the sentence for people.
    """

    time: datetime
    severity: int
    event: str
    fields: Fields
    text: str
