"""Haraka: received_line() of connection.js, before and since RFC 8314's clause (2.8.27).

Messages that it makes itself have a comment alone: "(Haraka PID invoked for bounce)".
"""

from __future__ import annotations

from typing import Final

from postkeel.headers.forms.clients import client_in
from postkeel.headers.forms.suites import tls_of, version_in
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Certificate

_MTA: Final = "Haraka"
_VERIFIED: Final = {"OK": Certificate.VERIFIED}
"""It says FAIL of a client that shows no certificate, too."""


def read(parts: Parts) -> Said | None:
    if not parts.clauses:
        made = bool(parts.before) and parts.before[0].startswith("Haraka ")
        return Said(mta=_MTA, local=True) if made else None
    by = parts.clause("by").comments
    if not by or not (by[0] == _MTA or by[0].startswith("Haraka/")):
        return None
    client = parts.clause("from")
    named = client_in(client.comments)
    suite = parts.clause("tls").value
    return Said(
        mta=_MTA,
        helo=client.value,
        name=named.name,
        address=named.address,
        tls=tls_of("", suite) if suite else version_in(parts.clause("id").comments, _VERIFIED),
        authenticated=parts.clause("with").value.endswith("A"),
        in_clear=True,
    )
