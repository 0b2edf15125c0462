"""The words of mail headers as values: hop, TLS, client certificate, way, own hosts.

Texts in here were written by strangers unless said otherwise; each is one printable line.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from postkeel.core.frozen import frozen


class Verdict(str, Enum):
    """How a message came over one hop."""

    WELL = "encrypted"
    WEAKLY = "weak"
    CLEAR = "clear"
    UNKNOWN = "unknown"
    HIDDEN = "hidden"
    """The server keeps it back on purpose (smtpd_hide_client_session)."""
    LOCAL = "local"
    """Handed over within the host: no network was between."""


class Certificate(str, Enum):
    """What a Received line says of the client's certificate."""

    UNTOLD = ""
    NOT_REQUESTED = "not requested"
    NOT_PRESENTED = "not presented"
    NOT_VERIFIED = "not verified"
    VERIFIED = "verified"


@frozen
class Tls:
    """What a Received line says of TLS; "" and 0 is what it does not say.

    protocol: by its name in OpenSSL and Postfix ("TLSv1.2"), or the line's own word where
    that is none. cipher: OpenSSL's name where there is one ("ECDHE-RSA-AES256-GCM-SHA384"),
    else as written. key_exchange: the group by its name of today ("X25519", "secp256r1").
    signature: of the server ("RSA-PSS", "ECDSA"). The last three are of the client.
    """

    protocol: str = ""
    cipher: str = ""
    bits: int = 0
    key_exchange: str = ""
    signature: str = ""
    certificate: Certificate = Certificate.UNTOLD
    subject: str = ""
    issuer: str = ""


@frozen
class Hop:
    """One Received line.

    mta: the mail server that writes such lines ("Postfix", "Exim"), "" for one not known.
    helo: what the client said it is. name: what DNS said to the receiver. address: the
    client's, without brackets. by: who wrote the line. protocol: the word after "with", in
    capitals. identity: the queue's. tls: None where the line says nothing of it.
    authenticated: whether the line says that the client logged in. time: aware, None when it
    cannot be read. reason: why the verdict is what it is, a sentence without end. text: the
    line, cut.
    """

    verdict: Verdict
    reason: str
    text: str
    mta: str = ""
    helo: str = ""
    name: str = ""
    address: str = ""
    by: str = ""
    protocol: str = ""
    identity: str = ""
    recipient: str = ""
    tls: Tls | None = None
    authenticated: bool = False
    time: datetime | None = None


@frozen
class Results:
    """One Authentication-Results field (RFC 8601).

    by: who wrote it. methods: each method with its result, such as ("dkim", "pass").
    believed: it names a host of one's own, and stands above a line that is to be believed.
    """

    by: str
    methods: tuple[tuple[str, str], ...] = ()
    believed: bool = False


@frozen
class Way:
    """The way of one message, newest hop first, as its header has them.

    believed: so many hops from the top were written by hosts of one's own; all below is
    hearsay. results: only those of own hosts are to be believed. problems: what of the header
    could not be read, one sentence each.
    """

    hops: tuple[Hop, ...]
    believed: int = 0
    results: tuple[Results, ...] = ()
    problems: tuple[str, ...] = ()


@frozen
class Own:
    """Hosts of one's own: names in small letters, and networks as `ipaddress` writes them.

    A name that begins with a dot stands for every host below it.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
