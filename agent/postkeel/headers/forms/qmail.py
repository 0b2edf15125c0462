"""qmail: received.c and qmail-queue.c of qmail, netqmail and notqmail, TLS patches, qpsmtpd.

    from NAME (HELO said) (ident@192.0.2.7) by HOST with SMTP; 14 Aug 2013 07:59:33 -0000
    (qmail 6338 invoked by uid 399); 14 Aug 2013 07:59:33 -0000

It writes no name of its own into the first, but an address without brackets and no "id".
Patches write TLS after "with" or before the protocol: "ESMTPS (AES256-SHA encrypted)".

What is not patched says SMTP of all that comes, also where a program ahead of it does TLS:
so only one that says ESMTP, and would have said ESMTPS, says that there was none. Some leave
the client out where it logged in: (HELO said) (login) by HOST with ESMTPSA.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import plain_address
from postkeel.headers.forms.suites import tls_of
from postkeel.headers.parts import Clause, Parts, Said

_MTA: Final = "qmail"
_QUEUE: Final = re.compile(
    r"qmail(?:-queue)?(?: \d++)? invoked (?:by (?:uid \d++|alias)|from network|for bounce)"
)
_WORDS: Final = re.compile(r"(?:E|UTF8)?SMTPS?A?|QM[TQ]P")
_TLS: Final = re.compile(
    r"(?:(?P<protocol>(?:TLS|SSL)v[\d.]++) )?(?P<cipher>\S++) encrypted(?:, authenticated)?"
)
_SAID: Final = "HELO "
_OTHER: Final = "qpsmtpd/"


def read(parts: Parts) -> Said | None:
    if not parts.clauses:
        queued = bool(parts.before) and _QUEUE.fullmatch(parts.before[0])
        return Said(mta=_MTA, local=True) if queued else None
    protocol = parts.clause("with")
    client = parts.clause("from")
    if not _WORDS.fullmatch(protocol.value) or "id" in parts.clauses:
        return None
    by = parts.clause("by").comments
    if by and not by[0].startswith(_OTHER):
        return None
    comments = client.comments or parts.before or ("",)
    address = plain_address(comments[-1].rpartition("@")[2])
    if not address and (client.comments or not comments[0].startswith(_SAID)):
        return None
    mta = "qpsmtpd" if by else _MTA
    return _said(mta, protocol, client.value, comments[0], address)


def _said(mta: str, protocol: Clause, name: str, first: str, address: str) -> Said:
    found = _TLS.fullmatch(protocol.comments[0]) if protocol.comments else None
    return Said(
        mta=mta,
        helo=first.removeprefix(_SAID) if first.startswith(_SAID) else name,
        name="" if name == "unknown" else name,
        address=address,
        tls=tls_of(found["protocol"] or "", found["cipher"]) if found else None,
        authenticated=protocol.value.endswith("A"),
        in_clear=protocol.value.startswith(("ESMTP", "UTF8SMTP")),
    )
