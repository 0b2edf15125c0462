"""What the monitor's process says by itself: metrics of both sides, and heartbeats."""

from __future__ import annotations

import pytest

from exposition import exposition
from guarded import guarded, until
from promtool import judged, promtool
from two_sides import NOBODY, Sides

pytestmark = [pytest.mark.live, pytest.mark.slow]

PATIENT = "[contest]\ncorrections = 1000"


@pytest.fixture
def sides(hardened):
    more = f"{PATIENT}\n[reporting]\nheartbeat = 3600"
    with guarded(hardened.postfix, more=more, start=False, catch=True) as one:
        sides = Sides(one, hardened)
        sides.start("root", "monitor")
        yield sides
        sides.stop()


def metrics(sides):
    """By name, the samples by their labels' values, but for the configuration directory."""
    path = sides.of_monitor("run/monitor/postkeel.prom")
    if not path.exists():
        return {}
    return {
        name.removeprefix("postfix_tls_"): {
            tuple(value for label, value in labels if label != "config_directory"): number
            for labels, number in samples.items()
        }
        for name, samples in exposition(path.read_text()).items()
    }


def test_heartbeats_and_metrics_are_of_both_sides(sides):
    beat = sides.one.report_with("heartbeat", 60)
    assert "heartbeat: guarded, last round clean at " in beat
    assert "findings 0, errors 0, alarms 0" in beat
    until(lambda: "heartbeat_timestamp_seconds" in metrics(sides), 30)
    found = metrics(sides)
    assert found["compliant"] == found["guarded"] == {(): 1}
    sides.corrects()
    sides.handshake("127.44.0.1")
    until(lambda: metrics(sides)["corrections_total"] == {(): 1}, 40)
    until(lambda: metrics(sides)["connections_total"]["inbound", "TLSv1.3"] >= 1, 40)
    found = metrics(sides)
    assert found["reports_total"]["fixed",] == 1
    assert found["outcome"]["fixed",] == 1
    path = sides.of_monitor("run/monitor/postkeel.prom")
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (NOBODY, 0o644)
    if promtool():
        told = judged("check", "metrics", given=path.read_text())
        assert (told.returncode, told.stderr) == (0, "")
    sides.kill("root")
    sides.handshake("127.44.0.2")  # something that is counted; else it takes five minutes
    until(lambda: metrics(sides)["guarded"] == {(): 0}, 40)
    assert sides.errors("monitor") == ""


def test_a_heartbeat_says_that_the_other_side_is_gone(sides):
    sides.kill("root")
    beat = sides.one.report_with("heartbeat", 60)
    assert "heartbeat: not guarded, last round clean at " in beat
