"""Exim 3 and 4: the default of received_header_text, which few change.

The format is that of src/globals.c and host_build_sender_fullhost() in src/host.c, and was
recorded of 4.96 and 4.98 with GnuTLS. Its own words come after "by": the protocol in small
letters, TLS, and "(Exim VERSION)". Up to 4.92 all of TLS is in one comment, afterwards the
suite has RFC 8314's clause; with GnuTLS that has a TLS 1.2 name also for TLS 1.3.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import literal_address
from postkeel.headers.forms.suites import tls_of
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Tls

_MTA: Final = "Exim"
_TLS: Final = re.compile(
    r"(?P<protocol>(?:TLS|SSL)[^\s:]*+)(?::(?P<cipher>[^\s:]++):(?P<bits>\d{1,9}))?"
)
_CLIENT: Final = re.compile(
    r"(?:\[(?P<address>[^\s\[\]]++)\](?::\d++)?)? ?(?:port=\d++ ?)?"
    r"(?:helo=(?P<helo>\S++))?(?: ?ident=.*)?",
    re.DOTALL,
)


def read(parts: Parts) -> Said | None:
    written = [comment for name in ("by", "with", "tls") for comment in parts.clause(name).comments]
    if not any(comment.startswith("Exim ") for comment in written):
        return None
    protocol = parts.clause("with").value.lower()
    if protocol.startswith("local"):
        return Said(mta=_MTA, local=True)
    client = parts.clause("from")
    found = _CLIENT.fullmatch(client.comments[0]) if client.comments else None
    literal = literal_address(client.value)
    named = (found["address"] if found else None) or ""
    return Said(
        mta=_MTA,
        helo=(found["helo"] if found else None) or client.value,
        name=client.value if named else "",
        address=literal or named,
        tls=_tls(parts, written),
        authenticated=protocol.endswith("a"),
        in_clear=True,
    )


def _tls(parts: Parts, written: list[str]) -> Tls | None:
    suite = parts.clause("tls").value
    found = next(filter(None, map(_TLS.fullmatch, written)), None)
    if found is None:
        return tls_of("", suite) if suite else None
    return tls_of(found["protocol"], found["cipher"] or suite, found["bits"])
