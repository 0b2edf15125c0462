"""What is stored of statistics is what comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from postkeel.core.text import one_line
from postkeel.maillog.stored import from_rows, to_records
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

NOON = 1_795_435_200
CLEAR = Session(direction=Direction.INBOUND)
MODERN = Session(
    direction=Direction.OUTBOUND,
    trust="Verified",
    protocol="TLSv1.3",
    cipher="TLS_AES_256_GCM_SHA384",
    bits=256,
    key_exchange="X25519MLKEM768",
    signature="RSA-PSS",
    reused=True,
)


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def back(records):
    """What the records come to when a store gives their rows back."""
    return from_rows(
        lambda name: [(*row, *counters) for row, counters in records.get(name, {}).items()]
    )


def connection(peer="example.com", *, hour=NOON, session=MODERN, connections=1, mails=1):
    return ConnectionCount(
        hour=hour,
        name="postfix/smtp",
        session=session,
        peer=peer,
        connections=connections,
        mails=mails,
    )


def notice(text, peer="mx.example.com[192.0.2.1]:25", kind=NoticeKind.VERIFICATION_FAILED):
    return Notice(kind=kind, time=NOON, name="postfix/smtp", peer=peer, text=text)


NAMES = some.text(max_size=8).map(one_line)
HOURS = some.integers(min_value=1, max_value=500_000).map(lambda hour: hour * 3600)
COUNTS = some.integers(min_value=0, max_value=10**12)
SESSIONS = some.builds(
    Session,
    direction=some.sampled_from(Direction),
    trust=NAMES,
    protocol=some.sampled_from(["", "TLSv1", "TLSv1.3"]),
    cipher=NAMES,
    bits=some.sampled_from([0, 128, 256]),
    key_exchange=NAMES,
    signature=NAMES,
    reused=some.booleans(),
)


def unique(values, key):
    return some.lists(values, max_size=6, unique_by=key).map(tuple)


STATISTICS = some.builds(
    Statistics,
    lines=some.integers(min_value=1, max_value=10**12),
    connections=unique(
        some.builds(
            ConnectionCount,
            hour=HOURS,
            name=NAMES,
            session=SESSIONS,
            peer=NAMES,
            connections=COUNTS,
            mails=COUNTS,
        ),
        lambda one: (one.hour, one.name, one.session, one.peer),
    ),
    failures=unique(
        some.builds(
            FailureCount,
            hour=HOURS,
            name=NAMES,
            direction=some.sampled_from(Direction),
            reason=NAMES,
            peer=NAMES,
            count=COUNTS,
        ),
        lambda one: (one.hour, one.name, one.direction, one.reason, one.peer),
    ),
    destinations=unique(
        some.builds(
            DestinationCount,
            hour=HOURS,
            domain=NAMES,
            relay=NAMES,
            session=SESSIONS,
            mails=COUNTS,
        ),
        lambda one: (one.hour, one.domain, one.relay, one.session),
    ),
    notices=unique(
        some.builds(
            Notice,
            kind=some.sampled_from(NoticeKind),
            time=HOURS,
            name=NAMES.filter(bool),
            peer=NAMES,
            text=NAMES,
            count=some.integers(min_value=1, max_value=10**6),
        ),
        lambda one: (one.kind, one.time, one.name, one.peer, one.text),
    ),
    lost=unique(NAMES, lambda one: one),
    proven=some.booleans(),
)


def sortable(statistics):
    """The same with its parts in an order, so that only content counts."""
    parts = ("connections", "failures", "destinations", "notices", "lost")
    return replace(
        statistics, **{name: tuple(sorted(getattr(statistics, name), key=repr)) for name in parts}
    )


@given(STATISTICS)
def test_what_was_stored_comes_back(statistics):
    hours = [one.hour for one in statistics.connections + statistics.failures]
    hours += [one.hour for one in statistics.destinations]
    hours += [one.time for one in statistics.notices]
    within = replace(
        statistics, first=at(min(hours, default=NOON)), last=at(max(hours, default=NOON))
    )
    assert sortable(back(to_records(within))) == sortable(within)


@given(STATISTICS)
def test_rows_fit_their_tables(statistics):
    tables = {table.name: table for table in TABLES}
    for name, rows in to_records(statistics).items():
        for row, counters in rows.items():
            assert len(row) == 1 + len(tables[name].key)
            assert len(counters) == len(tables[name].counters)
            assert all(type(one) in (int, str) for one in row)
            assert all(type(one) is int for one in counters)
            assert row[0] % 3600 == 0


@given(STATISTICS)
def test_renaming_loses_no_count(statistics):
    renamed = back(to_records(statistics, lambda peer: "x"))
    for name, count in (
        ("connections", "connections"),
        ("connections", "mails"),
        ("failures", "count"),
        ("destinations", "mails"),
        ("notices", "count"),
    ):
        total = [
            sum(getattr(one, count) for one in getattr(of, name)) for of in (statistics, renamed)
        ]
        assert total[0] == total[1], (name, count)


def test_an_empty_log_stores_nothing():
    assert to_records(Statistics(lines=0)) == {}
    assert back({}) == Statistics(lines=0)


def test_lines_without_a_stamp_are_counted():
    assert back(to_records(Statistics(lines=3))) == Statistics(lines=3)


def test_times_are_kept_to_the_hour():
    given = Statistics(
        lines=2,
        notices=(replace(notice("lost"), time=NOON + 1800.5),),
        first=at(NOON + 1.5),
        last=at(NOON + 7200 + 59),
    )
    kept = back(to_records(given))
    assert (kept.first, kept.last) == (at(NOON), at(NOON + 7200))
    assert kept.notices[0].time == NOON


@pytest.mark.parametrize(
    ("sources", "proven"),
    [([True], True), ([False], False), ([True, False], False), ([], False)],
)
def test_one_file_is_enough_to_prove_nothing(sources, proven):
    rows = []
    for one in sources:
        stored = to_records(Statistics(lines=1, proven=one, first=at(NOON), last=at(NOON)))
        rows += [(*row, *counters) for row, counters in stored["lines"].items()]
    kept = from_rows(lambda name: rows if name == "lines" else ())
    assert (kept.lines, kept.proven) == (len(sources), proven)


def rename(peer):
    return f"peer-{len(peer)}"


@pytest.mark.parametrize(
    ("peer", "kept"),
    [("example.com", "peer-11"), ("example.org", "peer-11"), (OTHERS, OTHERS), ("", "")],
)
def test_peers_are_renamed_and_the_others_stay(peer, kept):
    given = Statistics(
        lines=1,
        connections=(connection(peer),),
        destinations=(
            DestinationCount(hour=NOON, domain=peer, relay=peer, session=CLEAR, mails=1),
        ),
        failures=(
            FailureCount(
                hour=NOON,
                name="postfix/smtpd",
                direction=Direction.INBOUND,
                reason="lost connection",
                peer=peer,
                count=1,
            ),
        ),
    )
    shown = back(to_records(given, rename))
    assert shown.connections[0].peer == shown.failures[0].peer == kept
    assert (shown.destinations[0].domain, shown.destinations[0].relay) == (kept, kept)


def test_peers_of_one_new_name_are_added_up():
    given = Statistics(
        lines=1,
        connections=(
            connection("example.com", connections=2, mails=3),
            connection("example.org", connections=5, mails=7),
        ),
    )
    (one,) = back(to_records(given, rename)).connections
    assert (one.connections, one.mails) == (7, 10)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "certificate verification failed for mx.example.com[192.0.2.1]:25: untrusted issuer",
            "certificate verification failed for (name) untrusted issuer",
        ),
        (
            "TLSRPT: status=failure, domain=example.com, receiving_mx=a[192.0.2.9]",
            "TLSRPT: status=failure, (name) (name)",
        ),
        ("mail to somebody@localhost", "mail to (name)"),
    ],
)
def test_a_renamed_notice_names_nobody(text, kept):
    (shown,) = back(to_records(Statistics(lines=1, notices=(notice(text),)), rename)).notices
    assert (shown.peer, shown.text) == ("peer-28", kept)


def test_a_notice_of_no_peer_keeps_its_text():
    text = "cannot get RSA certificate from file /etc/ssl/mx.pem: disabling TLS support"
    given = Statistics(lines=1, notices=(notice(text, "", NoticeKind.TLS_DISABLED),))
    assert back(to_records(given, rename)).notices[0].text == text


def test_folded_notices_are_still_counted():
    stored = to_records(Statistics(lines=1, notices=(replace(notice("expired"), count=7),)))
    (((hour, kind, name, _), counters),) = stored["notices"].items()
    (folded,) = back({"notices": {(hour, kind, name, OTHERS): counters}}).notices
    assert (folded.peer, folded.text, folded.count) == (OTHERS, "", 7)


def test_what_is_lost_is_said_once():
    given = Statistics(lines=1, lost=("the journal was vacuumed",), last=at(NOON))
    more = to_records(replace(given, last=at(NOON + 3600)))
    records = to_records(given)
    records["notices"] |= more["notices"]
    assert back(records).lost == given.lost
