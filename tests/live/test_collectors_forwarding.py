"""A mail server's own rsyslog forwards what postkeel tells the local syslog."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime

import pytest

import collectors
from bare_sender import send
from guarded import until
from postkeel.reporting.cee import cee
from postkeel.reporting.message import Message

pytestmark = pytest.mark.live
HOSTILE = 'a "quote", ] [fake@1 a="b"] and \\ {"json": 1}'


@pytest.fixture
def collector(tmp_path):
    if reason := collectors.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with collectors.rsyslog(tmp_path / "collector", transports=("relp+tls",)) as running:
        yield running


def line(text):
    """As the local reporter writes it to /dev/log."""
    fields = (("v", "1"), ("event", "started"), ("outcome", "fixed"), ("reason", HOSTILE))
    message = Message(time=datetime.now(UTC), severity=5, event="started", fields=fields, text=text)
    return f"<21>Nov 22 13:40:00 postkeel[42]: {cee(message)}".encode()


def test_fields_arrive_at_the_log_host(tmp_path, collector):
    with collectors.forwarder(tmp_path / "host", collector) as host:
        send(host, "unix", [line("first"), b"<21>Nov 22 13:40:00 other[1]: @cee: {}"])
        until(collector.lines, 30)
    (arrived,) = collector.lines()
    assert arrived["event"] == "started"
    assert arrived["text"] == "first"
    assert arrived["fields"]["reason"] == HOSTILE
    assert arrived["host"] == os.uname().nodename.partition(".")[0]


def test_reports_wait_while_the_log_host_is_away(tmp_path, collector):
    with collectors.forwarder(tmp_path / "host", collector) as host:
        send(host, "unix", [line("before")])
        until(collector.lines, 30)
        collector.stop()
        send(host, "unix", [line(f"meanwhile {one}") for one in range(20)])
        until(lambda: queued(host).count(b"meanwhile") == 20, 30)
        collector.start()
        wanted = {"before", *(f"meanwhile {one}" for one in range(20))}
        with contextlib.suppress(TimeoutError):
            until(lambda: {one["text"] for one in collector.lines()} == wanted, 30)
        assert {one["text"] for one in collector.lines()} == wanted, host.errors.read_text()


def queued(host):
    """What waits on the forwarder's disk."""
    files = sorted((host.directory / "work").glob("postkeel-forward.0*"))
    return b"".join(one.read_bytes() for one in files)
