"""Monitors ask the agent for checks, and strangers write what makes them ask."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postkeel.contract import Event, EventKind, Outcome, Plan, Report
from postkeel.core.configuration import Configuration
from postkeel.registry import Registry
from postkeel.shell.guard import ASKED_APART_SECONDS, Guard
from postkeel.shell.loop import Loop
from postkeel.shell.office import Guarding
from postkeel.shell.round import TRY_AGAIN

ONE, OTHER = "/etc/postfix", "/etc/postfix-out"


class Office:
    """A loop with a clock of its own, and nothing to guard."""

    def __init__(self, configuration):
        self.now = 1000.0
        self.loop = Loop(on_error=pytest.fail, clock=lambda: self.now)
        self.guarding = Guarding(
            configuration=configuration,
            registry=Registry([], configuration),
            instances=(ONE, OTHER),
        )


class Recording(Guard):
    """Notes rounds in place of running them."""

    def __init__(self, office):
        super().__init__(office, lambda directory, facts: None)
        self.office = office
        self.rounds = []

    def _round(self, kind, directory, *detail):
        self.rounds.append((self.office.now, kind, directory, detail))

    def at(self, now):
        """One turn of the loop at that second."""
        self.office.now = now
        self.office.loop.wake(self.office.loop.stop)
        self.office.loop.run_until_stopped()


@pytest.fixture
def agent(tmp_path):
    office = Office(
        Configuration(
            state_directory=str(tmp_path / "state"), runtime_directory=str(tmp_path / "run")
        )
    )
    made = Recording(office)
    yield made
    made.close()
    office.loop.close()


def test_the_first_time_it_checks_at_once_then_once_a_minute_however_often_it_is_asked(agent):
    for second in range(1000, 1300, 5):
        agent.at(second)
        agent.check_now(ONE, f"asked at {second}")
        agent.at(second)
    assert ASKED_APART_SECONDS == 60
    assert [now for now, *_ in agent.rounds] == [1000, 1060, 1120, 1180, 1240]
    kind, directory, detail = agent.rounds[0][1:]
    assert (kind, directory, detail) == (EventKind.REQUESTED, ONE, ("asked at 1000",))


def test_instances_do_not_wait_for_each_other(agent):
    agent.check_now(ONE, "first")
    agent.check_now(OTHER, "first")
    agent.at(1000)
    agent.check_now(ONE, "second")
    agent.at(1030)
    agent.check_now(OTHER, "second")
    agent.at(1059)
    assert [(now, directory) for now, _, directory, _ in agent.rounds] == [
        (1000, ONE),
        (1000, OTHER),
    ]
    agent.at(1060)
    assert len(agent.rounds) == 4


def test_who_has_not_asked_for_long_is_heard_at_once(agent):
    agent.check_now(ONE, "first")
    agent.at(1000)
    agent.office.now = 1200
    agent.check_now(ONE, "second")
    agent.at(1200)
    assert [now for now, *_ in agent.rounds] == [1000, 1200]


def test_who_asks_without_a_name_asks_for_all(agent):
    agent.check_all()
    agent.at(1000)
    assert [directory for _, _, directory, _ in agent.rounds] == [ONE, OTHER]
    agent.check_all()
    agent.at(1059)
    assert len(agent.rounds) == 2


@pytest.mark.parametrize("outcome", Outcome)
def test_what_may_pass_is_tried_again_after_a_minute(agent, outcome):
    now = datetime.now(UTC)
    event = Event(kind=EventKind.TIMER, instance=ONE, time=now)
    report = Report(instance=ONE, event=event, outcome=outcome, judged=(), plan=Plan(), seconds=0.1)
    agent._come_back(report, now)
    due = agent.office.loop.due_times().get(f"{ONE} {TRY_AGAIN}")
    assert due == (1060 if outcome in (Outcome.FAILED, Outcome.REVERTED) else None)
    agent._come_back(replace(report, outcome=Outcome.CLEAN), now)
    assert f"{ONE} {TRY_AGAIN}" not in agent.office.loop.due_times()
