"""Alarms of the log monitor as `status` and `history` show them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest

from postkeel.contract import Depth, Event, EventKind, Finding, Judged, Outcome, Plan, Severity
from postkeel.core.model import Report
from postkeel.shell.history import History
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.status_file import AgentStatus, InstanceStatus, write_status

HOSTILE = "clear text from \x1b[2Jx\ny"


def alarm(**more):
    given = {
        "rule": "clear-text-after-tls",
        "severity": Severity.WARNING,
        "depth": Depth.OBSERVED,
        "parameter": "smtpd_tls_security_level",
        "where": "default",
        "effective": "clear text from example.org",
        "wanted": "TLS, as always before",
        "why": "Seen once; read in /var/log/mail.log, where others than Postfix may write: x.",
    }
    return Judged(finding=Finding(**(given | more)), outcome=Outcome.AUDITED)


def keep(place, *judged, **more):
    event = Event(
        kind=EventKind.LOG_LINES,
        instance=str(place.etc),
        time=datetime(2026, 11, 23, 12, tzinfo=UTC),
    )
    report = Report(
        instance=str(place.etc),
        event=event,
        outcome=Outcome.AUDITED if judged else Outcome.CLEAN,
        judged=judged,
        plan=Plan(),
        seconds=0.1,
        cause="seen in the mail log",
        **more,
    )
    with History(str(place.state)) as history:
        history.record(report)


@pytest.mark.parametrize(
    ("service", "about"),
    [(None, "smtpd_tls_security_level"), ("smtp/inet", "smtpd_tls_security_level of smtp/inet")],
)
def test_history_says_what_was_seen_and_who_vouches_for_it(place, service, about):
    keep(place, alarm(service=service))
    assert place.run("history").stdout == (
        f"2026-11-23 12:00:00 UTC  {place.etc}  audited  seen in the mail log\n"
        "    audited   clear-text-after-tls: clear text from example.org,"
        f" wanted TLS, as always before ({about})\n"
        "              Seen once; read in /var/log/mail.log, where others than Postfix may"
        " write: x.\n"
    )


def test_history_says_when_an_alarm_is_over(place):
    keep(place, proof=("clear-text-after-tls is over: clear text from example.org",))
    shown = place.run("history").stdout
    assert shown.splitlines()[1:] == [
        "    clear-text-after-tls is over: clear text from example.org"
    ]


def test_history_makes_it_harmless(place):
    keep(place, alarm(effective=HOSTILE, why=HOSTILE, service="\x1b[31m"))
    shown = place.run("history").stdout
    assert "\x1b" not in shown
    assert shown.count("clear text from \\x1b[2Jx\\ny") == 2


def status(place, *alarms):
    one = InstanceStatus(
        config_directory=str(place.etc),
        mode="enforce",
        profile="intermediate",
        timers={},
        followed=("tls_log_monitor follows journal",),
        alarms=alarms,
    )
    known = AgentStatus(pid=1, postkeel="0", since="2026-11-23T12:00:00+00:00", instances=(one,))
    write_status(f"{place.directory}/run", known)


@contextlib.contextmanager
def running(place):
    """The locks that a running agent has."""
    monitor = place.directory / "state/monitor"
    monitor.mkdir(parents=True, exist_ok=True)
    with InstanceLock(str(place.etc)), InstanceLock(str(monitor)):
        yield


def test_status_names_what_stands(place):
    status(place, "tls-disabled: smtpd runs without TLS, wanted TLS", HOSTILE)
    with running(place):
        shown = place.run("status").stdout
        document = place.json("status", status=0)
    assert "  tls_log_monitor follows journal\n" in shown
    assert "  alarm tls-disabled: smtpd runs without TLS, wanted TLS\n" in shown
    assert "  alarm clear text from \\x1b[2Jx\\ny\n" in shown
    (instance,) = document["instances"]
    assert instance["last"]["alarms"] == [
        "tls-disabled: smtpd runs without TLS, wanted TLS",
        HOSTILE,
    ]


def test_status_does_not_fill_the_screen(place):
    status(place, *[f"alarm {number}" for number in range(25)])
    with running(place):
        shown = place.run("status").stdout
    assert "  alarm alarm 19\n  and 5 more alarms: see `postkeel history`\n" in shown
    assert "alarm 20" not in shown
