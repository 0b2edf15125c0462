"""Reports to reporters that are away for a while."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from postkeel.contract import Card, Event, EventKind, Outcome, Plan, Report, Side, hookimpl
from postkeel.core.configuration import Configuration
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell import delivery
from postkeel.shell.delivery import Delivery
from postkeel.shell.loop import Loop


class Reporter:
    """Takes reports, unless it is away."""

    def __init__(self, name):
        self.name = name
        self.away = False
        self.slowly = 0.1
        self.asked = 0
        self.taken = []

    @hookimpl
    def keel_card(self):
        return Card(name=self.name, summary="takes reports", side=Side.ROOT)

    @hookimpl
    def keel_deliver(self, report):
        self.asked += 1
        if self.away:
            time.sleep(self.slowly)
            raise OSError("nobody there")
        self.taken.append(report.cause)


def report(cause):
    event = Event(kind=EventKind.TIMER, instance="/etc/postfix", time=datetime.now(UTC))
    return Report(
        instance="/etc/postfix",
        event=event,
        outcome=Outcome.CLEAN,
        judged=(),
        plan=Plan(),
        seconds=0.1,
        cause=cause,
    )


@pytest.fixture
def loop():
    made = Loop(on_error=pytest.fail)
    yield made
    made.close()


def test_one_that_fails_at_once_is_asked_with_the_next_report(loop):
    absent = Reporter("absent")
    absent.away, absent.slowly = True, 0
    found = [Found(name="absent", source="test", load=lambda: absent)]
    handing = Delivery(loop, Registry(found, Configuration()), lambda error: None)
    handing.deliver(report("0"))
    time.sleep(0.05)
    absent.away = False
    handing.deliver(report("1"))
    assert absent.taken == ["0", "1"]


def test_a_reporter_that_is_away_is_not_asked_for_each_report(loop, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_SECONDS", 0.2)
    steady, absent = Reporter("steady"), Reporter("absent")
    absent.away = True
    found = [
        Found(name=one.name, source="test", load=lambda one=one: one) for one in (steady, absent)
    ]
    complaints = []
    handing = Delivery(loop, Registry(found, Configuration()), complaints.append)
    for number in range(5):
        handing.deliver(report(str(number)))
    assert steady.taken == ["0", "1", "2", "3", "4"]
    assert absent.asked == 1
    assert len(complaints) == 1
    # Reports that come meanwhile do not put off the next attempt.
    due = loop.due_times()["deliver again"]
    handing.deliver(report("5"))
    assert loop.due_times()["deliver again"] == due
    absent.away = False
    loop.after("end", 0.5, loop.stop)
    loop.run_until_stopped()
    assert absent.taken == ["0", "1", "2", "3", "4", "5"]
    handing.deliver(report("6"))
    assert absent.taken[-1] == "6"
    assert "deliver again" not in loop.due_times()
