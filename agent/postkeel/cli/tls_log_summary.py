"""The statistics of a mail log, added up once for all that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from postkeel.cli.wording import stretch_length
from postkeel.core.frozen import frozen
from postkeel.maillog.values import (
    NOT_LOGGED,
    OTHERS,
    Direction,
    FailureCount,
    Session,
    Statistics,
)
from postkeel.postfix import protocols

K = TypeVar("K")

PROTOCOLS = ("SSLv2", *protocols.PROTOCOLS)
"""Oldest first, as Postfix writes them; old logs have SSLv2."""

_NEWEST = len(PROTOCOLS)
_RANKS = {name: rank for rank, name in enumerate(PROTOCOLS)}
_CLEAR = _NEWEST + 1
_WEAKEST = (*PROTOCOLS, NOT_LOGGED, "")


class Volume(NamedTuple):
    """Connections and the mails that they carried, over TLS and in clear text."""

    tls_connections: int = 0
    tls_mails: int = 0
    clear_connections: int = 0
    clear_mails: int = 0

    @property
    def connections(self) -> int:
        return self.tls_connections + self.clear_connections

    @property
    def mails(self) -> int:
        return self.tls_mails + self.clear_mails


@frozen
class Travel:
    """Connections over TLS that are alike. service: the program, "smtpd"."""

    session: Session
    service: str
    connections: int
    mails: int


class Peer(NamedTuple):
    """A domain on the other side. weakest: the oldest protocol seen, "" when all was clear."""

    direction: Direction
    name: str
    volume: Volume
    weakest: str


class ClearText(NamedTuple):
    """What one peer carried in clear text through one service."""

    direction: Direction
    service: str
    peer: str
    connections: int
    mails: int


class Destination(NamedTuple):
    """Mails to one recipient domain; `relays` took them, most mails first."""

    domain: str
    tls_mails: int
    clear_mails: int
    relays: tuple[str, ...]

    @property
    def mails(self) -> int:
        return self.tls_mails + self.clear_mails


@frozen
class Summary:
    """A stretch of mail log: its statistics, and what they add up to.

    services: by direction and full name. hours: by direction and hour. peers: most
    connections first. failures: by direction and reason, most first.
    """

    statistics: Statistics
    travels: tuple[Travel, ...]
    services: Mapping[tuple[Direction, str], Volume]
    hours: Mapping[tuple[Direction, int], Volume]
    peers: tuple[Peer, ...]
    failures: Mapping[tuple[Direction, str], int]

    def volume(self, direction: Direction) -> Volume:
        """All of one direction."""
        return _united(one for (its, _), one in self.services.items() if its is direction)

    def travels_by(self, direction: Direction, key: Callable[[Travel], K]) -> list[tuple[K, int]]:
        """Each key with its connections over TLS, most first."""
        found: dict[K, int] = {}
        for one in self.travels:
            if one.session.direction is direction:
                name = key(one)
                found[name] = found.get(name, 0) + one.connections
        return sorted(found.items(), key=lambda row: (-row[1], str(row[0])))


def rank(protocol: str) -> int:
    """Older is lower; a protocol that nobody knows counts as newer than all."""
    return _RANKS.get(protocol, _NEWEST)


def is_old(protocol: str) -> bool:
    """Whether the text is a protocol that RFC 8996 or an earlier one took out of use."""
    return _RANKS.get(protocol, _NEWEST) < _RANKS["TLSv1.2"]


def recent(statistics: Statistics, begin: int) -> Statistics:
    """What began at this day (seconds of the epoch) or later."""
    first = statistics.first
    return replace(
        statistics,
        connections=tuple(one for one in statistics.connections if one.hour >= begin),
        failures=tuple(one for one in statistics.failures if one.hour >= begin),
        destinations=tuple(one for one in statistics.destinations if one.hour >= begin),
        notices=tuple(one for one in statistics.notices if one.time >= begin),
        first=max(first, datetime.fromtimestamp(begin, UTC)) if first else None,
    )


def summarise(statistics: Statistics) -> Summary:
    """Add up, with one look at each count.

    A log of a million lines gives tens of thousands of counts of a few hundred
    kinds, and those of one kind stand together.
    """
    kinds: dict[tuple[int, str], tuple[Session, str, list[int]]] = {}
    hours: dict[Direction, dict[int, list[int]]] = {one: {} for one in Direction}
    peers: dict[Direction, dict[str, list[int]]] = {one: {} for one in Direction}
    of, named_so = None, ""
    for hour, name, session, peer, connections, mails in statistics.connections:
        if session is not of or name != named_so:
            of, named_so = session, name
            at, age = (2, _CLEAR) if session.clear else (0, rank(session.protocol))
            its_hours, its_peers = hours[session.direction], peers[session.direction]
            total = kinds.setdefault((id(session), name), (session, name, [0, 0, 0, 0]))[2]
        total[at] += connections
        total[at + 1] += mails
        volume = its_hours.get(hour)
        if volume is None:
            volume = its_hours[hour] = [0, 0, 0, 0]
        volume[at] += connections
        volume[at + 1] += mails
        volume = its_peers.get(peer)
        if volume is None:
            volume = its_peers[peer] = [0, 0, 0, 0, age]
        elif age < volume[4]:
            volume[4] = age
        volume[at] += connections
        volume[at + 1] += mails
    return Summary(
        statistics=statistics,
        travels=_travels(kinds.values()),
        services=_services(kinds.values()),
        hours={
            (way, hour): Volume(*hours[way][hour]) for way in hours for hour in sorted(hours[way])
        },
        peers=_peers(peers),
        failures=_failures(statistics.failures),
    )


def _united(volumes: Iterable[Volume]) -> Volume:
    return Volume(*map(sum, zip(Volume(), *volumes, strict=True)))


def _travels(kinds: Iterable[tuple[Session, str, list[int]]]) -> tuple[Travel, ...]:
    added: dict[tuple[Session, str], list[int]] = {}
    for session, name, (connections, mails, *_) in kinds:
        if not session.clear:
            total = added.setdefault((session, name.rpartition("/")[2]), [0, 0])
            total[0] += connections
            total[1] += mails
    return tuple(
        Travel(session=session, service=service, connections=connections, mails=mails)
        for (session, service), (connections, mails) in added.items()
    )


def _services(
    kinds: Iterable[tuple[Session, str, list[int]]],
) -> dict[tuple[Direction, str], Volume]:
    added: dict[tuple[Direction, str], Volume] = {}
    for session, name, counts in kinds:
        key = (session.direction, name)
        added[key] = _united([added.get(key, Volume()), Volume(*counts)])
    return {key: added[key] for key in sorted(added)}


def _peers(found: Mapping[Direction, Mapping[str, list[int]]]) -> tuple[Peer, ...]:
    made = [
        Peer(direction, name, Volume(*counts), _WEAKEST[age])
        for direction, its in found.items()
        for name, (*counts, age) in its.items()
    ]
    made.sort(key=lambda one: (-one.volume[0] - one.volume[2], one.name, one.direction))
    return tuple(made)


def _failures(counts: Iterable[FailureCount]) -> dict[tuple[Direction, str], int]:
    found: dict[tuple[Direction, str], int] = {}
    for one in counts:
        key = (one.direction, one.reason)
        found[key] = found.get(key, 0) + one.count
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def clear_text(statistics: Statistics) -> list[ClearText]:
    """What went in clear text, most mails first."""
    found: dict[tuple[Direction, str, str], list[int]] = {}
    for one in statistics.connections:
        if one.session.clear:
            total = found.setdefault((one.session.direction, one.service, one.peer), [0, 0])
            total[0] += one.connections
            total[1] += one.mails
    ordered = sorted(found.items(), key=lambda one: (-one[1][1], -one[1][0], one[0]))
    return [ClearText(*key, *counts) for key, counts in ordered]


def destinations(statistics: Statistics) -> list[Destination]:
    """Where mail went, most mails first."""
    found: dict[str, list[int]] = {}
    relays: dict[str, dict[str, int]] = {}
    for one in statistics.destinations:
        total = found.setdefault(one.domain, [0, 0])
        total[one.session.clear] += one.mails
        its = relays.setdefault(one.domain, {})
        its[one.relay] = its.get(one.relay, 0) + one.mails
    made = [
        Destination(domain, over_tls, clear, _most_first(relays[domain]))
        for domain, (over_tls, clear) in found.items()
    ]
    return sorted(made, key=lambda one: (-one.mails, one.domain))


def _most_first(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def named(peers: Iterable[Peer]) -> list[Peer]:
    """Those that have a name: without the sum of those that came too seldom."""
    return [one for one in peers if one.name != OTHERS]


def stretches(
    hours: Mapping[int, Volume], shortest: int, most: int
) -> tuple[int, list[tuple[int, Volume]]]:
    """The hours added up to at most `most` stretches of one length, gaps filled; and that length.

    Hours, days, weeks, or as many weeks as are needed, in seconds; not below `shortest`.
    """
    if not hours:
        return shortest, []
    first, last = min(hours), max(hours)
    length = stretch_length(first, last, shortest, most)
    found: dict[int, list[Volume]] = {}
    for hour, volume in hours.items():
        found.setdefault(hour // length, []).append(volume)
    whole = range(first // length, last // length + 1)
    return length, [(one * length, _united(found.get(one, []))) for one in whole]
