"""OpenSMTPD: smtp_message_begin() of usr.sbin/smtpd/smtp_session.c, recorded of 7.6.

Its own mail is "from localhost (NAME [local])". With mask-src there is no client, and TLS is
told all the same, up to 5.9 in words that are RFC 8314's clause today. Of a client's certificate it
says whether it was verified: "NO" stands for all that is not.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import client_in
from postkeel.headers.forms.suites import tls_of, version_in
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Certificate, Tls

_MTA: Final = "OpenSMTPD"
_TLS: Final = re.compile(
    r"(?P<protocol>[^\s:]++):(?P<cipher>[^\s:]++):(?P<bits>\d{1,9}):(?P<verified>YES|NO)"
)

_VERIFIED: Final = {"YES": Certificate.VERIFIED}


def read(parts: Parts) -> Said | None:
    if parts.clause("by").comments != (_MTA,):
        return None
    client = parts.clause("from")
    named = client_in(client.comments)
    within = any(comment.endswith(" [local]") for comment in client.comments)
    return Said(
        mta=_MTA,
        helo=client.value,
        name=named.name,
        address=named.address,
        tls=_tls(parts.clause("id").comments)
        or version_in((parts.clause("tls").value,), _VERIFIED),
        authenticated=parts.clause("with").value.endswith("A") and not within,
        local=within,
        in_clear=True,
    )


def _tls(comments: tuple[str, ...]) -> Tls | None:
    found = _TLS.fullmatch(comments[0]) if comments else None
    if found is None:
        return None
    certificate = _VERIFIED.get(found["verified"], Certificate.UNTOLD)
    return tls_of(found["protocol"], found["cipher"], found["bits"], certificate)
