"""Single lines: stamps of both forms, whole lines of chunks, what a few messages come to."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.maillog.prefix import MOST_OF_A_LINE, moment, whole_lines
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("Nov 23 11:59:58", datetime(2026, 11, 23, 11, 59, 58, tzinfo=UTC)),
        ("Nov  2 11:59:58", datetime(2026, 11, 2, 11, 59, 58, tzinfo=UTC)),
        # A clock that is a little ahead is no year behind.
        ("Nov 24 11:00:00", datetime(2026, 11, 24, 11, 0, tzinfo=UTC)),
        ("Nov 24 13:00:00", datetime(2025, 11, 24, 13, 0, tzinfo=UTC)),
        ("Dec 31 23:59:60", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Feb 29 10:00:00", datetime(2024, 2, 29, 10, 0, tzinfo=UTC)),
        ("Feb 30 10:00:00", None),
        ("Xyz 12 10:00:00", None),
        ("Nov xx 10:00:00", None),
        ("2026-11-23T10:00:00.5+02:00", datetime(2026, 11, 23, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
        ("2026-11-23T10:00:00", datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
        ("2026-13-23T10:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("1969-12-31T23:59:59+00:00", None),
        ("9999-12-31T23:59:59+00:00", None),
        ("", None),
    ],
)
def test_a_moment(stamp, wanted):
    found = moment(f"{stamp} mx postfix/smtpd[1]: x".encode(), now=NOW, zone=UTC)
    assert found == (wanted.timestamp() if wanted else None)


def test_old_stamps_are_of_the_zone_that_is_given():
    line = b"Nov 23 11:00:00 mx postfix/smtpd[1]: x"
    assert moment(line, now=NOW, zone=EAST) == datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()


def test_a_leap_day_that_no_year_near_had():
    """1900 was no leap year, and stamps reach eight years back."""
    line = b"Feb 29 10:00:00 mx postfix/smtpd[1]: x"
    assert moment(line, now=datetime(1903, 1, 1, tzinfo=UTC), zone=UTC) is not None
    assert moment(line, now=datetime(2, 1, 1, tzinfo=UTC), zone=UTC) is None


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_whole_lines_are_the_same_octets(text, cuts):
    bounds = [0, *sorted(min(one, len(text)) for one in cuts), len(text)]
    chunks = [text[begin:end] for begin, end in itertools.pairwise(bounds)]
    found = list(whole_lines(chunks))
    assert all(one.endswith(b"\n") for one in found)
    assert b"".join(found) == (text if not text or text.endswith(b"\n") else text + b"\n")


@pytest.mark.parametrize("size", [100, MOST_OF_A_LINE - 1, MOST_OF_A_LINE, 300_000])
def test_of_a_long_line_the_beginning_is_read(size):
    text = b"a\n" + b"x" * size + b"\nb\n"
    chunks = [text[at : at + 1000] for at in range(0, len(text), 1000)]
    lines = b"".join(whole_lines(chunks)).split(b"\n")
    assert lines[0] == b"a"
    assert lines[2:] == [b"b", b""]
    assert set(lines[1]) == {ord("x")}
    assert min(size, MOST_OF_A_LINE) <= len(lines[1]) <= min(size, MOST_OF_A_LINE + 1000)


def counted(*lines):
    tally = Tally()
    reader = Reader(tally, now=NOW, zone=UTC)
    reader.read("".join(f"Nov 23 11:00:00 mx postfix/{one}\n" for one in lines).encode())
    return tally.statistics()


STATUS = "relay=mx.example.com[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (ok)"


def test_a_recipient_without_a_domain_has_no_destination():
    statistics = counted(f"smtp[1]: 4ABCDEF: to=<postmaster>, {STATUS}")
    assert [one.mails for one in statistics.connections] == [1]
    assert statistics.destinations == ()


def test_processes_of_a_part_that_are_not_of_postfix_are_not_taken_over():
    tally = Tally()
    reader = Reader(tally, now=NOW, zone=UTC)
    reader.take_over(([], {b"nonsense": {}}))
    assert reader.state() == {}
