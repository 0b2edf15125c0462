"""Reports of the side that corrects reach the collector, through the process that may reach it."""

from __future__ import annotations

import re
import signal
import socket
import threading

import pytest

from guarded import guarded, until
from outboxes import files, filled, report
from two_sides import Sides

pytestmark = pytest.mark.live

CENTRAL = """\
[contest]
corrections = 1000
[reporting]
heartbeat = 0
digest = ""
[plugins.central]
collectors = ["tcp://127.0.0.1:{port}"]
fold_seconds = 0
reports_per_minute = 0
"""
FIELD = re.compile(r'([a-z0-9_]+)="((?:[^"\\]|\\.)*)"')
LENGTH = re.compile(rb"([1-9][0-9]{0,4}) ")


class Collector:
    """Takes frames of RFC 6587 on a free port, and keeps the fields of each message."""

    def __init__(self):
        self.messages = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.take, args=(peer,), daemon=True).start()

    def take(self, peer):
        data = b""
        with peer:
            while found := self.received(peer):
                data += found
                while (start := LENGTH.match(data)) and len(data) >= start.end() + int(start[1]):
                    end = start.end() + int(start[1])
                    self.messages.append(dict(FIELD.findall(data[start.end() : end].decode())))
                    data = data[end:]

    @staticmethod
    def received(peer):
        try:
            return peer.recv(65536)
        except OSError:
            return b""

    def told(self, **fields):
        """The messages with these fields, without doubles."""
        each = {(one["spool"], one["seq"]): one for one in [*self.messages]}
        return [one for one in each.values() if fields.items() <= one.items()]


@pytest.fixture
def collector():
    one = Collector()
    yield one
    one.listener.close()


@pytest.fixture
def sides(hardened, collector):
    more = CENTRAL.format(port=collector.port)
    with guarded(hardened.postfix, more=more, start=False, catch=True) as one:
        both = Sides(one, hardened)
        yield both
        both.stop()


def test_a_correction_is_told_to_the_collector_by_the_other_side(sides, collector):
    sides.start("root", "monitor")
    until(lambda: collector.told(event="started"), 20)
    sides.corrects()
    (fixed,) = until(lambda: collector.told(outcome="fixed"), 20)
    assert fixed["event"] == "paths-changed"
    assert fixed["parameter"] == "smtpd_tls_protocols"
    assert fixed["instance"] == sides.hardened.postfix.config_directory
    assert sides.errors("root") == sides.errors("monitor") == ""


def test_what_is_corrected_while_no_monitor_runs_is_told_later(sides, collector):
    sides.start("root", "monitor")
    until(lambda: collector.told(event="started"), 20)
    sides.running["monitor"].send_signal(signal.SIGTERM)
    sides.running["monitor"].wait(15)
    for _ in range(3):
        sides.corrects()
    assert not collector.told(outcome="fixed")
    sides.start("monitor")
    until(lambda: len(collector.told(outcome="fixed")) == 3, 20)
    sides.kill("root")
    sides.start("root")
    sides.corrects()
    until(lambda: len(collector.told(outcome="fixed")) == 4, 20)
    assert len(collector.told(event="started")) == 2
    assert len({(one["spool"], one["seq"]) for one in collector.messages}) == 6
    assert sides.errors("root") == ""


def test_a_monitor_that_is_killed_again_and_again_tells_each_report_once(sides, collector):
    count = 1500
    state = sides.one.directory / "state"
    box = filled(state, *range(count // 2))

    def causes():
        return sorted(int(one["cause"]) for one in collector.told(event="paths-changed"))

    sides.start("monitor")
    for number in range(count // 2, count):
        box.append(report(number))
        if number % (count // 10) == 0:  # wherever it is just then
            sides.kill("monitor")
            sides.start("monitor")
    until(lambda: len(causes()) >= count, 60)
    assert causes() == [*range(count)]


def test_a_monitor_goes_on_when_the_outbox_cannot_be_read(sides, collector):
    sides.start("root", "monitor")
    until(lambda: collector.told(event="started"), 20)
    state = sides.one.directory / "state"
    for path in files(state):
        path.unlink()
    (state / "outbox").rmdir()
    (state / "outbox").write_text("")
    until(lambda: "Not a directory" in str(sides.status("monitor")["problems"]), 20)
    sides.logged("warning: No server certs available. TLS won't be enabled")
    until(lambda: collector.told(rules="tls-disabled"), 20)
    sides.corrects()  # told to the local syslog, and kept for the outbox
    said = "cannot be kept for the monitor: Not a directory"
    until(lambda: said in sides.errors("root"), 15)
    (state / "outbox").unlink()
    sides.kill("root")
    sides.start("root")
    until(lambda: collector.told(outcome="fixed"), 60)
