"""Reports to reporters that are away for a while."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from postkeel.contract import Card, Event, EventKind, Outcome, Plan, Report, Side, hookimpl
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell import delivery
from postkeel.shell.delivery import Delivery
from postkeel.shell.history import History
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


@pytest.fixture
def history(tmp_path):
    with History(str(tmp_path)) as made:
        yield made


def registry(*reporters):
    found = [Found(name=one.name, source="test", load=lambda one=one: one) for one in reporters]
    return Registry(found, Configuration())


def test_reporters_begin_with_the_agent_and_with_each_reload(loop, history):
    class Eager(Reporter):
        begun = 0

        @hookimpl
        def keel_begin(self):
            self.begun += 1
            if self.begun == 2:
                raise OSError("no disk")

    eager, complaints = Eager("eager"), []
    handing = Delivery(loop, registry(eager), history, complaints.append)
    handing.begin()
    assert (eager.begun, complaints) == (1, [])
    handing.renew(registry(eager), history)
    assert eager.begun == 2
    assert [str(one) for one in complaints] == ["plugin eager: keel_begin: OSError: no disk"]


def test_one_that_fails_at_once_is_asked_with_the_next_report(loop, history):
    loop.clock = lambda: 1000.0  # no time passes
    absent = Reporter("absent")
    absent.away, absent.slowly = True, 0
    handing = Delivery(loop, registry(absent), history, lambda error: None)
    handing.deliver(report("0"))
    absent.away = False
    handing.deliver(report("1"))
    assert absent.taken == ["0", "1"]


def test_a_reporter_that_is_away_is_not_asked_for_each_report(loop, history, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_SECONDS", 0.2)
    steady, absent = Reporter("steady"), Reporter("absent")
    absent.away = True
    complaints = []
    handing = Delivery(loop, registry(steady, absent), history, complaints.append)
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
    assert history.undelivered() == ()


def test_what_nobody_took_is_told_by_the_next_process(loop, history, tmp_path):
    steady, absent = Reporter("steady"), Reporter("absent")
    absent.away, absent.slowly = True, 0
    first = Delivery(loop, registry(steady, absent), history, lambda error: None)
    for number in range(3):
        first.deliver(report(str(number)))
    absent.away = False
    with History(str(tmp_path)) as later:
        second = Delivery(loop, registry(steady, absent), later, pytest.fail)
        second.begin()
        loop.wake(loop.stop)
        loop.run_until_stopped()
        assert later.undelivered() == ()
    assert absent.taken == steady.taken == ["0", "1", "2"]


def test_a_report_is_kept_before_the_first_reporter_is_asked(loop, history, tmp_path):
    class Last(Reporter):
        @hookimpl
        def keel_deliver(self, report):
            with History(str(tmp_path), read_only=True) as read:  # in a thread of its own
                kept.extend(read.undelivered())
            super().keel_deliver(report)

    kept = []
    Delivery(loop, registry(Last("last")), history, pytest.fail).deliver(report("only"))
    ((_, told, names),) = kept
    assert (told.cause, names) == ("only", ("last",))


def test_a_history_that_takes_nothing_costs_no_report(loop, tmp_path):
    steady = Reporter("steady")
    (tmp_path / "history.sqlite3").mkdir()
    complaints = []
    with History(str(tmp_path)) as broken:
        handing = Delivery(loop, registry(steady), broken, complaints.append)
        handing.begin()
        handing.deliver(report("0"))
    assert steady.taken == ["0"]
    assert len(complaints) == 2


def test_the_oldest_goes_when_too_many_wait_and_that_is_said(loop, history, monkeypatch):
    monkeypatch.setattr(delivery, "UNDELIVERED_AT_MOST", 2)
    monkeypatch.setattr(delivery, "SAY_SECONDS", 0.05)
    absent = Reporter("absent")
    absent.away, absent.slowly = True, 0
    complaints = []
    handing = Delivery(loop, registry(absent), history, complaints.append)
    for number in range(3):
        handing.deliver(report(str(number)))
    assert [one.cause for _, one, _ in history.undelivered()] == ["1", "2"]
    # All of a moment are one complaint.
    handing.deliver(report("3"))
    loop.after("end", 0.1, loop.stop)
    loop.run_until_stopped()
    assert "too many reports wait: 2 are never told to absent" in map(str, complaints)


class Box:
    """Takes reports beside the plugins, unless it is full."""

    def __init__(self):
        self.full = False
        self.taken = []

    def take(self, report):
        if self.full:
            raise PostkeelError("box: No space left on device")
        self.taken.append(report.cause)


def test_who_is_no_plugin_is_handed_reports_in_the_same_way(loop, history, tmp_path):
    steady, box, complaints = Reporter("steady"), Box(), []
    handing = Delivery(loop, registry(steady), history, complaints.append, {"box": box.take})
    handing.deliver(report("0"))
    box.full = True
    loop.clock = lambda: 1000.0  # no time passes
    handing.deliver(report("1"))
    assert [(told.cause, names) for _, told, names in history.undelivered()] == [("1", ("box",))]
    assert [*map(str, complaints)] == ["box: No space left on device"]
    box.full = False
    with History(str(tmp_path)) as later:
        second = Delivery(loop, registry(steady), later, pytest.fail, {"box": box.take})
        second.begin()
        second.deliver(report("2"))
        assert later.undelivered() == ()
    assert box.taken == steady.taken == ["0", "1", "2"]
    second.renew(registry(steady), history)
    second.deliver(report("3"))
    assert (box.taken[-1], steady.taken[-1]) == ("2", "3")


def test_what_is_passed_on_goes_to_those_named_alone(loop, history):
    one, other = Reporter("one"), Reporter("other")
    handing = Delivery(loop, registry(one, other), history, pytest.fail)
    assert handing.pass_on(report("0"), ["one"])
    assert (one.taken, other.taken) == (["0"], [])


def test_what_is_passed_on_waits_behind_what_waits_already(loop, history):
    loop.clock = lambda: 1000.0
    one, other = Reporter("one"), Reporter("other")
    one.away, one.slowly = True, 0
    complaints = []
    handing = Delivery(loop, registry(one, other), history, complaints.append)
    handing.deliver(report("0"))
    handing._not_before = 2000.0
    assert handing.pass_on(report("1"), ["one"])
    assert handing.pass_on(report("2"), ["other"])
    assert one.asked == 1
    assert [told.cause for _, told, _ in history.undelivered()] == ["0", "1"]
    one.away, handing._not_before = False, 0.0
    assert handing.pass_on(report("3"), ["one", "other"])
    assert (one.taken, other.taken) == (["0", "1", "3"], ["0", "2", "3"])
    assert history.undelivered() == ()


def test_what_can_be_neither_passed_on_nor_kept_is_given_back(loop, tmp_path):
    absent = Reporter("absent")
    absent.away, absent.slowly = True, 0
    (tmp_path / "history.sqlite3").mkdir()
    with History(str(tmp_path)) as broken:
        handing = Delivery(loop, registry(absent), broken, lambda error: None)
        assert not handing.pass_on(report("0"), ["absent"])
        absent.away = False
        assert handing.pass_on(report("0"), ["absent"])
    assert absent.taken == ["0"]
