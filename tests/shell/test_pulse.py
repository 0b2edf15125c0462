"""Heartbeats, and how often the agent wakes for what it says by itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from desk import DIRECTORY, Desk
from postkeel import __version__
from postkeel.contract import Event, EventKind, Outcome, Plan, Records, Report
from postkeel.core.configuration import Reporting
from postkeel.core.news import SEEN_IN_THE_LOG
from postkeel.reporting.fields import OF_HEARTBEATS, message_of
from postkeel.shell.correcting import Correcting
from postkeel.shell.listening import Listened
from postkeel.shell.pulse import Pulse
from postkeel.shell.status_file import InstanceStatus

STATUS = InstanceStatus(
    config_directory=DIRECTORY,
    mode="enforce",
    profile="intermediate",
    event="timer due",
    outcome="audited",
    time="2026-11-23T10:59:00+00:00",
    findings=4,
    timers={},
    open_errors=1,
    open_warnings=2,
    held=True,
    postfix="3.7.11",
    openssl="3.0.17",
)


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    made.guarded(STATUS)
    yield made
    made.loop.close()


def pulse_of(desk):
    return Pulse(desk, desk.correcting, desk.listened, desk.now)


@pytest.fixture
def pulse(desk):
    made = pulse_of(desk)
    yield made
    made.close()


def beats(desk):
    return [one for one in desk.reports if one.event.kind is EventKind.HEARTBEAT]


def test_the_first_heartbeat_comes_soon_and_says_all(desk, pulse):
    desk.listens = Listened(followed=(), alarms=("x",), standing=(("tls-disabled", "x"),))
    pulse.begin()
    desk.pass_time(9)
    assert beats(desk) == []
    desk.pass_time(11)
    (beat,) = beats(desk)
    assert (beat.instance, beat.outcome, beat.problems) == (DIRECTORY, Outcome.CLEAN, ())
    assert beat.event.time.tzinfo is UTC
    assert dict(beat.told) == {
        "postkeel": __version__,
        "guarded": "yes",
        "last_outcome": "audited",
        "last_round": "2026-11-23T10:59:00+00:00",
        "open_findings": "3",
        "open_errors": "1",
        "alarms": "1",
        "held": "yes",
        "mode": "enforce",
        "profile": "intermediate",
        "postfix": "3.7.11",
        "openssl": "3.0.17",
        "every": "3600",
    }
    assert [name for name, _ in beat.told if name not in {one.name for one in OF_HEARTBEATS}] == []
    message = message_of(beat)
    assert (message.event, message.severity) == ("heartbeat", 6)
    assert set(beat.told) <= set(message.fields)


def test_no_two_are_further_apart_than_is_told(desk, pulse):
    pulse.begin()
    desk.pass_time(86_400)
    times = [one.event.time for one in beats(desk)]
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(times)]
    assert len(times) in (24, 25)
    assert 3540 <= max(gaps) <= 3600


def test_a_side_that_is_gone_is_told_loudly(desk, pulse):
    desk.corrects = Correcting(instances={}, guarded=frozenset())
    pulse.begin()
    desk.pass_time(20)
    (beat,) = beats(desk)
    told = dict(beat.told)
    assert told["guarded"] == "no"
    assert told["profile"] == "intermediate"
    assert "last_outcome" not in told
    message = message_of(beat)
    assert message.severity == 4
    assert "not guarded" in message.text


def test_a_side_that_was_killed_is_known_by_what_it_last_said(desk, pulse):
    desk.corrects = Correcting(instances={DIRECTORY: STATUS}, guarded=frozenset())
    pulse.begin()
    desk.pass_time(20)
    told = dict(beats(desk)[0].told)
    assert (told["guarded"], told["last_outcome"]) == ("no", "audited")


def test_a_broken_status_is_a_problem(desk, pulse):
    desk.corrects = Correcting(instances={}, guarded=frozenset(), problems=("no status",))
    pulse.begin()
    desk.pass_time(20)
    assert beats(desk)[0].problems == ("no status",)


def test_0_is_never_also_after_a_reload(desk, pulse):
    desk.configure(Reporting(heartbeat=0))
    pulse.begin()
    desk.pass_time(7200)
    assert beats(desk) == []
    desk.configure(Reporting(heartbeat=600))
    pulse.begin()
    desk.pass_time(1300)
    assert len(beats(desk)) == 3
    desk.configure(Reporting(heartbeat=0))
    pulse.begin()
    desk.pass_time(7200)
    assert len(beats(desk)) == 3


def test_a_reload_brings_a_heartbeat_soon_and_does_not_put_off_the_others(desk, pulse):
    pulse.begin()
    desk.pass_time(1800)
    assert len(beats(desk)) == 1
    pulse.begin()
    desk.pass_time(20)
    assert len(beats(desk)) == 2
    for _ in range(300):
        desk.pass_time(6)
        pulse.begin()
    assert len(beats(desk)) > 2


def test_at_rest_it_wakes_once_in_five_minutes(desk, pulse):
    pulse.begin()
    desk.pass_time(3600)
    desk.turns.clear()
    desk.pass_time(86_400)
    woken = len(desk.turns)
    assert woken <= 86_400 / 300 + 24 + 24 + 1  # metrics; heartbeats, and what they change; digest


def test_what_it_says_itself_is_not_counted(desk, pulse):
    pulse.begin()
    event = Event(kind=EventKind.HEARTBEAT, instance=DIRECTORY, time=datetime.now(UTC))
    beat = Report(
        instance=DIRECTORY,
        event=event,
        outcome=Outcome.CLEAN,
        judged=(),
        plan=Plan(),
        seconds=0,
    )
    pulse.passed(beat)
    desk.pass_time(1)
    path = desk.path / "run" / "monitor" / "postkeel.prom"
    sample = 'postfix_tls_reports_total{config_directory="/etc/postfix",outcome="clean"} '
    assert f"{sample}0\n" in path.read_text()
    heard = [(EventKind.STARTED, "main.cf changed"), (EventKind.LOG_LINES, SEEN_IN_THE_LOG)]
    for kind, cause in heard:
        event = Event(kind=kind, instance=DIRECTORY, time=datetime.now(UTC))
        pulse.passed(
            Report(
                instance=DIRECTORY,
                event=event,
                outcome=Outcome.CLEAN,
                judged=(),
                plan=Plan(),
                seconds=0,
                cause=cause,
            )
        )
    desk.pass_time(20)
    assert f"{sample}2\n" in path.read_text()


def test_metrics_are_written_at_most_every_15_seconds_however_much_is_counted(desk, pulse):
    pulse.begin()
    desk.pass_time(100)
    path = desk.path / "run" / "monitor" / "postkeel.prom"
    session = ("inbound", "Anonymous", "TLSv1.3", "c", 256, "", "", 0)
    for _ in range(600):
        pulse.kept(
            DIRECTORY, Records(add={"connections": {(0, "postfix/smtpd", *session, "p"): (2, 1)}})
        )
        desk.pass_time(0.1)
    labels = 'config_directory="/etc/postfix",direction="inbound",protocol="TLSv1.3"'
    desk.pass_time(15)
    assert f"postfix_tls_connections_total{{{labels}}} 1200\n" in path.read_text()
    assert f"postfix_tls_mails_total{{{labels}}} 600\n" in path.read_text()
    assert sum(1100 <= one <= 1175 for one in desk.turns) <= 6
    before = path.read_text()
    pulse.kept(DIRECTORY, Records(add={"lines": {(0, "journal"): (7,)}}))
    desk.pass_time(100)
    assert path.read_text() == before


def test_a_file_that_cannot_be_written_is_complained_of_once(desk, pulse):
    (desk.path / "run").write_text("in the way")
    pulse.begin()
    desk.pass_time(1000)
    (complaint,) = desk.complaints
    assert "postkeel.prom: cannot be written" in complaint
    (desk.path / "run").unlink()
    desk.pass_time(300)
    assert (desk.path / "run" / "monitor" / "postkeel.prom").exists()
    assert len(desk.complaints) == 1


def test_a_clock_that_is_set_across_the_digest_is_noticed_within_five_minutes(desk, pulse):
    pulse.begin()
    desk.pass_time(100)
    desk.wall += timedelta(days=1)
    desk.pass_time(300)
    digests = [one for one in desk.reports if one.event.kind is EventKind.DIGEST]
    assert len(digests) == 1
