"""The daily digest: told once a day, over restarts, reloads and clocks that are set."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from desk import DIRECTORY, ZONE, Desk
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Plan,
    Report,
    Severity,
)
from postkeel.core.configuration import Reporting
from postkeel.shell.digests import Digests
from postkeel.shell.listening import Listened

FINDING = Finding(
    rule="smtpd-protocols",
    severity=Severity.ERROR,
    depth=Depth.EFFECTIVE,
    parameter="smtpd_tls_protocols",
    where="main.cf:7",
    effective="TLSv1",
    wanted=">=TLSv1.2",
    why="old",
)


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    """The host is where the desk's clock is."""
    monkeypatch.setenv("TZ", ZONE.key)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.loop.close()


def begun(desk):
    """An agent's digests, as its start makes them; the timers of a killed one are gone with it."""
    for name in desk.loop.due_times():
        desk.loop.cancel(name)
    made = Digests(desk, desk.listened, desk.now)
    made.begin()
    return made


def report(outcome=Outcome.FIXED, kind=EventKind.PATHS_CHANGED):
    return Report(
        instance=DIRECTORY,
        event=Event(kind=kind, instance=DIRECTORY, time=datetime.now(UTC)),
        outcome=outcome,
        judged=(Judged(finding=FINDING, outcome=outcome),),
        plan=Plan(),
        seconds=0.1,
    )


def told(desk):
    return [dict(one.told) for one in desk.reports]


def kept(desk):
    return desk.path / "state" / "monitor" / "digest.json"


def test_a_day_is_told_at_its_time_and_the_next_begins_anew(desk):
    digests = begun(desk)
    digests.passed(report(), of_log=False)
    digests.passed(report(Outcome.AUDITED, EventKind.LOG_LINES), of_log=True)
    desk.pass_time(18.5 * 3600 - 1)
    assert desk.reports == []
    desk.pass_time(2)
    (one,) = desk.reports
    assert (one.event.kind, one.outcome, one.instance) == (
        EventKind.DIGEST,
        Outcome.CLEAN,
        DIRECTORY,
    )
    (first,) = told(desk)
    assert first["since"] == "2026-11-23T11:00:00+00:00"
    assert first["until"] == "2026-11-24T05:30:00+00:00"
    assert (first["rounds"], first["fixed"], first["alarms"]) == ("1", "1", "1")
    assert first["changed"] == "smtpd_tls_protocols (1)"
    desk.pass_time(86_400)
    second = told(desk)[1]
    assert second["since"] == first["until"]
    assert (second["rounds"], second["alarms"], second["changed"]) == ("0", "0", "")


def test_an_alarm_that_stands_on_is_not_raised_again(desk):
    digests = begun(desk)
    desk.listens = Listened(followed=(), alarms=(), standing=(("smtpd-protocols", "TLSv1"),))
    alarm = report(Outcome.AUDITED, EventKind.LOG_LINES)
    digests.passed(alarm, of_log=True)
    desk.pass_time(86_400)
    digests.passed(alarm, of_log=True)
    desk.pass_time(86_400)
    assert [one["alarms"] for one in told(desk)] == ["1", "0"]


def test_a_restart_neither_repeats_nor_skips(desk):
    digests = begun(desk)
    digests.passed(report(), of_log=False)
    digests.close()
    digests = begun(desk)
    digests.passed(report(), of_log=False)
    digests.close()
    desk.pass_time(3 * 86_400)  # nobody runs
    assert desk.reports == []
    digests = begun(desk)
    (only,) = told(desk)
    assert only["fixed"] == "2"
    assert only["since"] == "2026-11-23T11:00:00+00:00"
    for _ in range(3):
        digests.close()
        digests = begun(desk)
    assert len(desk.reports) == 1
    desk.pass_time(86_400)
    assert len(desk.reports) == 2


def test_what_passed_is_kept_soon_for_one_that_is_killed(desk):
    digests = begun(desk)
    digests.passed(report(), of_log=False)
    digests.passed(report(), of_log=False)
    desk.pass_time(15)
    begun(desk)
    desk.pass_time(86_400)
    assert told(desk)[0]["fixed"] == "2"


def test_a_clock_set_across_the_moment_brings_one(desk):
    digests = begun(desk)
    desk.wall += timedelta(days=1)
    digests.look()
    assert len(desk.reports) == 1
    desk.wall -= timedelta(hours=20)
    digests.look()
    desk.pass_time(20 * 3600)
    assert len(desk.reports) == 1
    desk.pass_time(86_400)
    assert len(desk.reports) == 2


def test_a_clock_that_was_years_ahead_is_forgotten(desk):
    digests = begun(desk)
    desk.wall += timedelta(days=2000)
    digests.look()
    desk.wall -= timedelta(days=2000)
    digests.look()
    desk.pass_time(2 * 86_400)
    assert len(desk.reports) == 3
    assert [one["since"] <= one["until"] for one in told(desk)] == [True] * 3


@pytest.mark.parametrize("day", ["2026-10-24 12:00", "2027-03-27 12:00"])
@pytest.mark.parametrize("at", ["02:30", "06:30", "00:00", "03:00"])
def test_the_days_of_the_change_of_clocks_have_one_each(desk, day, at):
    desk.wall = datetime.fromisoformat(day).replace(tzinfo=ZONE)
    desk.configure(Reporting(digest=at))
    begun(desk)
    desk.pass_time(4 * 86_400)
    assert len(desk.reports) == 4
    hours = {one.event.time.astimezone(ZONE).strftime("%H:%M") for one in desk.reports}
    assert hours <= {at, "03:30"}  # 02:30 does not come on the last Sunday of March


def test_none_is_wanted_and_then_one_is(desk):
    desk.configure(Reporting(digest=""))
    digests = begun(desk)
    digests.passed(report(), of_log=False)
    digests.look()
    desk.pass_time(2 * 86_400)
    digests.close()
    assert desk.reports == []
    assert not kept(desk).exists()
    desk.configure(Reporting(digest="06:30"))
    digests.begin()
    digests.passed(report(), of_log=False)
    desk.pass_time(86_400)
    assert told(desk)[0]["fixed"] == "1"
    desk.configure(Reporting(digest=""))
    digests.begin()
    desk.pass_time(2 * 86_400)
    assert len(desk.reports) == 1


def test_another_hour_after_a_reload(desk):
    digests = begun(desk)
    desk.configure(Reporting(digest="13:00"))
    digests.begin()
    desk.pass_time(24 * 3600)
    assert desk.reports == []  # 06:30 of the first day had passed: no day has two
    desk.pass_time(3601)
    assert len(desk.reports) == 1


def test_of_an_instance_that_is_not_guarded_nothing_is_kept(desk):
    digests = begun(desk)
    digests.passed(replace(report(), instance="/etc/other"), of_log=False)
    digests.close()
    assert json.loads(kept(desk).read_text())["instances"] == {}


GOOD = {"version": 1, "told": "2026-11-23", "since": "2026-11-22T06:30:00+01:00", "instances": {}}
DAMAGE = {
    "empty": b"",
    "no JSON": b"\xff{",
    "no table": b"[1]",
    "another version": json.dumps({**GOOD, "version": 2}).encode(),
    "no day": json.dumps({**GOOD, "told": "yesterday"}).encode(),
    "no zone": json.dumps({**GOOD, "since": "2026-11-22T06:30:00"}).encode(),
    "no sums": json.dumps({**GOOD, "instances": {DIRECTORY: {}}}).encode(),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_sums_that_cannot_be_read_begin_anew_with_a_word_about_it(desk, content):
    kept(desk).parent.mkdir(parents=True)
    kept(desk).write_bytes(content)
    begun(desk)
    (complaint,) = desk.complaints
    assert "digest.json" in complaint
    assert "the sums of the digest begin anew" in complaint
    desk.pass_time(86_400)
    assert len(desk.reports) == 1
    assert len(desk.complaints) == 1


def test_a_state_that_cannot_be_read_or_written_keeps_nobody_from_the_digest(desk):
    os.makedirs(kept(desk) / "in the way")
    digests = begun(desk)
    digests.passed(report(), of_log=False)
    desk.pass_time(86_400)
    assert told(desk)[0]["fixed"] == "1"
    assert "cannot be read" in desk.complaints[0]
    assert "cannot be written" in desk.complaints[1]
