"""Stalwart: write_received() of crates/smtp/src/inbound/data.rs.

TLS stands behind the client as with Postfix, without bits and with rustls's names. With LMTP
it marks what its own scripts hand over.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import client_in
from postkeel.headers.forms.suites import tls_of
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Tls

_MTA: Final = "Stalwart"
_USING: Final = re.compile(r"using (?P<protocol>\S++) with cipher (?P<cipher>\S++)")


def read(parts: Parts) -> Said | None:
    by = parts.clause("by").comments
    if not by or not by[0].startswith("Stalwart "):
        return None
    client = parts.clause("from")
    named = client_in(client.comments)
    protocol = parts.clause("with").value
    return Said(
        mta=_MTA,
        helo=client.value,
        name=named.name,
        address=named.address,
        tls=_tls(client.comments[1:]),
        authenticated=protocol.endswith("A"),
        in_clear=protocol != "LMTP",
    )


def _tls(comments: tuple[str, ...]) -> Tls | None:
    found = _USING.fullmatch(comments[0]) if comments else None
    return tls_of(found["protocol"], found["cipher"]) if found else None
