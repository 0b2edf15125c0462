"""Plugin central and real collectors: what is delivered is what is written, in order."""

from __future__ import annotations

import json
import os
import signal
import threading
from datetime import UTC, datetime

import pytest

import collectors
from guarded import until
from numbered_reports import central_options, number_of, numbered
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Place,
    Plan,
    Report,
    Severity,
)
from postkeel.reporting.fields import message_of
from postkeel.reporting.rfc5424 import Header, rfc5424, rfc5424_cee
from postkeel_plugins.central.options import OPTIONS
from postkeel_plugins.central.plugin import Reporter
from rfc5424_grammar import read

pytestmark = pytest.mark.live
WAYS = [
    *(("rsyslog", one) for one in ("relp+tls", "tls", "relp", "tcp", "udp", "unix")),
    *(("syslog-ng", one) for one in ("tls", "tcp", "udp", "unix")),
]
STRANGE = '"] [fake@1 a="b"] \n\0\x1b \ufeff \u2028 \ud800 雪 {"a": 1} \\'


@pytest.fixture
def start(tmp_path):
    """A function that starts a collector with one transport."""
    if reason := collectors.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)

    def start(kind, transport, **settings):
        make = collectors.rsyslog if kind == "rsyslog" else collectors.syslog_ng
        return make(tmp_path / "collector", transports=(transport,), **settings)

    return start


class Central:
    """A reporter with the options for this collector."""

    def __init__(self, directory, collector, transport, **more):
        url = collector.url(transport)
        self.options = {one.name: one.default for one in OPTIONS}
        self.options |= central_options(collector, url, collectors=(url,), **more)
        self.place = Place(state=str(directory), runtime=str(directory))
        self.reporter = Reporter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reporter.close()

    def deliver(self, report):
        self.reporter.keel_deliver(report, self.options, self.place)


def strange(number):
    finding = Finding(
        rule="smtpd-protocols",
        severity=Severity.ERROR,
        depth=Depth.OBSERVED,
        parameter="smtpd_tls_protocols",
        where=STRANGE,
        effective=STRANGE * 5,
        wanted="",
        why=STRANGE,
    )
    kind = list(EventKind)[number % len(EventKind)]
    return Report(
        instance="/etc/postfix",
        event=Event(kind=kind, instance="/etc/postfix", time=datetime.now(UTC)),
        outcome=Outcome.FAILED,
        judged=(Judged(finding=finding, outcome=Outcome.FAILED, reason=STRANGE),) * (number % 4),
        plan=Plan(),
        seconds=0.25,
        cause=f"{number} {STRANGE}",
        problems=(STRANGE,),
    )


@pytest.mark.parametrize("form", ["rfc5424", "cee"])
@pytest.mark.parametrize(("kind", "transport"), WAYS)
def test_what_is_delivered_is_written(start, tmp_path, kind, transport, form):
    reports = [strange(number) for number in range(24)]
    with (
        start(kind, transport) as collector,
        Central(tmp_path / "state", collector, transport, format=form) as central,
    ):
        for report in reports:
            central.deliver(report)
        until(lambda: len(collector.lines()) >= len(reports), 30)
        lines = collector.lines()
    for number, (line, report) in enumerate(zip(lines, reports, strict=True), 1):
        message = message_of(report)
        fields, text = written(form, message, line["fields"]["spool"], number)
        assert line["fields"] == fields
        assert line["text"] == text
        assert line["event"] == message.event
        assert line["host"] == "mx1.example.org"
        assert int(line["severity"]) == message.severity
        assert datetime.fromisoformat(line["time"]) == message.time


def written(form, message, spool, number):
    """Fields and text on the wire, read by the RFC's grammar."""
    header = Header(facility=2, host="mx1.example.org", process=os.getpid(), enterprise=32473)
    write = rfc5424 if form == "rfc5424" else rfc5424_cee
    one = read(write(message, header, (("spool", spool), ("seq", str(number)))))
    if form == "rfc5424":
        return dict(one.parameters), one.text
    fields = json.loads(one.text.removeprefix("@cee: "))
    return fields, fields.pop("msg")


def test_a_collector_that_hangs_holds_up_nobody_and_nothing_is_lost(start, tmp_path):
    """It is stopped by a signal, as one is that swaps: connections stand and nothing moves."""
    with (
        start("rsyslog", "relp+tls") as collector,
        Central(tmp_path / "state", collector, "relp+tls") as central,
    ):
        central.deliver(numbered(1))
        until(collector.lines, 30)
        os.kill(collector.pid, signal.SIGSTOP)
        try:
            slow = threading.Timer(20, os.kill, (collector.pid, signal.SIGCONT))
            slow.start()
            for number in range(2, 502):
                central.deliver(numbered(number))
            assert not slow.finished.is_set()
            assert len(collector.lines()) == 1
        finally:
            slow.cancel()
            os.kill(collector.pid, signal.SIGCONT)
        until(lambda: len(collector.lines()) >= 501, 30)
        assert [number_of(one) for one in collector.lines()] == list(range(1, 502))


def test_a_collector_that_is_replaced_gets_what_waited(start, tmp_path):
    """Another machine under the same name, with another certificate of the same authority."""
    with (
        start("rsyslog", "relp+tls") as collector,
        Central(tmp_path / "state", collector, "relp+tls") as central,
    ):
        central.deliver(numbered(1))
        until(collector.lines, 30)
        collector.kill()
        for number in range(2, 102):
            central.deliver(numbered(number))
        before = collector.own.certificate.read_bytes()
        collector.authority.issue(addresses=("127.0.0.1",))
        assert collector.own.certificate.read_bytes() != before
        collector.start()
        until(lambda: len(collector.lines()) >= 101, 60)
        assert [number_of(one) for one in collector.lines()] == list(range(1, 102))
