"""The agent tells its pulse of all that passes, on either side of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exposition import exposition
from postkeel.contract import (
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
)
from postkeel.core.configuration import Configuration
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell.agent import Agent
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.notify import Notifier
from postkeel.shell.office import Guarding
from postkeel.shell.status_file import AgentStatus, InstanceStatus, write_status
from postkeel_plugins import tls_log_monitor


@pytest.fixture
def etc(tmp_path):
    made = tmp_path / "etc"
    made.mkdir()
    return str(made)


@pytest.fixture
def agent_of(tmp_path, etc):
    made = []
    configuration = Configuration(
        state_directory=str(tmp_path / "state"), runtime_directory=str(tmp_path / "run")
    )
    found = [Found(name="tls_log_monitor", source="built in", load=lambda: tls_log_monitor)]
    guarding = Guarding(
        configuration=configuration, registry=Registry(found, configuration), instances=(etc,)
    )

    def agent(side):
        made.append(Agent(lambda: guarding, lambda report: None, Notifier({}), side))
        return made[0]

    yield agent
    made[0].close()


def report(etc, outcome, kind=EventKind.LOG_LINES):
    finding = Finding(
        rule="tls-disabled",
        severity=Severity.ERROR,
        depth=Depth.OBSERVED,
        parameter="smtpd_tls_chain_files",
        where="default",
        effective="smtpd runs without TLS",
        wanted="TLS",
        why="seen",
    )
    return Report(
        instance=etc,
        event=Event(kind=kind, instance=etc, time=datetime.now(UTC)),
        outcome=outcome,
        judged=(Judged(finding=finding, outcome=outcome),),
        plan=Plan(),
        seconds=0.1,
    )


def metrics(agent, tmp_path):
    """What is written in the next turn of the loop."""
    agent.loop.wake(agent.loop.stop)
    agent.loop.run_until_stopped()
    text = (tmp_path / "run" / "monitor" / "postkeel.prom").read_text()
    return {
        name.removeprefix("postfix_tls_"): {
            tuple(value for label, value in labels if label != "config_directory"): number
            for labels, number in samples.items()
        }
        for name, samples in exposition(text).items()
    }


SESSION = ("outbound", "", "", "", 0, "", "", 0)


@pytest.mark.parametrize("side", [None, Side.MONITOR])
def test_alarms_and_counts_come_from_the_monitors(agent_of, tmp_path, etc, side):
    agent = agent_of(side)
    agent.pulse.begin()
    agent.listening.heard("tls_log_monitor", report(etc, Outcome.AUDITED))
    rows = {(490_000, "postfix/smtp", *SESSION, "peer"): (3, 4)}
    agent.listening.kept(etc, Records(add={"connections": rows}))
    found = metrics(agent, tmp_path)
    assert found["alarms"]["tls-disabled",] == 1
    assert found["reports_total"]["audited",] == 1
    assert found["connections_total"]["outbound", "clear"] == 3
    assert found["mails_total"]["outbound", "clear"] == 4
    assert found["guarded"] == {(): 0}


def test_the_other_process_is_asked_for_what_it_says(agent_of, tmp_path, etc):
    status = InstanceStatus(
        config_directory=etc,
        mode="enforce",
        profile="intermediate",
        outcome="clean",
        time="2026-11-23T10:00:00+00:00",
        timers={},
        open_infos=2,
    )
    run = str(tmp_path / "run")
    write_status(run, AgentStatus(pid=1, postkeel="1", since="now", instances=(status,)))
    agent = agent_of(Side.MONITOR)
    agent.pulse.begin()
    assert agent.pass_on(report(etc, Outcome.FIXED, EventKind.PATHS_CHANGED))
    with InstanceLock(etc):
        found = metrics(agent, tmp_path)
    assert found["guarded"] == found["compliant"] == {(): 1}
    assert found["findings"]["info",] == 2
    assert found["corrections_total"] == {(): 1}


def test_the_side_that_corrects_has_none_of_it(agent_of):
    assert agent_of(Side.ROOT).pulse is None
