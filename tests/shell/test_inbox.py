"""Reports of the correcting side as they reach the reporters of the other one."""

from __future__ import annotations

import json
import os
import time

import pytest

from outboxes import files, filled, report
from postkeel.contract import Card, Side, hookimpl
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell import inbox, inotify
from postkeel.shell.delivery import Delivery
from postkeel.shell.history import History
from postkeel.shell.inbox import Inbox
from postkeel.shell.loop import Loop


class Monitor:
    """An inbox in a loop of its own, and what it has handed on."""

    def __init__(self, state):
        self.state = state
        self.loop = Loop(on_error=self.failed)
        self.errors = []
        self.taken = []
        self.said = []
        self.changes = 0
        self.refuses = False
        self.configuration = Configuration(state_directory=str(state))
        self.inbox = Inbox(self.loop, self.configuration, self.take, self.complain, self.changed)

    def failed(self, error):
        self.errors.append(error)

    def complain(self, error):
        self.said.append(str(error))

    def changed(self):
        self.changes += 1

    def take(self, one):
        if not self.refuses:
            self.taken.append(one)
        return not self.refuses

    @property
    def causes(self):
        return [one.cause for one in self.taken]

    def turn_until(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.causes, self.said)
            self.loop.after("turn", 0.01, lambda: None)
            self.loop._turn()
        assert self.errors == []

    def close(self):
        self.inbox.close()
        self.loop.close()


@pytest.fixture
def monitor(tmp_path):
    """A function that starts one; what it is started on may be there already."""
    made = []

    def start(state=tmp_path, *, begin=True):
        one = Monitor(state)
        made.append(one)
        if begin:
            one.inbox.begin()
        return one

    yield start
    for one in made:
        one.close()


def kept(state):
    return json.loads((state / "monitor" / "inbox.json").read_text())


def test_a_report_wakes_the_monitor_which_goes_on_behind_it(tmp_path, monitor):
    box = filled(tmp_path, 1, 2)
    one = monitor()
    one.turn_until(lambda: one.causes == ["1", "2"])
    box.append(report(3))
    began = time.monotonic()
    one.turn_until(lambda: one.causes == ["1", "2", "3"])
    assert time.monotonic() - began < inbox.RETRY_SECONDS / 2
    assert kept(tmp_path)["number"] == 3
    one.inbox.close()
    box.append(report(4))
    second = monitor()
    second.turn_until(lambda: second.causes == ["4"])
    assert one.said == second.said == []
    assert one.causes == ["1", "2", "3"]


def test_nothing_turns_while_nothing_is_written(tmp_path, monitor):
    filled(tmp_path, 1)
    one = monitor()
    one.turn_until(lambda: one.causes == ["1"])
    for _ in range(5):  # what the reading itself brought
        one.loop.wake(lambda: None)
        one.loop._turn()
    assert [*one.loop.due_times()] == ["inbox look again", "turn"]
    assert not one.loop._woken


def test_a_backlog_is_read_in_portions(tmp_path, monitor, monkeypatch):
    monkeypatch.setattr(inbox, "PORTION", 4)
    filled(tmp_path, *range(10))
    one = monitor()
    seen = []
    while len(one.taken) < 10:
        one.loop._turn()
        seen.append(len(one.taken))
    assert seen == [4, 8, 10]
    monkeypatch.setattr(inbox, "PORTION_SECONDS", -1)
    filled(tmp_path, 10, 11)
    one.turn_until(lambda: len(one.taken) == 11)
    one.turn_until(lambda: len(one.taken) == 12)


def test_who_is_killed_hands_on_again_what_it_had_not_kept(tmp_path, monitor, monkeypatch):
    filled(tmp_path, 1, 2, 3)
    one = monitor()
    with monkeypatch.context() as patched:
        patched.setattr(one.inbox, "_write_position", lambda position: None)
        one.turn_until(lambda: len(one.taken) == 3)
    second = monitor()
    second.turn_until(lambda: second.causes == ["1", "2", "3"])


def test_what_cannot_be_handed_on_is_offered_again(tmp_path, monitor, monkeypatch):
    monkeypatch.setattr(inbox, "RETRY_SECONDS", 0.05)
    filled(tmp_path, 1, 2)
    one = monitor(begin=False)
    one.refuses = True
    one.inbox.begin()
    one.turn_until(lambda: one.inbox.problems)
    assert "can be neither handed on nor kept" in one.said[0]
    for _ in range(10):
        one.turn_until(lambda: not one.loop.due_times().get("inbox again"))
        one.turn_until(lambda: one.loop.due_times().get("inbox again"))
    assert len(one.said) == 1  # once while it goes on
    one.refuses = False
    one.turn_until(lambda: one.causes == ["1", "2"] and not one.inbox.problems)
    assert one.changes == 2


def test_what_was_lost_is_told_once_with_its_number(tmp_path, monitor):
    box = filled(tmp_path, 1)
    one = monitor()
    one.turn_until(lambda: one.causes == ["1"])
    one.inbox.close()
    for number in range(2, 6):
        box.append(report(number))
    path = files(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((lines[0], lines[4])))
    second = monitor()
    second.turn_until(lambda: len(second.taken) == 2)
    lost, after = second.taken
    (text,) = lost.problems
    assert text == f"{tmp_path}/outbox: 3 {inbox.LOST}"
    assert (lost.instance, after.cause) == ("/etc/postfix", "5")
    assert second.said == [text]
    assert kept(tmp_path)["number"] == 5


def test_an_outbox_that_comes_later_is_found_at_once(tmp_path, monitor):
    one = monitor()
    one.turn_until(lambda: one.inbox.problems)
    assert "cannot be read: No such file or directory: the correcting" in one.inbox.problems[0]
    box = filled(tmp_path, 1)
    one.turn_until(lambda: one.causes == ["1"])
    one.turn_until(lambda: not one.inbox.problems)
    box.append(report(2))
    one.turn_until(lambda: one.causes == ["1", "2"])


def test_an_outbox_that_goes_is_missed_at_once(tmp_path, monitor):
    """A file that is held open would keep the directory in being, without a word of its end."""
    filled(tmp_path, 1)
    one = monitor()
    one.turn_until(lambda: one.causes == ["1"])
    files(tmp_path)[0].unlink()
    (tmp_path / "outbox").rmdir()
    one.turn_until(lambda: one.inbox.problems)
    filled(tmp_path, 2)
    one.turn_until(lambda: one.causes == ["1", "2"])


def test_an_outbox_that_is_replaced_is_read_from_its_beginning(tmp_path, monitor):
    filled(tmp_path, 1, 2)
    one = monitor()
    one.turn_until(lambda: one.causes == ["1", "2"])
    (tmp_path / "outbox").rename(tmp_path / "old")
    box = filled(tmp_path, "new")
    one.turn_until(lambda: one.causes == ["1", "2", "new"])
    box.append(report("newer"))
    one.turn_until(lambda: one.causes == ["1", "2", "new", "newer"])
    assert not [text for text in one.said if "lost" in text]


def test_an_outbox_that_cannot_be_read_is_a_problem_and_no_end(tmp_path, monitor, monkeypatch):
    monkeypatch.setattr(inbox, "RETRY_SECONDS", 0.05)
    (tmp_path / "outbox").write_text("not a directory")
    one = monitor()
    one.turn_until(lambda: one.inbox.problems)
    assert "Not a directory" in one.inbox.problems[0]
    os.unlink(tmp_path / "outbox")
    filled(tmp_path, 1)
    one.turn_until(lambda: one.causes == ["1"])
    one.turn_until(lambda: not one.inbox.problems)


def test_without_watches_it_looks_again_by_itself(tmp_path, monitor, monkeypatch):
    monkeypatch.setattr(inbox, "RETRY_SECONDS", 0.05)
    filled(tmp_path, 1)

    def exhausted(self, name, mask):
        raise OSError(28, "No space left on device: see the sysctl fs.inotify.max_user_watches")

    with monkeypatch.context() as patched:
        patched.setattr(inotify.Inotify, "watch", exhausted)
        one = monitor()
        one.turn_until(lambda: one.causes == ["1"])
        assert "cannot be watched: No space left" in one.inbox.problems[0]
        filled(tmp_path, 2)
        one.turn_until(lambda: one.causes == ["1", "2"])
    one.turn_until(lambda: not one.inbox.problems)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"[" * 3000,
        b'{"series": "a"}',
        b'{"series": 1, "number": 2, "check": 3}',
        b"\xff",
        None,
    ],
)
def test_a_broken_position_hands_on_all_that_is_there(tmp_path, monitor, content):
    filled(tmp_path, 1, 2)
    path = tmp_path / "monitor" / "inbox.json"
    path.parent.mkdir()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    one = monitor()
    one.turn_until(lambda: one.causes == ["1", "2"])
    assert str(path) in one.said[0]
    if content is None:
        one.turn_until(lambda: any("cannot be written" in text for text in one.inbox.problems))
        assert one.causes == ["1", "2"]
    else:
        assert kept(tmp_path)["number"] == 2


def test_a_position_that_can_be_written_again_is_no_problem_any_more(tmp_path, monitor):
    box = filled(tmp_path, 1)
    (tmp_path / "monitor").write_text("")
    one = monitor()
    one.turn_until(lambda: one.causes == ["1"] and one.inbox.problems)
    os.unlink(tmp_path / "monitor")
    box.append(report(2))
    one.turn_until(lambda: one.causes == ["1", "2"] and not one.inbox.problems)


def test_nothing_is_handed_on_after_the_end(tmp_path, monitor):
    box = filled(tmp_path, 1)
    one = monitor()
    one.inbox.close()  # with a reading under way
    box.append(report(2))
    one.loop._turn()
    assert one.taken == []
    assert one.errors == []


class Reporter:
    def __init__(self):
        self.taken = []
        self.away = False

    @hookimpl
    def keel_card(self):
        return Card(name="central", summary="takes reports", side=Side.MONITOR)

    @hookimpl
    def keel_deliver(self, report):
        if self.away:
            raise OSError("nobody there")
        self.taken.append(report.cause)


def test_reports_that_waited_reach_a_reporter_in_their_order(tmp_path, monitor):
    count = 2000
    filled(tmp_path, *range(count))
    central = Reporter()
    one = monitor(begin=False)
    registry = Registry(
        [Found(name="central", source="test", load=lambda: central)], one.configuration
    )
    with History(str(tmp_path / "monitor")) as history:
        handing = Delivery(one.loop, registry, history, one.complain)
        one.take = lambda report: handing.pass_on(report, ["central"])
        one.inbox._take = one.take
        one.inbox.begin()
        one.turn_until(lambda: len(central.taken) == count, 60)
        assert central.taken == [str(number) for number in range(count)]
        assert history.undelivered() == ()
    assert one.said == []


def test_what_a_reporter_cannot_take_is_kept_and_the_next_goes_on(tmp_path, monitor):
    filled(tmp_path, 1, 2)
    central = Reporter()
    central.away = True
    one = monitor(begin=False)
    registry = Registry(
        [Found(name="central", source="test", load=lambda: central)], one.configuration
    )
    with History(str(tmp_path / "monitor")) as history:
        handing = Delivery(one.loop, registry, history, one.complain)
        one.inbox._take = lambda report: handing.pass_on(report, ["central"])
        one.inbox.begin()
        one.turn_until(lambda: (tmp_path / "monitor" / "inbox.json").exists())
        assert [told.cause for _, told, _ in history.undelivered()] == ["1", "2"]
        central.away = False
        handing._not_before = 0.0
        handing.deliver(report(3))
        assert central.taken == ["1", "2", "3"]
        assert history.undelivered() == ()


def test_a_loss_is_offered_again_as_well(tmp_path, monitor):
    filled(tmp_path, 1, 2, 3)
    path = files(tmp_path)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((lines[0], lines[2])))
    one = monitor(begin=False)
    one.inbox._take = lambda report: one.take(report) if report.cause != "3" else False
    one.inbox.begin()
    one.turn_until(lambda: one.inbox.problems)
    assert kept(tmp_path)["number"] == 1
    with pytest.raises(PostkeelError):
        one.inbox._portion()
