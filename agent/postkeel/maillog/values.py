"""The words of the mail log as values: session, counts, notice, statistics.

Texts in here were written by strangers unless said otherwise: a peer's name is what
its DNS says, a reason what its TLS library says.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from postkeel.core.frozen import frozen

OTHERS: Final = "(others)"
"""Stands for the peers that came too seldom to be kept by name."""


NOT_LOGGED: Final = "unknown"
"""The protocol of a TLS session whose summary line is missing."""


class Direction(str, Enum):
    """Who connected: a client to us, or we to a server."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@frozen
class Session:
    """What a connection travelled over. In clear text all but `direction` is empty.

    trust: Postfix's word: Anonymous, Untrusted, Trusted or Verified.
    protocol: as Postfix writes it: "TLSv1.3"; `NOT_LOGGED` where only other lines
    tell that there was TLS. cipher: OpenSSL's name.
    key_exchange: the group by its name of today ("X25519", "secp256r1",
    "X25519MLKEM768", "ffdhe2048"), "" below TLS 1.3 where Postfix does not say.
    signature: of the server: "RSA-PSS", "ECDSA", with " raw public key" where there is no
    certificate. reused: the SMTP connection was used again, which is not TLS resumption.
    """

    direction: Direction
    trust: str = ""
    protocol: str = ""
    cipher: str = ""
    bits: int = 0
    key_exchange: str = ""
    signature: str = ""
    reused: bool = False

    @property
    def clear(self) -> bool:
        return not self.protocol


class ConnectionCount(NamedTuple):
    """Connections of one hour that are alike, and the mails that they carried.

    A named tuple, as the other counts: there are tens of thousands of them.

    hour: its beginning, seconds of the epoch. name: who wrote the line, without
    the process number: "postfix/submission/smtpd". peer: domain of the other
    side, "[address]" where it has no name, or `OTHERS`.
    Connections in clear text are counted when they carried mail.
    """

    hour: int
    name: str
    session: Session
    peer: str
    connections: int
    mails: int

    @property
    def service(self) -> str:
        """The program, as the last part of its name: "smtpd"."""
        return self.name.rpartition("/")[2]


class FailureCount(NamedTuple):
    """Handshakes of one hour that failed alike. reason: OpenSSL's words, or Postfix's."""

    hour: int
    name: str
    direction: Direction
    reason: str
    peer: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here


class DestinationCount(NamedTuple):
    """Mails of one hour to a recipient's domain, over connections that are alike.

    domain: what stands after the @ of the recipient, in lower case: the key of
    smtp_tls_policy_maps unless a transport says otherwise. relay: domain of the server that
    took it.
    """

    hour: int
    domain: str
    relay: str
    session: Session
    mails: int


class NoticeKind(str, Enum):
    """Lines that are news by themselves, each by what it means."""

    TLS_DISABLED = "TLS disabled"
    VERIFICATION_FAILED = "verification failed"
    DANE_UNAVAILABLE = "DANE unavailable"
    TLS_REQUIRED = "TLS required and not to be had"
    TLS_REFUSED = "TLS session refused"
    REPORT_FAILED = "TLSRPT failure"
    LINES_LOST = "lines lost"
    DEBUG_LOGGING = "debug logging"


@frozen
class Notice:
    """One such line. time: seconds of the epoch. peer: host and address as logged, or "".

    text: the message, made one printable line and cut. count: how many were alike
    in kind, name and peer; time and text are those of the last.
    """

    kind: NoticeKind
    time: float
    name: str
    peer: str
    text: str
    count: int = 1


@frozen
class Statistics:
    """What is known of a stretch of mail log, from files or from the agent's history.

    lines: read in all. first, last: of the lines that Postfix wrote, in UTC.
    lost: what is missing, one sentence each. proven: whether journald vouches
    for who wrote the lines; a text file does not.
    """

    lines: int
    connections: tuple[ConnectionCount, ...] = ()
    failures: tuple[FailureCount, ...] = ()
    destinations: tuple[DestinationCount, ...] = ()
    notices: tuple[Notice, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    lost: tuple[str, ...] = ()
    proven: bool = False
