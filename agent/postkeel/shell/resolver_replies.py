"""What a resolver says of TLSA records, as dnspython reads it off the octets of a message."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dns.message import QueryMessage


class State(str, Enum):
    """VALIDATED: by the resolver, which says so. PLAIN: it says nothing of the kind.
    REFUSED: it has no answer, and a code for that. SILENT: nothing came in time."""

    VALIDATED = "validated"
    PLAIN = "plain"
    REFUSED = "refused"
    SILENT = "silent"


Said = tuple[str, int, object]
"""A `State`, the seconds that it holds, and the records, or the code."""

SILENCE: Final[Said] = (State.SILENT.value, 0, "")


def read(octets: bytes) -> QueryMessage | None:
    """The message of these octets, which may be cut; None where they are none.

    A record that is not what its type has is as good as missing: today's dnspython has no use
    for a TLSA record whose digest is too short, and no sending server goes by one.
    """
    from dns.exception import DNSException
    from dns.message import QueryMessage, from_wire

    try:
        message = from_wire(octets, continue_on_error=True)
    except (DNSException, ValueError):
        return None
    if not isinstance(message, QueryMessage):
        return None
    in_records = (isinstance(one.exception.__cause__, ValueError) for one in message.errors)
    return message if is_cut(message) or all(in_records) else None


def is_cut(message: QueryMessage) -> bool:
    """Whether there was more than fits into a datagram."""
    from dns.flags import TC

    return bool(message.flags & TC)


def said(message: QueryMessage) -> Said:
    """The AD bit speaks for all of a message (RFC 4035, section 3.2.3), its aliases too."""
    from dns.exception import DNSException
    from dns.flags import AD
    from dns.rcode import NOERROR, NXDOMAIN, to_text
    from dns.rdatatype import TLSA

    if message.rcode() not in (NOERROR, NXDOMAIN):
        return State.REFUSED.value, 0, to_text(message.rcode())
    if not message.flags & AD:
        return State.PLAIN.value, 0, ""
    try:
        found = message.resolve_chaining()
    except DNSException as error:
        return State.REFUSED.value, 0, f"what contradicts itself ({type(error).__name__})"
    records: list[Any] = [one for one in found.answer or () if one.rdtype == TLSA]
    fields = sorted((one.usage, one.selector, one.mtype, one.cert.hex()) for one in records)
    return State.VALIDATED.value, found.minimum_ttl, fields
