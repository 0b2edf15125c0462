"""What was done on a mail server, and what a reader of its log found, in one form to compare.

Read by hand it is the JSON beside each log in tests/cases/maillog; `deeds` of
`log_forms` come to the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Union

from postkeel.maillog.values import NoticeKind, Statistics


@dataclass(frozen=True)
class Connection:
    """A TLS session that both sides agreed on."""

    direction: str
    service: str
    trust: str = "Anonymous"
    protocol: str = "TLSv1.3"
    cipher: str = "TLS_AES_256_GCM_SHA384"
    key_exchange: str = "X25519"
    reused: bool = False


@dataclass(frozen=True)
class Failure:
    """A handshake that failed."""

    direction: str
    reason: str


@dataclass(frozen=True)
class Clear:
    """A mail in clear text over TCP."""

    direction: str


@dataclass(frozen=True)
class Noticed:
    """A line that is news by itself, by its kind (`NoticeKind`).

    Of debug logging there is one for each service that does it.
    """

    kind: str


Deed = Union[Connection, Failure, Clear, Noticed]


def truth(deeds: Iterable[Deed]) -> dict[str, Any]:
    """What somebody who reads the log must find, of JSON's types."""
    counted = Counter(deeds)
    rows = sorted(counted.items(), key=str)
    return {
        "connections": [
            {**asdict(deed), "count": count} for deed, count in rows if isinstance(deed, Connection)
        ],
        "failures": [
            {**asdict(deed), "count": count} for deed, count in rows if isinstance(deed, Failure)
        ],
        "clear": {one: counted[Clear(one)] for one in ("inbound", "outbound")},
        "notices": {deed.kind: count for deed, count in rows if isinstance(deed, Noticed)},
    }


def found(statistics: Statistics) -> dict[str, Any]:
    """What a reader found, in the same form."""
    deeds: Counter[Deed] = Counter()
    for one in statistics.connections:
        session, direction = one.session, one.session.direction.value
        if session.clear:
            deeds[Clear(direction)] += one.mails
        elif one.connections:
            shape = (session.trust, session.protocol, session.cipher, session.key_exchange)
            deeds[Connection(direction, one.service, *shape, session.reused)] += one.connections
    for failure in statistics.failures:
        deeds[Failure(failure.direction.value, failure.reason)] += failure.count
    for notice in statistics.notices:
        once = notice.kind is NoticeKind.DEBUG_LOGGING
        deeds[Noticed(notice.kind.value)] += 1 if once else notice.count
    return truth(deeds.elements())
