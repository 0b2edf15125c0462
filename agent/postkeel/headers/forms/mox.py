"""mox: the Received field that smtpserver/server.go writes, TLS by mox-/tlsrecv.go.

It writes no name of its own. What tells it is "via tcp" after its address in brackets. Of
a message that was submitted it hides the client, and tells TLS.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import client_in, literal_address
from postkeel.headers.forms.suites import tls_of
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Tls

_MTA: Final = "mox"
_TLS: Final = re.compile(r"(?P<protocol>TLS1\.\d) (?P<cipher>\S++)")


def read(parts: Parts) -> Said | None:
    by = parts.clause("by").comments
    via = parts.clause("via").value
    if via != "tcp" or not by or not literal_address(by[0]):
        return None
    client = parts.clause("from")
    named = client_in(client.comments)
    return Said(
        mta=_MTA,
        helo=client.value,
        name=named.name,
        address=named.address,
        tls=_tls(parts.clause("id").comments),
        authenticated=parts.clause("with").value.endswith("A"),
        in_clear=True,
    )


def _tls(comments: tuple[str, ...]) -> Tls | None:
    found = _TLS.fullmatch(comments[0]) if comments else None
    return tls_of(found["protocol"], found["cipher"]) if found else None
