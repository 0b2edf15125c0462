"""What Postfix says about TLS, one message at a time: pure readers of octets.

The formats are those of Postfix 3.4 to 3.11 (src/tls/tls_misc.c, tls_server.c,
tls_client.c, tls_verify.c, tls_certkey.c, src/smtpd/smtpd.c, src/smtp/smtp_proto.c,
src/tlsproxy/). Every pattern is anchored at the start of the message, because
addresses, server replies and certificate names in it are written by strangers.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from postkeel.core.text import one_line
from postkeel.maillog.values import NOT_LOGGED, Direction, NoticeKind

LONGEST_TEXT: Final = 200
_LONGEST_QUEUE_ID: Final = 40
_TO: Final = b": to=<"
_ORIGINALLY: Final = b"orig_to=<"
_RELAY: Final = b"relay="
_CONNECTION_USE: Final = b", conn_use="
_TLS: Final = b", tls="
_STATUS: Final = b", status="
_NEAR: Final = 400

_WORDS: Final = re.compile(
    rb"(Anonymous|Untrusted|Trusted|Verified) TLS connection (established|reused) (to|from)"
)
_AFTER_PEER: Final = re.compile(
    rb"(?::\d+)?(?: to [!-~]+)?: "
    rb"((?:SSL|TLS)v\d(?:\.\d)?) with cipher ([!-~]+) \((\d{1,9})/\d{1,9} bits\)"
    rb"(?: key-exchange ([!-~]+)(?: \(([^()]*)\))?)?"
    rb"(?: server-signature ([!-~]+)(?: \(([^()]*)\))?)?"
    rb"(?: .*)?"
)
_PEER: Final = re.compile(rb"([^\s\[\],]*)\[([^\s\[\],/]*)\]")
_PEER_AND_PORT: Final = re.compile(_PEER.pattern + rb"(?::\d+)?")
_COUNTER: Final = re.compile(rb"(?<![a-z])([a-z]+)=(\d{1,9})")
_ADDRESS: Final = re.compile(rb'[^"<>]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"<>]*)*(?=>, )')
_LIBRARY: Final = re.compile(rb"(?:\d+:)?error:[0-9A-Fa-f]+:[^:]*:[^:]*:([^:]*):")
_HANDSHAKE_FAILED: Final = re.compile(
    rb"SSL_(accept|connect) error (?:from|to) ([^\s\[\]]*)\[([^\s\[\]]*)\](?::\d+)?: (.*)",
    re.DOTALL,
)
_PROXY_FAILED: Final = re.compile(
    rb"TLS handshake failed for service=(\S*) peer=(?:([^\s\[\]]*)\[([^\s\[\]]*)\](?::\d+)?|(\S*))"
)

_GROUPS: Final = {
    "x25519": "X25519",
    "x448": "X448",
    "prime256v1": "secp256r1",
    "p-256": "secp256r1",
    "p-384": "secp384r1",
    "p-521": "secp521r1",
}
"""What OpenSSL and Postfix called a group, in lower case, and its name today."""

_FINITE_FIELD_BITS: Final = {"2048", "3072", "4096", "6144", "8192"}


class Words(NamedTuple):
    """The beginning of a summary line, up to the peer."""

    trust: str
    reused: bool
    direction: Direction


class Parameters(NamedTuple):
    """The rest of a summary line: what was agreed upon."""

    protocol: str
    cipher: str = ""
    bits: int = 0
    key_exchange: str = ""
    signature: str = ""


UNTOLD: Final = Parameters(protocol=NOT_LOGGED)
"""Of a session that other lines show to have had TLS."""


Delivery = tuple[bytes, bytes, bytes, int, int, int]
"""A status line of smtp(8) or lmtp(8): queue file, domain of the recipient, relay as
"host[address]", and where in the line the relay ends, the status begins and its text begins.
A plain tuple, for one line in ten is such a one."""


class Counters(NamedTuple):
    """What a client did in a session: mails that were taken, and STARTTLS that worked."""

    mails: int
    starttls: int


def read_words(text: bytes) -> Words | None:
    """Of "Anonymous TLS connection established from"."""
    found = _WORDS.fullmatch(text)
    if found is None:
        return None
    return Words(
        trust=found[1].decode(),
        reused=found[2] == b"reused",
        direction=Direction.OUTBOUND if found[3] == b"to" else Direction.INBOUND,
    )


def read_parameters(text: bytes) -> Parameters | None:
    """Of what follows the peer: port, name of the SNI, then "TLSv1.3 with cipher ..."."""
    found = _AFTER_PEER.fullmatch(text)
    if found is None:
        return None
    protocol, cipher, bits, exchange, group, signature, key = (
        one.decode("ascii", "backslashreplace") if one else "" for one in found.groups()
    )
    raw = " raw public key" if key.endswith("raw public key") else ""
    return Parameters(
        protocol=protocol,
        cipher=cipher,
        bits=int(bits),
        key_exchange=group_name(exchange, group),
        signature=signature + raw,
    )


def group_name(exchange: str, detail: str) -> str:
    """The group's name today, of what builds wrote at different times.

    >>> group_name("ECDHE", "prime256v1"), group_name("x25519", ""), group_name("DHE", "2048 bits")
    ('secp256r1', 'X25519', 'ffdhe2048')
    """
    if exchange == "DHE":
        bits = detail.removesuffix(" bits")
        return f"ffdhe{bits}" if bits in _FINITE_FIELD_BITS else f"DHE {bits}".strip()
    name = detail if exchange == "ECDHE" and detail else exchange
    return _GROUPS.get(name.lower(), name)


def peer_name(host: bytes, address: bytes) -> str:
    """The domain of a peer, or its address in brackets when it has no verified name."""
    name = host.decode("ascii", "backslashreplace").lower().rstrip(".")
    if name in ("", "unknown") or ":" in name or name.replace(".", "").isdigit():
        return f"[{address.decode('ascii', 'backslashreplace')}]"
    return domain_of(name)


def domain_of(name: str) -> str:
    """What was most likely registered: two labels, three under the like of co.uk.

    The list of public suffixes would know better; for statistics this does.
    """
    labels = name.rsplit(".", 3)
    short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3  # noqa: PLR2004
    return ".".join(labels[-3:] if short else labels[-2:])


def read_peer(text: bytes) -> str:
    """The domain of a peer as logged, "host[address]"; "" when it is none."""
    found = _PEER.fullmatch(text)
    return peer_name(found[1], found[2]) if found else ""


def read_counters(text: bytes) -> Counters:
    """ "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7": the first of n/m worked."""
    found = {name: int(worked) for name, worked in _COUNTER.findall(text)}
    # One mail takes a BDAT for each of its chunks.
    mails = min(found.get(b"mail", 0), found.get(b"data", 0) + found.get(b"bdat", 0))
    return Counters(mails=mails, starttls=found.get(b"starttls", 0))


def read_delivery(line: bytes, start: int) -> Delivery | None:
    """The status of a recipient that starts there: "QUEUEID: to=<...>, relay=..., status=...".

    None for all other messages, and for servers behind a socket. A recipient may hold
    anything in quotes, the rest of such a line included, and so may the server's reply.
    """
    colon = line.find(_TO, start, start + _LONGEST_QUEUE_ID)
    if colon < 0:
        return None
    at = address = colon + len(_TO)
    end = line.find(b">, ", at)
    if line.find(b'"', at, end) >= 0 or line.startswith(_ORIGINALLY, end + 3):
        end, at = _addresses(line, at)
    else:
        at = end + 3
    close = line.find(b"]", at) + 1
    if end < 0 or not close or not line.startswith(_RELAY, at) or line.find(b"/", at, close) >= 0:
        return None
    status = line.find(_STATUS, close)
    text = line.find(b" (", status)
    if status < 0 or text < 0:
        return None
    sign = line.rfind(b"@", address, end)
    domain = line[sign + 1 : end] if sign >= 0 else b""
    return line[start:colon], domain, line[at + len(_RELAY) : close], close, status, text


def _addresses(line: bytes, at: int) -> tuple[int, int]:
    """Ends of the address and of the one that it was before, with quotes; -1 for no such."""
    found = _ADDRESS.match(line, at)
    end = found.end() if found else -1
    if found and line.startswith(_ORIGINALLY, end + 3):
        found = _ADDRESS.match(line, end + 3 + len(_ORIGINALLY))
    return end if found else -1, found.end() + 3 if found else -1


def was_reused(line: bytes, found: Delivery) -> bool:
    """Whether the delivery was not the first over its connection."""
    return line.find(_CONNECTION_USE, found[3], found[4]) >= 0


def had_tls(line: bytes, found: Delivery) -> bool:
    """Whether the `tls=` of Postfix 3.11 tells of TLS for mail that was sent.

    "dane" and "dane:encrypt" do; "none", "may:none" and "!encrypt" do not.
    """
    at = line.find(_TLS, found[3], found[4])
    if at < 0:
        return False
    word = line[at + len(_TLS) : found[4]].partition(b",")[0]
    level, _, downgrade = word.partition(b"/")[0].rstrip(b"?").partition(b":")
    return level not in (b"", b"none") and not level.startswith(b"!") and downgrade != b"none"


def read_library_problem(text: bytes) -> str:
    """OpenSSL's reason: "unsupported protocol"; "" when the text has another form."""
    found = _LIBRARY.match(text)
    return printable(found[1]) if found else ""


class Failure(NamedTuple):
    """A handshake that failed; the reason is "" when another line is to tell it."""

    direction: Direction
    peer: str
    reason: str


def read_failure(text: bytes) -> Failure | None:
    found = _HANDSHAKE_FAILED.match(text)
    if found is not None:
        reason = printable(found[4])
        numeric = reason.removeprefix("-").isdigit()
        return Failure(
            direction=Direction.INBOUND if found[1] == b"accept" else Direction.OUTBOUND,
            peer=peer_name(found[2], found[3]),
            reason="" if numeric else reason,
        )
    found = _PROXY_FAILED.match(text)
    if found is None:
        return None
    client = found[1] != b"smtpd"  # postscreen's word, whatever master.cf says; else a transport
    peer = peer_name(found[2], found[3]) if found[3] is not None else printable(found[4])
    return Failure(
        direction=Direction.OUTBOUND if client else Direction.INBOUND, peer=peer, reason=""
    )


_DISABLED: Final = (
    b"No server certs available. TLS ",
    b"TLS has been selected, but TLS support is not compiled in",
    b"error opening chain file: ",
    b"Invalid TLS protocol list ",
    b"Invalid TLS cipher grade ",
)
_REFUSED: Final = (
    b"New TLS session rate limit exceeded",
    b"Refusing STARTTLS request from ",
    b"Refusing TLS service request from ",
    b"NOQUEUE: abort: TLS from ",
)
_UNUSABLE: Final = (
    b": all TLSA records unusable",
    b": all trust anchors unusable",
)
_UNVERIFIED: Final = (
    b"certificate verification failed for ",
    b"server certificate verification failed for ",
    b"client certificate verification failed for ",
)
_REQUIRED: Final = (
    b"(TLS is required, but ",
    b"(Server certificate not ",
    b"(Cannot start TLS: ",
    b"(Sender requested REQUIRETLS, but ",
    b"(client TLS configuration problem",
)
_DEBUGGING: Final = (
    b"setting up TLS connection ",
    b"SSL_accept:",
    b"SSL_connect:",
)


def notice_kind(text: bytes) -> NoticeKind | None:
    """What a message means that is news by itself. text: without "warning: "."""
    if text.startswith(_UNVERIFIED):
        return NoticeKind.VERIFICATION_FAILED
    if text.startswith(_DEBUGGING):
        return NoticeKind.DEBUG_LOGGING
    if text.startswith(_REFUSED):
        return NoticeKind.TLS_REFUSED
    if text.startswith(b"TLSRPT: status=failure"):
        return NoticeKind.REPORT_FAILED
    if text.startswith(b"DNSSEC validation may be unavailable"):
        return NoticeKind.DANE_UNAVAILABLE
    return _later_kind(text)


_LOADING: Final = re.compile(
    rb"(?:cannot |Cannot |error |non-default |no entropy |OpenSSL DANE initialization failed"
    rb"|[A-Za-z0-9]+ private key in ).*\bdisabling TLS support|disabling TLS support"
)
"""A stranger's words come after "non-SMTP command from" and the like, never after these."""


def _later_kind(text: bytes) -> NoticeKind | None:
    """Messages that begin with a peer or with what could not be loaded."""
    if text.startswith(_DISABLED) or _LOADING.fullmatch(text):
        return NoticeKind.TLS_DISABLED
    found = _PEER_AND_PORT.match(text)
    rest = text[found.end() :] if found else b""
    if rest.startswith(_UNUSABLE):
        return NoticeKind.DANE_UNAVAILABLE
    if rest.startswith(b": Invalid TLS protocol list "):
        return NoticeKind.TLS_DISABLED
    return None


def begins_session(text: bytes) -> bool:
    """Whether smtpd may say this before or at the beginning of a session, and not within one."""
    return text.startswith(
        (b"connect from ", b"warning: ", b"cannot load ")
    ) and not text.startswith(b"warning: TLS library problem")


def find_peer(text: bytes) -> str:
    """The first peer that a message names; "" when there is none near its beginning."""
    found = _PEER.search(text[:_NEAR])
    return peer_name(found[1], found[2]) if found else ""


def required_and_missing(line: bytes, text: int) -> bool:
    """Whether mail stays because TLS could not be had. text: where " (...)" begins.

    A server's own words follow "(host ... said: " and are no witness.
    """
    return line.startswith(_REQUIRED, text + 1)


def printable(text: bytes) -> str:
    return one_line(text[:1000].decode("utf-8", "backslashreplace"), LONGEST_TEXT)
