"""Counts of what was read, bounded in memory whatever the log holds.

The counts are kept by hour while they are few; when they become many, by day, then
as one; then the peers that come seldom become `OTHERS`. Sums stay exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from postkeel.maillog.messages import Parameters
from postkeel.maillog.prefix import in_utc
from postkeel.maillog.values import (
    OTHERS,
    ConnectionCount,
    DestinationCount,
    Direction,
    FailureCount,
    Notice,
    Session,
    Statistics,
)

MOST_COUNTS: Final = 40_000
MOST_NOTICES: Final = 500
MOST_REASONS: Final = 200
MOST_KINDS: Final = 2_000
MOST_NAMES: Final = 200
"""OpenSSL, Postfix and its configurations have fewer; a text file can hold anything."""
MAIL: Final = 1 << 40
"""A count holds connections, and mails so many times: one number takes half of a pair's memory."""

_HOUR: Final = 3_600
_DAY: Final = 24 * _HOUR
_COARSER: Final = {_HOUR: _DAY, _DAY: 400 * _DAY}
"""Seconds that counts are kept apart by, and those that come after when they are too many."""


class Kind(NamedTuple):
    """Connections that are alike but for hour and peer; `agreed` is None in clear text."""

    name: str
    direction: Direction
    trust: str = ""
    reused: bool = False
    agreed: Parameters | None = None


class Counts:
    """Of one kind: connections by hour and peer, mails sent by hour, domain and relay."""

    __slots__ = ("connections", "destinations", "kind")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.connections: dict[tuple[int, str], int] = {}
        self.destinations: dict[tuple[int, str, str], int] = {}

    def connected(self, hour: int, peer: str, count: int) -> None:
        """Add connections, and mails as so many times `MAIL`."""
        key = hour, peer
        self.connections[key] = self.connections.get(key, 0) + count

    def delivered(self, hour: int, domain: str, relay: str) -> None:
        key = hour, domain, relay
        self.destinations[key] = self.destinations.get(key, 0) + 1


Travelled = tuple[Counts, str]
"""What a connection was, and the peer."""

Piece = tuple[str, Any, list[Any]]
"""A few counts: of which sort, of what they all are, and they."""
_AT_ONCE: Final = 2_000

_Counts = dict[Any, int]
_Shorten = Callable[[Any], Any]


class Tally:
    """What a reader counts into. most: counts of each sort, before they are folded."""

    def __init__(self, most: int = MOST_COUNTS) -> None:
        self.lines = 0
        self.first: float | None = None
        self.last: float | None = None
        self.width = _HOUR
        self._width_taken = _HOUR
        self._counts: dict[Kind, Counts] = {}
        self._failures: dict[tuple[str, Direction], dict[tuple[int, str, str], int]] = {}
        self._reasons: set[str] = set()
        self._notices: dict[tuple[str, str, str], Notice] = {}
        self._most = most

    def saw(self, moment: float | None) -> None:
        """A line of Postfix was written then; None when its stamp cannot be read."""
        if moment is not None:
            self.first = moment if self.first is None else min(self.first, moment)
            self.last = moment if self.last is None else max(self.last, moment)

    def hour(self, seconds: int) -> int:
        """The beginning of the stretch that the moment is counted in: its hour, or longer."""
        return seconds - seconds % self.width

    def of(self, kind: Kind) -> Counts:
        """The counts of a kind, to count into; of one kind too many those of `OTHERS`."""
        counts = self._counts.get(kind)
        if counts is None:
            if len(self._counts) >= MOST_KINDS:
                agreed = Parameters(protocol=OTHERS, cipher=OTHERS) if kind.agreed else None
                kind = kind._replace(name=OTHERS, agreed=agreed)
            counts = self._counts.setdefault(kind, Counts(kind))
        return counts

    def failed(
        self, name: str, direction: Direction, hour: int, reason: str, peer: str, count: int = 1
    ) -> None:
        if len(self._reasons) < MOST_REASONS:
            self._reasons.add(reason)
        elif reason not in self._reasons:
            reason = OTHERS
        counts = self._failures.setdefault((name, direction), {})
        key = hour, reason, peer
        counts[key] = counts.get(key, 0) + count

    def noticed(self, notice: Notice) -> None:
        """Alike in kind, name and peer are one; peers beyond the bound are `OTHERS`."""
        key = (notice.kind, notice.name, notice.peer)
        if key not in self._notices and len(self._notices) >= MOST_NOTICES:
            key = (notice.kind, notice.name, OTHERS)
        known = self._notices.get(key)
        self._notices[key] = Notice(
            kind=notice.kind,
            time=notice.time,
            name=notice.name,
            peer=key[2],
            text=notice.text,
            count=notice.count + (known.count if known else 0),
        )

    def keep_bounded(self) -> None:
        """Fold what has become too much. To be called now and then, not at each line."""
        sorts = self._sorts()
        while self.width in _COARSER and any(_size(one) > self._most for one, _ in sorts):
            self.widen(_COARSER[self.width])
        for counts, without in sorts:
            if _size(counts) > self._most:
                _fold_rare(counts, without, self._most // 2)

    def _sorts(self) -> tuple[tuple[list[_Counts], _Shorten], ...]:
        """The counts of each sort, and how their keys are shortened."""
        return (
            ([one.connections for one in self._counts.values()], _without_peer),
            ([*self._failures.values()], _without_peer),
            ([one.destinations for one in self._counts.values()], _without_domain),
        )

    def widen(self, width: int) -> None:
        """Count by stretches of at least so many seconds."""
        if width > self.width:
            self.width = width
            for counts, _ in self._sorts():
                _widen(counts, width)

    def pieces(self) -> Iterator[Piece]:
        """All counts, a few at a time, to be handed to another's `take`; none is left here."""
        yield "seen", None, [(self.lines, self.first, self.last, self.width)]
        for kind, counts in self._counts.items():
            yield from (("connections", kind, some) for some in _some(counts.connections))
            yield from (("destinations", kind, some) for some in _some(counts.destinations))
        for who, failures in self._failures.items():
            yield from (("failures", who, some) for some in _some(failures))
        yield "notices", None, list(self._notices.values())

    def take(self, piece: Piece) -> None:
        """Count what another one has counted."""
        sort, key, some = piece
        if sort == "seen":
            ((lines, first, last, width),) = some
            self.lines += lines
            self.saw(first)
            self.saw(last)
            self.widen(width)
            self._width_taken = width
        elif sort == "notices":
            for notice in some:
                self.noticed(notice)
        elif sort == "failures":
            name, direction = key
            for (hour, reason, peer), count in some:
                self.failed(name, direction, self.hour(hour), reason, peer, count)
        else:
            if self.width > self._width_taken:
                some = [((self.hour(one[0]), *one[1:]), count) for one, count in some]
            counts = getattr(self.of(key), sort)
            for one, count in some:
                counts[one] = counts.get(one, 0) + count
        self.keep_bounded()

    def statistics(self, *, lost: Iterable[str] = (), proven: bool = False) -> Statistics:
        return Statistics(
            lines=self.lines,
            connections=tuple(self._connection_counts()),
            failures=tuple(self._failure_counts()),
            destinations=tuple(self._destination_counts()),
            notices=tuple(self._notices.values()),
            first=in_utc(self.first),
            last=in_utc(self.last),
            lost=tuple(lost),
            proven=proven,
        )

    def _connection_counts(self) -> Iterator[ConnectionCount]:
        for kind, counts in self._counts.items():
            session = _session(kind)
            for (hour, peer), count in counts.connections.items():
                mails, connections = divmod(count, MAIL)
                yield ConnectionCount(hour, kind.name, session, peer, connections, mails)

    def _destination_counts(self) -> Iterator[DestinationCount]:
        for kind, counts in self._counts.items():
            session = _session(kind)
            for (hour, domain, relay), mails in counts.destinations.items():
                yield DestinationCount(hour, domain, relay, session, mails)

    def _failure_counts(self) -> Iterator[FailureCount]:
        for (name, direction), counts in self._failures.items():
            for (hour, reason, peer), count in counts.items():
                yield FailureCount(hour, name, direction, reason, peer, count)


def _session(kind: Kind) -> Session:
    if kind.agreed is None:
        return Session(direction=kind.direction, reused=kind.reused)
    return Session(
        direction=kind.direction,
        trust=kind.trust,
        reused=kind.reused,
        **kind.agreed._asdict(),
    )


def _some(counts: _Counts) -> Iterator[list[tuple[Any, int]]]:
    while counts:
        yield [counts.popitem() for _ in range(min(_AT_ONCE, len(counts)))]


def _size(counts: Iterable[_Counts]) -> int:
    return sum(map(len, counts))


def _widen(counts: Iterable[_Counts], width: int) -> None:
    _fold(counts, lambda key: (key[0] - key[0] % width, *key[1:]))


def _fold(counts: Iterable[_Counts], shorten: _Shorten) -> None:
    """Add up what has the same key once it is shortened."""
    for one in counts:
        folded: _Counts = {}
        while one:
            key, count = one.popitem()
            short = shorten(key)
            folded[short] = folded.get(short, 0) + count
        one.update(folded)


def _fold_rare(counts: Sequence[_Counts], without: _Shorten, room: int) -> None:
    """Shorten the keys that count least, so many that the others have room."""
    sums: dict[tuple[str, ...], list[int]] = {}
    for one in counts:
        for key, count in one.items():
            known = sums.setdefault(key[1:], [0, 0])
            known[0] += count // MAIL + count % MAIL
            known[1] += 1
    kept = set()
    for name, (_, keys) in sorted(sums.items(), key=lambda item: -item[1][0]):
        room -= keys
        if room >= 0:
            kept.add(name)
    _fold(counts, lambda key: key if key[1:] in kept else without(key))


def _without_peer(key: Any) -> Any:
    return *key[:-1], OTHERS


def _without_domain(key: Any) -> Any:
    return key[0], OTHERS, OTHERS
