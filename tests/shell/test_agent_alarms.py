"""What the agent hands on of a monitor's findings: news only, and the end of an alarm."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime

import pytest

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
from postkeel.core.configuration import Configuration
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell.agent import Agent
from postkeel.shell.history import History
from postkeel.shell.notify import Notifier
from postkeel.shell.office import Guarding
from postkeel_plugins.reporters import syslog

DIRECTORY = "/etc/postfix"


@pytest.fixture
def log(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        listening.setblocking(False)
        yield listening


@pytest.fixture
def agent(tmp_path, log):
    configuration = Configuration(
        state_directory=str(tmp_path / "state"),
        runtime_directory=str(tmp_path / "run"),
        plugins={"syslog": {"socket": str(tmp_path / "log")}},
    )
    found = [Found(name="syslog", source="built in", load=lambda: syslog)]
    guarding = Guarding(
        configuration=configuration, registry=Registry(found, configuration), instances=()
    )
    made = Agent(lambda: guarding, lambda report: None, Notifier({}))
    yield made
    made.close()


def alarm(number, outcome=Outcome.AUDITED):
    finding = Finding(
        rule="tls-disabled",
        severity=Severity.ERROR,
        depth=Depth.OBSERVED,
        parameter="smtpd_tls_chain_files",
        where="default",
        effective=f"smtpd {number} runs without TLS",
        wanted="TLS",
        why=f"Seen {number} times",
    )
    return Judged(finding=finding, outcome=outcome)


def report(*judged, kind=EventKind.TIMER):
    event = Event(kind=kind, instance=DIRECTORY, time=datetime.now(UTC))
    return Report(
        instance=DIRECTORY,
        event=event,
        outcome=judged[0].outcome if judged else Outcome.CLEAN,
        judged=judged,
        plan=Plan(),
        seconds=0.1,
    )


def lines(log):
    found = []
    try:
        while True:
            found.append(log.recv(4096).decode().partition("]: ")[2])
    except BlockingIOError:
        return found


def test_an_alarm_is_told_when_it_comes_and_when_it_is_over(agent, log, tmp_path):
    agent.listening.heard("monitor", report(kind=EventKind.STARTED))
    agent.listening.heard("monitor", report())
    assert lines(log) == []
    agent.listening.heard("monitor", report(alarm(1), alarm(2), kind=EventKind.LOG_LINES))
    (told,) = lines(log)
    assert told.startswith('/etc/postfix: audited 2: tls-disabled: "smtpd 1 runs without TLS"')
    agent.listening.heard("monitor", report(alarm(1), alarm(2)))
    assert lines(log) == []
    agent.listening.heard("monitor", report(alarm(2)))
    (told,) = lines(log)
    assert told.endswith("; observed: tls-disabled is over: smtpd 1 runs without TLS")
    agent.listening.heard("monitor", report())
    over = "all as wanted; observed: tls-disabled is over: smtpd 2 runs without TLS"
    assert lines(log) == [f"/etc/postfix: {over}"]
    agent.listening.heard("monitor", report())
    assert lines(log) == []
    with History(str(tmp_path / "state"), read_only=True) as history:
        assert [len(one.judged) for one in history.reports()] == [0, 1, 2]


def test_of_a_setting_the_end_names_the_parameter(agent, log):
    one = alarm(1)
    setting = replace(one.finding, depth=Depth.EFFECTIVE, effective="0")
    agent.listening.heard("monitor", report(replace(one, finding=setting)))
    agent.listening.heard("monitor", report())
    assert lines(log)[-1].endswith('observed: tls-disabled is over: smtpd_tls_chain_files was "0"')


def test_what_was_waived_is_not_told_to_be_over(agent, log):
    agent.listening.heard("monitor", report(alarm(1, Outcome.WAIVED), kind=EventKind.LOG_LINES))
    assert lines(log) == ["/etc/postfix: waived 1"]
    agent.listening.heard("monitor", report(kind=EventKind.LOG_LINES))
    assert lines(log) == ["/etc/postfix: all as wanted"]
