"""Statistics as rows of hourly tables, and back.

What a row cannot hold is rounded: the time of a notice, and the first and last
line, to the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from postkeel.core.model import Row
from postkeel.maillog.tables import TABLES
from postkeel.maillog.values import (
    OTHERS,
    ConnectionCount,
    DestinationCount,
    Direction,
    FailureCount,
    Notice,
    NoticeKind,
    Session,
    Statistics,
)

Rename = Callable[[str], str]
Counters = dict[Row, tuple[int, ...]]

HOUR: Final = 3600
JOURNAL: Final = "journal"
"""The source that journald vouches for; every other one is a file."""

_FILE: Final = "file"
_AFTER_PEER: Final = "\t"
"""Between a notice's peer and text, which fold as one; no text that was made one line has it."""


def keep(peer: str) -> str:
    """The name as it is."""
    return peer


def to_records(statistics: Statistics, rename: Rename = keep) -> dict[str, Counters]:
    """What to add to which row of `TABLES`.

    rename: says under which name a peer, a relay or a recipient's domain is kept;
    `OTHERS` and the empty name stay. A notice of a renamed peer keeps no name in its text.
    """

    def named(peer: str) -> str:
        return peer if peer in ("", OTHERS) else rename(peer)

    added: dict[str, Counters] = {table.name: {} for table in TABLES}
    for table, row, counts in _rows(statistics, named):
        rows = added[table]
        before = rows.get(row)
        rows[row] = tuple(map(sum, zip(before, counts, strict=True))) if before else counts
    return {table: rows for table, rows in added.items() if rows}


def _rows(
    statistics: Statistics, named: Rename
) -> Iterator[tuple[str, tuple[int | str, ...], tuple[int, ...]]]:
    for made in statistics.connections:
        key = (made.hour, made.name, *_columns(made.session), named(made.peer))
        yield "connections", key, (made.connections, made.mails)
    for failed in statistics.failures:
        key = (failed.hour, failed.name, failed.direction.value, failed.reason, named(failed.peer))
        yield "failures", key, (failed.count,)
    for sent in statistics.destinations:
        key = (sent.hour, named(sent.domain), named(sent.relay), *_columns(sent.session))
        yield "destinations", key, (sent.mails,)
    for notice in statistics.notices:
        peer = named(notice.peer)
        text = notice.text if peer == notice.peer else _without_names(notice.text)
        key = (_hour(notice.time), notice.kind.value, notice.name, peer + _AFTER_PEER + text)
        yield "notices", key, (notice.count,)
    last = _hour(statistics.last.timestamp()) if statistics.last else 0
    for lost in statistics.lost:
        yield "notices", (last, NoticeKind.LINES_LOST.value, "", _AFTER_PEER + lost), (1,)
    source = JOURNAL if statistics.proven else _FILE
    if statistics.first:
        yield "lines", (_hour(statistics.first.timestamp()), source), (0,)
    if statistics.lines:
        yield "lines", (last, source), (statistics.lines,)


def _columns(session: Session) -> tuple[int | str, ...]:
    return (
        session.direction.value,
        session.trust,
        session.protocol,
        session.cipher,
        session.bits,
        session.key_exchange,
        session.signature,
        int(session.reused),
    )


def _hour(seconds: float) -> int:
    return int(seconds // HOUR) * HOUR


def _without_names(text: str) -> str:
    return " ".join("(name)" if set(word) & set(".@[") else word for word in text.split(" "))


def from_rows(read: Callable[[str], Iterable[tuple[Any, ...]]]) -> Statistics:
    """The statistics that rows add up to.

    read: the rows of a table, each the hour, the key columns and the counters.
    `lost` has what was stored of it, each sentence once. Of lines from the journal and from
    files together, the whole is not proven.
    """
    hours: set[int] = set()

    def rows(table: str) -> Iterator[tuple[Any, ...]]:
        for row in read(table):
            hours.add(row[0])
            yield row

    connections = tuple(_connection(*row) for row in rows("connections"))
    failures = tuple(_failure(*row) for row in rows("failures"))
    destinations = tuple(_destination(*row) for row in rows("destinations"))
    notices, lost = _notices(rows("notices"))
    read_lines = tuple(rows("lines"))
    counted = {source for _, source, lines in read_lines if lines}
    known = sorted(hours - {0})
    return Statistics(
        lines=sum(lines for _, _, lines in read_lines),
        connections=connections,
        failures=failures,
        destinations=destinations,
        notices=notices,
        first=datetime.fromtimestamp(known[0], UTC) if known else None,
        last=datetime.fromtimestamp(known[-1], UTC) if known else None,
        lost=lost,
        proven=counted == {JOURNAL},
    )


def _connection(hour: int, name: str, *more: Any) -> ConnectionCount:
    *session, peer, connections, mails = more
    return ConnectionCount(hour, name, _session(*session), peer, connections, mails)


def _failure(
    hour: int, name: str, direction: str, reason: str, peer: str, count: int
) -> FailureCount:
    return FailureCount(hour, name, Direction(direction), reason, peer, count)


def _destination(hour: int, domain: str, relay: str, *more: Any) -> DestinationCount:
    *session, mails = more
    return DestinationCount(hour, domain, relay, _session(*session), mails)


@lru_cache(maxsize=4096)
def _session(
    direction: str,
    trust: str,
    protocol: str,
    cipher: str,
    bits: int,
    key_exchange: str,
    signature: str,
    reused: int,
) -> Session:
    """Few are different, and each comes in many rows."""
    return Session(
        direction=Direction(direction),
        trust=trust,
        protocol=protocol,
        cipher=cipher,
        bits=bits,
        key_exchange=key_exchange,
        signature=signature,
        reused=bool(reused),
    )


def _notices(rows: Iterable[tuple[Any, ...]]) -> tuple[tuple[Notice, ...], tuple[str, ...]]:
    """Notices, and the sentences on lost lines, which no program's line said."""
    notices: list[Notice] = []
    lost: dict[str, None] = {}
    for hour, kind, name, said, count in rows:
        peer, _, text = said.partition(_AFTER_PEER)
        if not name and kind == NoticeKind.LINES_LOST.value:
            lost[text] = None
            continue
        notices.append(
            Notice(kind=NoticeKind(kind), time=hour, name=name, peer=peer, text=text, count=count)
        )
    return tuple(notices), tuple(lost)
