"""A time of day, by clocks that are set and zones that change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.calendar import due_day, last_day, seconds_until, settled_day

BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST_SIX = time(6, 30)


local = datetime.fromisoformat


def instant(zone):
    return lambda one: one.replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (local("2026-11-23 06:29:59"), date(2026, 11, 22)),
        (local("2026-11-23 06:30:00"), date(2026, 11, 23)),
        (local("2026-11-23 23:59:00"), date(2026, 11, 23)),
        (local("2026-11-23 00:00:00"), date(2026, 11, 22)),
    ],
)
def test_the_last_day_is_the_one_whose_moment_has_come(now, day):
    assert last_day(now.replace(tzinfo=BERLIN), HALF_PAST_SIX, instant(BERLIN)) == day


@pytest.mark.parametrize(
    ("told", "due"),
    [
        (date(2026, 11, 22), date(2026, 11, 23)),
        (date(2026, 11, 1), date(2026, 11, 23)),  # away for weeks: one, for the latest
        (date(2026, 11, 23), None),
        (date(2026, 11, 24), None),  # the clock was set back across the moment
    ],
)
def test_each_day_is_told_once(told, due):
    assert due_day(told, date(2026, 11, 23)) == due


@pytest.mark.parametrize(
    ("told", "settled"),
    [
        (date(2026, 11, 24), date(2026, 11, 24)),
        (date(2026, 11, 25), date(2026, 11, 23)),  # told in a future that never came
        (date(2031, 1, 1), date(2026, 11, 23)),
        (date(2026, 11, 1), date(2026, 11, 1)),
    ],
)
def test_a_clock_that_was_wrong_does_not_silence_the_days_to_come(told, settled):
    assert settled_day(told, date(2026, 11, 23)) == settled


CHANGES = {
    "to summer": (local("2027-03-27 12:00:00"), time(2, 30), 14.5),  # 02:30 is 03:30 that day
    "to winter": (local("2026-10-24 12:00:00"), time(2, 30), 14.5),  # the first of the two
    "to winter, later": (local("2026-10-24 12:00:00"), time(6, 30), 19.5),
    "no change": (local("2026-11-22 12:00:00"), time(6, 30), 18.5),
}


@pytest.mark.parametrize(("now", "at", "hours"), CHANGES.values(), ids=CHANGES)
def test_the_next_moment_is_by_the_zone_of_the_host(now, at, hours):
    assert seconds_until(now.replace(tzinfo=BERLIN), at, instant(BERLIN)) == hours * 3600


@given(
    st.datetimes(local("2020-01-01 00:00:00"), local("2035-01-01 00:00:00")),
    st.times().map(lambda one: one.replace(microsecond=0)),
    st.sampled_from([*map(ZoneInfo, ("Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"))]),
)
def test_waiting_until_the_next_moment_brings_another_day(moment, at, zone):
    now = moment.replace(tzinfo=UTC).astimezone(zone)
    wait = seconds_until(now, at, instant(zone))
    assert 0 < wait <= 25 * 3600
    then = (now.astimezone(UTC) + timedelta(seconds=wait)).astimezone(zone)
    before = last_day(now, at, instant(zone))
    assert last_day(then, at, instant(zone)) == before + timedelta(days=1)
    just = (then.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone)
    assert wait <= 1 or last_day(just, at, instant(zone)) == before
