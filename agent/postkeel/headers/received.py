"""From a Received line to a `Hop`, whoever wrote it."""

from __future__ import annotations

from typing import Final

from postkeel.core.text import one_line
from postkeel.headers.forms.order import FORMS
from postkeel.headers.parts import Parts, Said
from postkeel.headers.strength import judged
from postkeel.headers.times import read_time
from postkeel.headers.tokens import first_word, parts_of
from postkeel.headers.values import Hop, Tls, Verdict

LONGEST_TEXT: Final = 1000
"""Octets of a line that are kept beside what was read from it."""

_LONGEST_WORD: Final = 300
PROTOCOLS: Final = frozenset(
    f"{start}{end}"
    for start in ("SMTP", "ESMTP", "LMTP", "UTF8SMTP", "UTF8LMTP")
    for end in ("", "S", "A", "SA")
) | frozenset(("HTTP", "HTTPS", "LOCAL", "MAPI", "QMQP", "UUCP", "POP3", "IMAP", "NNTP"))
_ENCRYPTED: Final = frozenset(
    f"{start}{end}"
    for start in ("SMTP", "ESMTP", "LMTP", "UTF8SMTP", "UTF8LMTP", "HTTP")
    for end in ("S", "SA")
)
"""Of RFC 3848, 6531 and the registry that they began."""


def read_hop(value: str) -> Hop:
    """The hop that an unfolded Received line tells of. Total; in time linear in its length.

    Security: the verdict is what the line says; `trust.believed` says whether to believe it.
    """
    text = value if value.isprintable() else one_line(value.replace("\t", " "), len(value) * 12)
    parts = parts_of(text)
    said = next(found for form in FORMS if (found := form(parts)))
    protocol = _protocol(parts.clause("with").value)
    tls = said.tls if said.tls is None or len(text) <= _LONGEST_WORD else _cut_tls(said.tls)
    verdict, reason = judged(tls) if tls else _without_tls(said, protocol)
    return Hop(
        verdict=verdict,
        reason=one_line(reason, LONGEST_TEXT),
        text=one_line(text, LONGEST_TEXT),
        mta=said.mta,
        helo=_cut(said.helo),
        name=_cut(said.name),
        address=_cut(_bare(said.address)),
        by=_first_word(parts, "by"),
        protocol=protocol,
        identity=_first_word(parts, "id").strip("<>"),
        recipient=_first_word(parts, "for").removeprefix("<").removesuffix(">"),
        tls=tls,
        authenticated=said.authenticated,
        time=read_time(parts.date),
    )


def _first_word(parts: Parts, name: str) -> str:
    clause = parts.clauses.get(name)
    return _cut(first_word(clause.value)) if clause else ""


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST_WORD // 4 else one_line(word, _LONGEST_WORD)


def _cut_tls(tls: Tls) -> Tls:
    return Tls(
        protocol=_cut(tls.protocol),
        cipher=_cut(tls.cipher),
        bits=tls.bits,
        key_exchange=_cut(tls.key_exchange),
        signature=_cut(tls.signature),
        certificate=tls.certificate,
        subject=_cut(tls.subject),
        issuer=_cut(tls.issuer),
    )


def _bare(address: str) -> str:
    """Without the tag of an address literal (RFC 5321, section 4.1.3)."""
    return address[5:] if address[:5].lower() == "ipv6:" else address


def _protocol(value: str) -> str:
    """The word of RFC 3848 or the like: "Microsoft SMTP Server" is SMTP; else the first."""
    words = value.upper().split(" ")
    known = next((one for one in words if one in PROTOCOLS), words[0])
    return _cut(known)


def _without_tls(said: Said, protocol: str) -> tuple[Verdict, str]:
    if said.hidden:
        reason = "the server keeps its client back on purpose, or made the message itself"
        return Verdict.HIDDEN, reason
    if said.local:
        return Verdict.LOCAL, "handed over within the host"
    if protocol in _ENCRYPTED:
        return Verdict.UNKNOWN, _untold(said, protocol)
    if _bare(said.address) == "::1" or said.address.startswith("127."):
        return Verdict.LOCAL, "in clear over loopback, which is within the host"
    if said.in_clear:
        return Verdict.CLEAR, f"{said.mta} says {protocol or 'nothing'} and no TLS"
    return Verdict.UNKNOWN, "the line says nothing of TLS, and its server might not have said it"


def _untold(said: Said, protocol: str) -> str:
    if said.mta == "Postfix":
        return (
            f"{protocol} is TLS, and smtpd_tls_received_header is off there: with what is not told"
        )
    return f"{protocol} is TLS, and with what is not told"
