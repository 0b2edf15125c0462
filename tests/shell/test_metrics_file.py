"""What the metrics say of the agent, and of whom they say nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from desk import DIRECTORY, Desk
from exposition import exposition
from postkeel.contract import (
    Card,
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Plan,
    Records,
    Report,
    Severity,
    Side,
    Standing,
    hookimpl,
)
from postkeel.discovery import Found
from postkeel.reporting.metrics import METRICS
from postkeel.shell.correcting import Correcting
from postkeel.shell.listening import Listened
from postkeel.shell.metrics_file import MetricsFile, metrics_path
from postkeel.shell.status_file import InstanceStatus
from postkeel_plugins import tls_log_monitor

STATUS = InstanceStatus(
    config_directory=DIRECTORY,
    mode="enforce",
    profile="intermediate",
    event="timer due",
    outcome="contested",
    time="2026-11-23T10:59:00+00:00",
    findings=4,
    timers={},
    open_errors=1,
    open_warnings=2,
    open_infos=3,
    held=True,
)
NOW = datetime(2026, 11, 23, 11, tzinfo=UTC)
OTHER = "/etc/postfix-out"


class Reporter:
    """Says how it stands; each answer may cost some of the desk's time."""

    def __init__(self):
        self.desk = None
        self.costs = 0.0
        self.asked = 0

    @hookimpl
    def keel_card(self):
        return Card(name="far", summary="reports to far away", side=Side.MONITOR)

    @hookimpl
    def keel_status(self):
        self.asked += 1
        self.desk.steady += self.costs
        return Standing(said=("they wait",), waiting=12, dropped=3)


@pytest.fixture
def reporter():
    return Reporter()


@pytest.fixture
def desk(tmp_path, reporter):
    found = (
        Found(name="tls_log_monitor", source="built in", load=lambda: tls_log_monitor),
        Found(name="far", source="test", load=lambda: reporter),
    )
    made = Desk(tmp_path, found=found, instances=(DIRECTORY, OTHER))
    reporter.desk = made
    made.guarded(STATUS)
    yield made
    made.loop.close()


@pytest.fixture
def metrics(desk):
    return MetricsFile(desk, desk.correcting, desk.listened)


def written(desk, metrics):
    """The samples by metric, without the prefix of all, and by the labels' values."""
    metrics.write(NOW)
    path = metrics_path(f"{desk.path}/run/monitor")
    with open(path, encoding="utf-8") as file:
        found = exposition(file.read())
    return {
        name.removeprefix("postfix_tls_"): {
            tuple(value for _, value in labels): number for labels, number in samples.items()
        }
        for name, samples in found.items()
    }


def report(outcome, instance=DIRECTORY):
    finding = Finding(
        rule="smtpd-protocols",
        severity=Severity.ERROR,
        depth=Depth.EFFECTIVE,
        parameter="smtpd_tls_protocols",
        where="main.cf:7",
        effective="TLSv1",
        wanted=">=TLSv1.2",
        why="old",
    )
    return Report(
        instance=instance,
        event=Event(kind=EventKind.TIMER, instance=instance, time=NOW),
        outcome=outcome,
        judged=(Judged(finding=finding, outcome=outcome),),
        plan=Plan(),
        seconds=0.1,
    )


def test_everybody_may_read_it_and_it_is_replaced_whole(desk, metrics):
    written(desk, metrics)
    path = metrics_path(f"{desk.path}/run/monitor")
    first = os.stat(path)
    assert first.st_mode & 0o777 == 0o644
    written(desk, metrics)
    assert os.stat(path).st_ino != first.st_ino
    assert os.listdir(os.path.dirname(path)) == ["postkeel.prom"]


def test_every_metric_of_the_table_can_be_had(desk, metrics):
    metrics.heartbeat = NOW
    assert {f"postfix_tls_{name}" for name in written(desk, metrics)} == {
        one.name for one in METRICS
    }


def test_what_the_last_round_left(desk, metrics):
    found = written(desk, metrics)
    assert found["guarded"] == {(DIRECTORY,): 1, (OTHER,): 0}
    assert found["compliant"] == {(DIRECTORY,): 0}
    assert found["held"] == {(DIRECTORY,): 1}
    assert found["findings"] == {
        (DIRECTORY, "error"): 1,
        (DIRECTORY, "warning"): 2,
        (DIRECTORY, "info"): 3,
    }
    assert found["outcome"][DIRECTORY, "contested"] == 1
    assert sum(found["outcome"].values()) == 1
    assert found["last_round_timestamp_seconds"][DIRECTORY,] == NOW.timestamp() - 60


@pytest.mark.parametrize(
    ("status", "compliant"),
    [
        (replace(STATUS, open_errors=0), {(DIRECTORY,): 1}),
        (replace(STATUS, outcome="failed", findings=1), {(DIRECTORY,): 0}),
        (replace(STATUS, outcome="failed", findings=0, open_errors=0), {}),  # nothing was read
        (replace(STATUS, outcome=""), {}),
        (replace(STATUS, outcome='"} 1'), {}),
    ],
)
def test_what_is_not_known_has_no_sample(desk, metrics, status, compliant):
    desk.guarded(status)
    assert written(desk, metrics).get("compliant", {}) == compliant


@pytest.mark.parametrize("time", ["", "yesterday", "0001-01-01T00:00:00"])
def test_a_forged_status_spoils_nothing_else(desk, metrics, time):
    desk.guarded(replace(STATUS, time=time, open_errors=10**5000, open_infos=-7))
    found = written(desk, metrics)
    assert "last_round_timestamp_seconds" not in found
    assert found["findings"][DIRECTORY, "error"] == 2**53
    assert found["findings"][DIRECTORY, "info"] == 0


def test_without_the_other_side(desk, metrics):
    desk.corrects = Correcting(instances={}, guarded=frozenset())
    found = written(desk, metrics)
    assert found["guarded"] == {(DIRECTORY,): 0, (OTHER,): 0}
    assert "compliant" not in found
    assert "heartbeat_timestamp_seconds" not in found
    assert found["heartbeat_interval_seconds"] == {(): 3600}
    assert found["written_timestamp_seconds"] == {(): NOW.timestamp()}


def test_alarms_have_the_rules_of_the_cards_and_no_names_of_peers(desk, metrics):
    desk.listens = Listened(
        followed=(),
        alarms=(),
        standing=(
            ("clear-text-after-tls", "mail.peer.example sends in clear"),
            ("clear-text-after-tls", "mx.other.example sends in clear"),
            ("rule of a stranger", "x"),
        ),
    )
    alarms = written(desk, metrics)["alarms"]
    assert alarms[DIRECTORY, "clear-text-after-tls"] == 2
    assert alarms[DIRECTORY, "tls-disabled"] == 0
    assert alarms[DIRECTORY, "other"] == 1
    with open(metrics_path(f"{desk.path}/run/monitor"), encoding="utf-8") as file:
        content = file.read()
    assert "peer" not in content
    assert "stranger" not in content


def test_reports_are_counted_from_0(desk, metrics):
    before = written(desk, metrics)
    assert len(before["reports_total"]) == 2 * len(Outcome)
    assert set(before["reports_total"].values()) == {0}
    for outcome in (Outcome.FIXED, Outcome.FIXED, Outcome.REVERTED):
        metrics.counts.passed(report(outcome))
    metrics.counts.passed(report(Outcome.FIXED, "/etc/forgotten"))
    found = written(desk, metrics)
    assert found["reports_total"][DIRECTORY, "fixed"] == 2
    assert found["reports_total"][DIRECTORY, "reverted"] == 1
    assert sum(found["reports_total"].values()) == 3
    assert found["corrections_total"] == {(DIRECTORY,): 2, (OTHER,): 0}


def test_connections_are_counted_by_closed_sets(desk, metrics):
    def row(direction, protocol, peer):
        session = (direction, "Anonymous", protocol, "c", 256, "", "", 0)
        return (490_000, "postfix/smtpd", *session, peer)

    add = {
        row("inbound", "TLSv1.3", "mail.peer.example"): (5, 4),
        row("inbound", "TLSv1.3", "(others)"): (2, 1),
        row("outbound", "", "mx.peer.example"): (1, 9),
        row("inbound", "unknown", "x"): (1, 1),
        row("sideways", "TLSv1.2", "x"): (1, 1),
    }
    written(desk, metrics)
    assert metrics.counts.kept(DIRECTORY, Records(add={"connections": add}))
    assert not metrics.counts.kept(DIRECTORY, Records(add={"failures": {}}))
    found = written(desk, metrics)
    assert len(found["connections_total"]) == len(found["mails_total"]) == 2 * 2 * 7
    assert found["connections_total"][DIRECTORY, "inbound", "TLSv1.3"] == 7
    assert found["mails_total"][DIRECTORY, "inbound", "TLSv1.3"] == 5
    assert found["mails_total"][DIRECTORY, "outbound", "clear"] == 9
    assert found["connections_total"][DIRECTORY, "inbound", "other"] == 1
    assert sum(found["connections_total"].values()) == 9


def test_an_instance_that_is_not_guarded_any_more_is_forgotten(desk, metrics):
    written(desk, metrics)
    desk.configure(desk.guarding.configuration.reporting, (OTHER,))
    desk.corrects = Correcting(instances={}, guarded=frozenset())
    found = written(desk, metrics)
    for name in ("guarded", "corrections_total", "alarms"):
        assert {labels[0] for labels in found[name]} == {OTHER}


def test_reporters_are_not_asked_without_end(desk, metrics, reporter):
    found = written(desk, metrics)
    assert found["reports_waiting"] == {("far",): 12}
    assert found["reports_dropped_total"] == {("far",): 3}
    reporter.costs = 5.0
    written(desk, metrics)
    assert reporter.asked == 2
    desk.steady += 49
    assert written(desk, metrics)["reports_waiting"] == {("far",): 12}
    assert reporter.asked == 2
    desk.steady += 2
    written(desk, metrics)
    assert reporter.asked == 3
