"""Sendmail 8: confRECEIVED_HEADER as cf/m4/cfhead.m4 has it, recorded of 8.18.

It names itself by two versions, its own and its configuration's: "(8.18.1/8.18.1/Debian-6)".
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import client_in
from postkeel.headers.forms.suites import version_in
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Certificate

_MTA: Final = "Sendmail"
_VERSIONS: Final = re.compile(r"(?:AIX[^\s/]*+/)?8\.\d[^\s/]*+/8\.\d[^\s/]*+(?:/\S*+)?")
_LOGIN: Final = re.compile(r"authenticated bits=\d.*|user=\S.* mech=\S.*", re.DOTALL)
_VERIFIED: Final = {
    "OK": Certificate.VERIFIED,
    "FAIL": Certificate.NOT_VERIFIED,
    "NO": Certificate.NOT_PRESENTED,
    "NOT": Certificate.NOT_REQUESTED,
}
"""Of the macro {verify}, doc/op/op.me; the rest are faults."""


def read(parts: Parts) -> Said | None:
    by = parts.clause("by")
    if not by.comments or not _VERSIONS.fullmatch(by.comments[0]):
        return None
    client = parts.clauses.get("from")
    if client is None:
        local = bool(parts.before) and parts.before[0].startswith("from ")
        return Said(mta=_MTA, local=local)
    named = client_in(client.comments)
    return Said(
        mta=_MTA,
        helo=client.value,
        name=named.name.rpartition("@")[2],
        address=named.address,
        tls=version_in(parts.clause("id").comments, _VERIFIED),
        authenticated=any(map(_LOGIN.fullmatch, client.comments[1:])),
        in_clear=True,
    )
