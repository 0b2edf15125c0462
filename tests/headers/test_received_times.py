"""Dates of mail, those from hell among them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postkeel.headers.times import read_time


def at(hours, *moment):
    return datetime(*moment, tzinfo=timezone(timedelta(hours=hours)))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Sun, 22 Nov 2026 13:07:05 +0000 (UTC)", at(0, 2026, 11, 22, 13, 7, 5)),
        ("Sun, 2 Nov 2026 13:07:05 -0930", at(-9.5, 2026, 11, 2, 13, 7, 5)),
        ("22 Nov 2026 13:07:05 -0000", at(0, 2026, 11, 22, 13, 7, 5)),
        ("22 Nov 2026 13:07 +0545", at(5.75, 2026, 11, 22, 13, 7)),
        ("Sun,22 November 2026 13:07:05+01:00", at(1, 2026, 11, 22, 13, 7, 5)),
        ("SUN, 22-NOV-26 13:07:05 gmt", at(0, 2026, 11, 22, 13, 7, 5)),
        ("22 Nov 99 13:07:05 PST", at(-8, 1999, 11, 22, 13, 7, 5)),
        ("22 Nov 126 13:07:05 EDT", at(-4, 2026, 11, 22, 13, 7, 5)),
        ("22 Nov 2026 13:07:05.123456 +0000", at(0, 2026, 11, 22, 13, 7, 5)),
        ("22 Nov 2026 13:07:05", at(0, 2026, 11, 22, 13, 7, 5)),
        ("22 Nov 2026 13:07:05 XYZ", at(0, 2026, 11, 22, 13, 7, 5)),
        ("Wed, 31 Dec 2008 23:59:60 +0000", at(0, 2008, 12, 31, 23, 59, 59)),
        (
            "Sun, 22 Nov 2026 13:07:05 +0000 (UTC) (envelope-from a@b)",
            at(0, 2026, 11, 22, 13, 7, 5),
        ),
        ("1 Jan 9998 00:00:00 +2359", at(23 + 59 / 60, 9998, 1, 1)),
    ],
)
def test_times(text, moment):
    found = read_time(text)
    assert found == moment
    assert found.utcoffset() == moment.utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "Sun, 22 Nov 2026",
        "13:07:05 +0000",
        "31 Feb 2026 13:07:05 +0000",
        "22 Nov 0000 13:07:05 +0000",
        "22 Nov 9999 13:07:05 +0000",
        "22 Nov 99999 13:07:05 +0000",
        "22 Nov 1969 13:07:05 +0000",
        "0 Nov 2026 13:07:05 +0000",
        "22 Nov 2026 24:07:05 +0000",
        "22 Nov 2026 13:60:05 +0000",
        "22 Nov 2026 13:07:61 +0000",
        "22 Nov 2026 13:07:05 +9900",
        "22 Nov 2026 13:07:05 +0060",
        "22 Nov 2026 13:07:05 +2400",
        "22 Foo 2026 13:07:05 +0000",
        "22 Anf 2026 13:07:05 +0000",
        "22 \u0661ov 2026 13:07:05 +0000",
        "\u0662\u0662 Nov 2026 13:07:05 +0000",
        "22 Nov 2026 13:07:05 +0000 more",
        "22 Nov " + "2" * 100_000,
        "Sun" + " " * 100_000,
    ],
)
def test_no_time(text):
    assert read_time(text) is None


def test_times_that_are_read_can_be_compared_anywhere():
    late = read_time("31 Dec 9998 23:59:59 -2359")
    early = read_time("1 Jan 1970 00:00:00 +2359")
    assert late.astimezone(timezone(-timedelta(hours=23))) > early.astimezone(UTC)
