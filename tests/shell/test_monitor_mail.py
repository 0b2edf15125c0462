"""When probes are made, with the real loop; probes themselves have tests of their own."""

import time

import pytest

from postkeel.contract import EventKind, Interest, Mailboxes, Probe, ProbeResult, Target
from postkeel.core.errors import PostkeelError
from postkeel.shell import monitor_mail
from postkeel.shell.loop import Loop
from postkeel.shell.monitor_mail import MonitorMail

TARGET = Target(service="smtp/inet", host="127.0.0.1", port="25")


def wish(every=3600.0, **more):
    return Interest(
        probe=Probe(
            targets=(TARGET,), address="a@example.test", mailbox="/nowhere", every=every, **more
        )
    )


class Made:
    """In the place of a probe: notes that it was begun, and answers when the test says so."""

    begun = ()
    fault = ""

    def __init__(self, loop, wanted, directory, secret, done, failed):
        self.loop, self.wanted, self.done, self.failed = loop, wanted, done, failed
        self.directory, self.secret = directory, secret
        self.closed = False
        type(self).begun += (self,)

    def start(self):
        if self.fault:
            raise PostkeelError(self.fault)

    def close(self):
        self.closed = True


class Office:
    def __init__(self, clock=None):
        self.clock = 1000.0
        self.loop = Loop(self.fail, clock=clock or (lambda: self.clock))
        self.told = []
        self.complaints = []
        self.mail = MonitorMail(
            self.loop,
            "/etc/postfix checker",
            "/state",
            lambda: b"secret",
            self.happened,
            self.complaints.append,
        )

    def happened(self, *what):
        self.told.append(what)
        self.loop.stop()

    def fail(self, error):
        raise error

    def pass_time(self, seconds):
        """Let so many seconds pass, timer by timer."""
        end = self.clock + seconds
        while (due := min(self.loop.due_times().values(), default=end + 1)) <= end:
            self.clock = due
            self.loop.wake(self.loop.stop)
            self.loop.run_until_stopped()
        self.clock = end

    def end(self):
        self.mail.close()
        assert self.loop.due_times() == {}
        self.loop.close()


@pytest.fixture
def office(monkeypatch):
    monkeypatch.setattr("postkeel.shell.probe.Probing", Made)
    monkeypatch.setattr(Made, "begun", ())
    made = Office()
    yield made
    made.end()


def test_soon_after_the_start_and_then_by_the_clock(office):
    office.mail.want(wish())
    assert office.mail.said == "probes smtp/inet on 127.0.0.1:25, each 3600 s"
    office.pass_time(monitor_mail.FIRST_PROBE_SECONDS + 1)
    (first,) = Made.begun
    assert (first.directory, first.secret) == ("/state", b"secret")
    first.done(ProbeResult(others=7))
    office.pass_time(3600)
    assert len(Made.begun) == 2
    assert first.closed
    assert office.told == [(EventKind.PROBED, "by the clock", ProbeResult(others=7), ())]


def test_never_two_at_once(office):
    office.mail.want(wish(every=60.0))
    office.pass_time(300)
    assert len(Made.begun) == 1


def test_after_a_correction_and_not_after_each_of_many(office):
    office.mail.want(wish())
    office.pass_time(1800)
    Made.begun[-1].done(ProbeResult())
    for _ in range(30):
        office.mail.corrected()
        office.pass_time(2)
        if len(Made.begun) == 2 and not Made.begun[-1].closed:
            Made.begun[-1].done(ProbeResult())
    assert len(Made.begun) == 2
    assert [why for _, why, _, _ in office.told] == ["by the clock", "after a correction"]
    office.pass_time(monitor_mail.PROBES_APART_SECONDS)
    assert len(Made.begun) == 3  # for the corrections since


def test_without_a_wish_a_correction_brings_nothing(office):
    office.mail.corrected()
    office.mail.want(wish(every=0.0))
    office.mail.corrected()
    assert office.loop.due_times() == {}
    assert office.mail.said == ""


def test_a_failure_is_complained_of_and_the_next_probe_comes(office, monkeypatch):
    office.mail.want(wish(every=600.0))
    monkeypatch.setattr(Made, "fault", "no process")
    office.pass_time(10)
    assert office.complaints == ["no probe can be made: no process"]
    monkeypatch.setattr(Made, "fault", "")
    office.pass_time(600)
    Made.begun[-1].failed(PostkeelError("ended"))
    assert office.complaints[1:] == ["no probe can be made: ended"]
    office.pass_time(600)
    Made.begun[-1].done(ProbeResult())
    assert office.complaints[2:] == [""]
    assert len(office.told) == 1


def test_another_wish_ends_what_is_under_way(office):
    office.mail.want(wish())
    office.pass_time(10)
    office.mail.want(wish())  # the same one
    assert not Made.begun[0].closed
    office.mail.want(wish(seconds=3.0))
    assert Made.begun[0].closed
    office.mail.want(Interest())
    assert office.loop.due_times() == {}


def test_samples_come_as_headers(tmp_path):
    office = Office(time.monotonic)
    (tmp_path / "new").mkdir()
    wanted = Mailboxes(paths=(f"{tmp_path}/",))
    office.mail.want(Interest(mailboxes=wanted))
    assert office.mail.said == f"samples {tmp_path}/"
    field = b"Received: by mx.example.test; now\r\n"
    (tmp_path / "new" / "1").write_bytes(field + b"Subject: no\r\n\r\n")
    office.loop.run_until_stopped()
    assert office.told == [(EventKind.MESSAGES, "", None, (field,))]
    office.end()
