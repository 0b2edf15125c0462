"""A line of a server that is not known: RFC 5321's words, and TLS as many write it.

It never says that there was no TLS: not everybody writes the "S" of RFC 3848.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from postkeel.headers.forms.suites import tls_of
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Tls
from postkeel.maillog.messages import group_name

_CLIENT: Final = re.compile(
    r"(?:(?P<name>[^\s\[\]()]++)\s+)?\[(?:IPv6:)?(?P<literal>[0-9A-Fa-f:.%]{2,64})\](?::\d{1,5})?"
    r"|(?P<plain>[0-9A-Fa-f:.]{3,45})",
    re.IGNORECASE,
)
_BITS: Final = r"\(?(?P<bits>\d{1,9})(?:/\d{1,9})?(?: bits\)?)?"
_HABITS: Final = (
    re.compile(
        rf"using (?P<protocol>[^\s,]++),? with cipher (?P<cipher>[^\s,()]++)(?: {_BITS})?.*",
        re.DOTALL,
    ),
    re.compile(
        r"(?:.*?[\s,;])?version[=: ]\s*(?P<protocol>[^\s,;=]++)[,;]?\s*"
        rf"cipher[=: ]\s*(?P<cipher>[^\s,;()=]++)(?:[,;]?\s*bits[=: ]\s*{_BITS})?.*",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<protocol>(?:TLS|SSL)v?\d(?:[._]\d)?):(?P<cipher>[^\s:,()]++)(?::{_BITS})?(?:\s.*)?",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(r"(?P<protocol>(?:TLS|SSL)v?\d(?:[._]\d)?)(?P<cipher>)(?P<bits>)", re.IGNORECASE),
)
_SOCKETS: Final = ("LMTP", "LOCAL")


def read(parts: Parts) -> Said:
    client = parts.clause("from")
    protocol = parts.clause("with").value.partition(" ")[0].upper()
    helo = client.value.partition(" ")[0]
    name, address = _client(client.comments)
    same = _host(helo) in ("", _host(parts.clause("by").value.partition(" ")[0]))
    return Said(
        mta="",
        helo=helo,
        name=name,
        address=address,
        tls=_tls(parts),
        authenticated=protocol.endswith(("SMTPA", "SMTPSA", "LMTPA", "LMTPSA")),
        # Dovecot, of a client at the other end of a socket.
        local=protocol in _SOCKETS and not address and same,
    )


def _host(name: str) -> str:
    return name.lower().removesuffix(".")


def _client(comments: tuple[str, ...]) -> tuple[str, str]:
    """Name and address of the last comment that is one.

    Security: what the client says of itself is written first, and is no proof of an address.
    """
    for comment in reversed(comments):
        found = _CLIENT.fullmatch(comment)
        if found is not None:
            name = found["name"] or ""
            return ("" if name.lower() == "unknown" else name), found["literal"] or found["plain"]
    return "", ""


def _tls(parts: Parts) -> Tls | None:
    """From the comments, and the clauses "tls" and "group" of RFC 8314, section 4.3."""
    written = parts.clause("tls").value.partition(" ")[0]
    group = parts.clause("group").value.partition(" ")[0]
    found = next(_habits(parts), None)
    if found is not None:
        tls = tls_of(found["protocol"], found["cipher"] or written, found["bits"])
    elif written:
        tls = tls_of("", written)
    else:
        return None
    return replace(tls, key_exchange=group_name(group, "")) if group else tls


def _habits(parts: Parts) -> Iterator[re.Match[str]]:
    """What the server wrote of itself comes first; HELO may stand in a comment on the client."""
    for name in ("with", "by", "tls", "id", "for", "via", "from"):
        for comment in parts.clause(name).comments:
            for habit in _HABITS:
                found = habit.fullmatch(comment)
                if found is not None:
                    yield found
