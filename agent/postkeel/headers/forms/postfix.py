"""Postfix: smtpd(8), qmqpd(8), pickup(8) and the messages that it makes itself.

The formats are those of Postfix 3.4 to 3.12 (src/smtpd/smtpd.c common_pre_message_handling,
src/qmqpd/qmqpd.c, src/pickup/pickup.c, src/global/post_mail.c). mail_name may stand for
"Postfix"; then the comments on TLS tell, which nobody else writes so.

Security: HELO comes without blanks, parentheses, quotation marks and semicolons, and is the
first word. A client certificate's names and a login come with balanced parentheses, and with
anything else in them; so those comments are read from both ends.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Certificate, Tls
from postkeel.maillog.messages import group_name

_CLIENT: Final = re.compile(r"(?P<name>\S+) \[(?P<address>[^\s\[\]]*)\]")
_USING: Final = re.compile(
    r"using (?P<protocol>\S+) with cipher (?P<cipher>\S+) \((?P<bits>\d{1,9})/\d{1,9} bits\)"
    r"(?:\s+key-exchange (?P<exchange>\S+)(?: \((?P<group>[^()]*)\))?)?"
    r"(?:\s+server-signature (?P<signature>\S+)(?: \((?P<key>[^()]*)\))?)?"
    r"(?:\s+server-digest \S+)?"
    r"(?:\s+client-signature \S+(?: \([^()]*\))?(?:\s+client-digest \S+)?)?\s*"
)
_NAMED: Final = re.compile(
    r'Client CN "(?P<names>.*)" \((?P<verified>verified OK|not verified)\)', re.DOTALL
)
_BETWEEN: Final = '", Issuer "'
_RAW_KEY: Final = re.compile(r"Client RPK \S+ digest \S+")
_NO_CERTIFICATE: Final = {
    "No client certificate requested": Certificate.NOT_REQUESTED,
    "Client did not present a certificate": Certificate.NOT_PRESENTED,
}
_LOGGED_IN: Final = "Authenticated sender: "
_SENT_BY: Final = re.compile(r"(?P<mta>.+), from userid \d+", re.DOTALL)
_MTA: Final = "Postfix"
_WORDS: Final = frozenset(
    (
        *("", "SMTP", "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA", "QMQP"),
        *("UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"),
    )
)
"""What it writes after "with"."""


def read(parts: Parts) -> Said | None:
    by = parts.clauses.get("by")
    protocol = parts.clause("with").value
    if by is None or len(by.comments) != 1 or protocol not in _WORDS:
        return None
    client = parts.clauses.get("from")
    if client is None:
        return _from_within(by.comments[0], protocol)
    if not client.comments or (named := _CLIENT.fullmatch(client.comments[0])) is None:
        return None
    tls, place = _tls(client.comments[1:])
    if tls is None and by.comments[0] != _MTA:
        return None
    rest = client.comments[1 + place :]
    logged_in = bool(rest) and rest[0].startswith(_LOGGED_IN)
    name, address = named["name"], named["address"]
    return Said(
        mta=_MTA,
        helo=client.value,
        name="" if name == "unknown" else name,
        address="" if address == "unknown" else address,
        tls=tls,
        authenticated=logged_in or protocol.endswith("A"),
        in_clear=True,
    )


def _from_within(comment: str, protocol: str) -> Said | None:
    """A line without a client: sent on the host, made by Postfix, or the client is hidden.

    Messages of its own have the form of hidden ones. `smtpd_hide_client_session` is for
    those who log in, bounces are rare there: so it is called hidden.
    """
    if protocol:
        return None
    sent = _SENT_BY.fullmatch(comment)
    if sent is not None:
        return Said(mta=_MTA, local=True)
    return Said(mta=_MTA, hidden=True) if comment == _MTA else None


def _tls(comments: tuple[str, ...]) -> tuple[Tls | None, int]:
    """What the comments behind the client's say of TLS, and how many they are."""
    found = _USING.fullmatch(comments[0]) if comments else None
    if found is None:
        return None, 0
    certificate, subject, issuer = _certificate(comments[1]) if comments[1:] else _UNTOLD
    raw = " raw public key" if (found["key"] or "").endswith("raw public key") else ""
    return Tls(
        protocol=found["protocol"],
        cipher=found["cipher"],
        bits=int(found["bits"]),
        key_exchange=group_name(found["exchange"] or "", found["group"] or ""),
        signature=(found["signature"] or "") + raw,
        certificate=certificate,
        subject=subject,
        issuer=issuer,
    ), 2


_UNTOLD: Final = (Certificate.UNTOLD, "", "")


def _certificate(comment: str) -> tuple[Certificate, str, str]:
    """With the names in it. Which of two '", Issuer "' is Postfix's own, nobody can tell."""
    told = _NO_CERTIFICATE.get(comment)
    if told is not None:
        return told, "", ""
    if _RAW_KEY.fullmatch(comment):
        # Postfix tells the key and not whether it was expected.
        return Certificate.NOT_VERIFIED, comment.rpartition(" ")[2], ""
    found = _NAMED.fullmatch(comment)
    if found is None:
        return _UNTOLD
    verified = found["verified"] == "verified OK"
    subject, _, issuer = found["names"].rpartition(_BETWEEN)
    return (Certificate.VERIFIED if verified else Certificate.NOT_VERIFIED), subject, issuer
