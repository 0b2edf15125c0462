"""What real rsyslog and syslog-ng read out of postkeel's messages, with the shipped snippets."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import uuid
from datetime import UTC, datetime, timedelta

import pytest

import collectors
from bare_sender import connected, relp, send
from guarded import until
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    PackageChange,
    Plan,
    Report,
    Severity,
    Upgrade,
)
from postkeel.reporting.fields import FIELDS, message_of
from postkeel.reporting.message import Message
from postkeel.reporting.rfc5424 import Header, rfc5424, rfc5424_cee
from rfc5424_grammar import read

pytestmark = pytest.mark.live
TRANSPORTS = {
    "rsyslog": ("relp+tls", "tls", "relp", "tcp", "udp", "unix"),
    "syslog-ng": ("tls", "tcp", "udp", "unix"),
}
MOMENT = datetime(2026, 11, 22, 13, 40, 0, 123456, tzinfo=UTC)
HOSTILE = (
    'quoted "value" and \\back\\slashes\\',
    "trailing backslash \\",
    'x]y ] [fake@1 a="b"] [postkeel@32473 seq="9" outcome="clean"]',
    '" seq="999" outcome="clean',
    "line\nfeed\r\ntab\tnul\0escape\x1b[31m",
    '<13>1 2026-01-01T00:00:00Z evil postkeel - - - forged\n12 <13>1 - - - - - "',
    "\ufeffmark, \u2028 separator, \u202e turned, \ud800 half",
    "Zürich 雪 😀",
    '{"a": [1, {"msg": "\\u0000"}], "host": "evil"}',
    '@cee: {"event": "forged"}',
    "%hostname% $!fields ${HOST} $(sanitize x) %0a",
    "a=b c='d'",
    "x" * 4000,
    "\U0001f600" * 1000,
)


def _needs_collectors():
    if reason := collectors.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="module", params=TRANSPORTS)
def server(request, tmp_path_factory):
    """Each of both, with all its transports; what tests send is told apart by its host."""
    _needs_collectors()
    start = collectors.rsyslog if request.param == "rsyslog" else collectors.syslog_ng
    place = tmp_path_factory.mktemp(request.param)
    with start(place, transports=TRANSPORTS[request.param]) as running:
        yield running


@pytest.fixture
def host():
    return f"{uuid.uuid4().hex[:12]}.example.org"


def reports_of(text):
    """Reports of each event, with this text wherever strangers' texts may come in."""
    finding = Finding(
        rule="smtpd-protocols",
        severity=Severity.ERROR,
        depth=Depth.OBSERVED,
        parameter=text,
        where=text,
        effective=text,
        wanted="",
        why=text,
        service=text,
    )
    judged = Judged(finding=finding, outcome=Outcome.FAILED, reason=text)
    for kind in EventKind:
        told = (("guarded", "yes"), ("changed", text))
        yield Report(
            instance="/etc/postfix",
            event=Event(kind=kind, instance="/etc/postfix", time=MOMENT),
            outcome=Outcome.FAILED,
            judged=(judged,) * 3,
            plan=Plan(),
            seconds=0.25,
            cause=text,
            problems=(text,),
            proof=(text,),
            upgrade=Upgrade(
                packages=(PackageChange(name="postfix", before="3.7.10", after="3.7.11"),),
                command=text,
            ),
            told=told if kind in (EventKind.HEARTBEAT, EventKind.DIGEST) else (),
        )


def messages():
    for text in HOSTILE:
        for report in reports_of(text):
            yield message_of(report)
    for field in FIELDS:  # of every name there is, also those that no report had
        fields = {"v": "1", "event": "dropped", field.name: "17"}
        event = fields["event"]
        yield Message(
            time=MOMENT, severity=4, event=event, fields=tuple(fields.items()), text=field.meaning
        )


def header(host):
    return Header(facility=2, host=host, process=42, enterprise=32473)


def marks(number):
    return (("spool", "5f0c11d2"), ("seq", str(number)))


def collected(server, host, count):
    """The lines of this host as soon as there are so many; none more may be there."""
    until(lambda: len(of_host(server, host)) >= count, 30)
    lines = of_host(server, host)
    assert len(lines) == count
    return lines


def of_host(server, host):
    file = server.files().get(f"{host}.jsonl", b"")
    return [json.loads(line) for line in file[: file.rfind(b"\n") + 1].split(b"\n")[:-1]]


def assert_same(line, message, host, fields, text):
    assert line["fields"] == fields
    assert line["text"] == text
    assert line["event"] == message.event
    assert line["host"] == host
    assert int(line["severity"]) == message.severity
    assert datetime.fromisoformat(line["time"]) == message.time
    received = datetime.fromisoformat(line["received"])
    assert abs(received - datetime.now(UTC)) < timedelta(hours=1)
    assert set(line) == {"host", "time", "received", "severity", "event", "fields", "text"}


def test_every_field_of_every_message_is_read_back(server, host):
    sent = list(messages())
    octets = [rfc5424(one, header(host), marks(n)) for n, one in enumerate(sent)]
    transport = "relp+tls" if "relp+tls" in server.ports else "tls"
    send(server, transport, octets)
    for line, message, one in zip(collected(server, host, len(sent)), sent, octets, strict=True):
        written = read(one)
        assert_same(line, message, host, dict(written.parameters), written.text)


def test_fields_as_json_are_read_back_too(server, host):
    sent = list(messages())
    octets = [rfc5424_cee(one, header(host), marks(n)) for n, one in enumerate(sent)]
    send(server, "tls", octets)
    for line, message, one in zip(collected(server, host, len(sent)), sent, octets, strict=True):
        fields = json.loads(read(one).text.removeprefix("@cee: "))
        text = fields.pop("msg", "")
        assert_same(line, message, host, fields, text)


@pytest.mark.parametrize("write", [rfc5424, rfc5424_cee])
def test_by_every_transport(server, host, write):
    transports = [*server.ports, "unix"]
    for number, transport in enumerate(transports):
        fields = (("v", "1"), ("event", "started"), ("cause", transport), ("reason", HOSTILE[2]))
        message = Message(time=MOMENT, severity=5, event="started", fields=fields, text="x] y")
        send(server, transport, [write(message, header(host), marks(number))])
        line = collected(server, host, number + 1)[-1]
        fields = {**dict(marks(number)), **dict(message.fields)}
        assert_same(line, message, host, fields, message.text)


def raw(host, element, text="", event="started"):
    octets = f"<21>1 2026-11-22T13:40:00.123456+00:00 {host} postkeel 42 {event} {element} "
    return octets.encode() + (text if isinstance(text, bytes) else text.encode())


GOOD = '[postkeel@32473 v="1" seq="1"]'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("line\nfeed", {"line#012feed", "line feed"}),
        ("tab\tnul\0.", {"tab#011nul#000.", "tab\tnul .", "tab\tnul\0."}),
        ("\ufeffmark", {"\ufeffmark", "mark"}),
        ("\u2028", {"\u2028"}),
        ('] [fake@1 a="b"] {"fields": {}}', {'] [fake@1 a="b"] {"fields": {}}'}),
        ('12 <13>1 - - - - - [postkeel@32473 v="1"]', None),
        ("x" * 6000, None),
    ],
)
def test_a_text_that_postkeel_would_not_write_stays_one_line(server, host, text, shown):
    send(server, "tls", [raw(host, GOOD, text), raw(host, GOOD, "after")])
    first, after = collected(server, host, 2)
    assert first["text"] in (shown or {text})
    assert first["fields"] == after["fields"] == {"v": "1", "seq": "1"}


def test_invalid_utf_8_does_no_harm(server, host):
    send(server, "tls", [raw(host, GOOD, b"\xff\x80 \xc3"), raw(host, GOOD, "after")])
    until(lambda: server.files().get(f"{host}.jsonl", b"").count(b"\n") == 2, 30)
    first, after = server.files()[f"{host}.jsonl"].splitlines()
    assert json.loads(first.decode(errors="replace"))["fields"] == {"v": "1", "seq": "1"}
    assert json.loads(after)["text"] == "after"


@pytest.mark.parametrize(
    "element",
    [
        "-",
        '[other@1 v="1"]',
        '[other@1 x="[postkeel@32473 v=\\"1\\"\\]"]',
        '[postkeel@32473x v="1"]',
        '[postkeel@324 v="1"]',
    ],
)
def test_what_is_no_report_is_not_written(server, host, element):
    send(server, "tls", [raw(host, element, "no report"), raw(host, GOOD, "a report")])
    assert [line["text"] for line in collected(server, host, 1)] == ["a report"]


@pytest.mark.parametrize(
    "text", ["@cee: [1]", "@cee: {", '@cee: "v"', "@cee:", '@cee {"v": "1", "event": "x"}']
)
def test_what_is_no_json_is_not_written(server, host, text):
    send(server, "tls", [raw(host, "-", text), raw(host, GOOD, "a report")])
    assert [line["text"] for line in collected(server, host, 1)] == ["a report"]


@pytest.mark.parametrize(
    "name", ["../../{}", "/tmp/{}", "a/../../{}", "..", ".", "{}/..", "%2e%2e%2f{}", "-", "~{}"]
)
def test_no_host_leads_out_of_the_directory(server, host, name):
    name = name.format(host)
    send(server, "tls", [raw(name, GOOD, "named"), raw(host, GOOD, "after")])
    assert collected(server, host, 1)
    outside = {one for one in server.directory.rglob(f"*{host}*") if server.out not in one.parents}
    assert not outside
    assert all(one.is_file() for one in server.out.iterdir())
    assert not os.path.exists(f"/tmp/{host}.jsonl")


@pytest.mark.parametrize("address", ["::1"])
@pytest.mark.parametrize("kind", TRANSPORTS)
def test_over_ipv6(tmp_path, kind, address, host):
    _needs_collectors()
    start = collectors.rsyslog if kind == "rsyslog" else collectors.syslog_ng
    with start(tmp_path, transports=TRANSPORTS[kind], address=address) as server:
        for number, transport in enumerate(server.ports):
            send(server, transport, [raw(host, GOOD, transport)])
            assert collected(server, host, number + 1)[-1]["text"] == transport


def acknowledged(server, host, texts):
    """Send them by RELP, and kill the collector as soon as it has answered the last one."""
    with contextlib.suppress(OSError), connected(server, "relp+tls", pair=server.sender) as stream:
        relp(stream, [raw(host, GOOD, one) for one in texts])
        server.kill()  # before this end has said goodbye
        return texts
    raise AssertionError("it did not acknowledge all")


def test_what_is_acknowledged_is_written(tmp_path, host):
    _needs_collectors()
    told = []
    with collectors.rsyslog(tmp_path, transports=("relp+tls",)) as server:
        for number in range(10):
            told += acknowledged(server, host, [f"{number}-{one}" for one in range(100)])
            assert [line["text"] for line in of_host(server, host)] == told
            server.start()


def test_with_a_queue_it_would_be_acknowledged_too_soon(tmp_path, host):
    """Why the snippet wants queue.type="Direct", and that the test above can fail."""
    _needs_collectors()
    with collectors.rsyslog(tmp_path, transports=("relp+tls",)) as server:
        text = server.configuration.read_text()
        assert text.count('queue.type="Direct"') == 1
        slow = 'queue.type="LinkedList" queue.dequeueBatchSize="1" queue.dequeueSlowdown="10000"'
        server.configuration.write_text(text.replace('queue.type="Direct"', slow))
        server.restart()
        told = acknowledged(server, host, [str(one) for one in range(1000)])
        assert len(of_host(server, host)) < len(told)


def test_the_files_can_be_rotated(tmp_path, host):
    """With the shipped file for logrotate, nothing goes astray and the old lines stay."""
    _needs_collectors()
    shipped = (collectors.TOP / "conf/rsyslog/postkeel.logrotate").read_text()
    with collectors.rsyslog(tmp_path / "c", transports=("tls",)) as server:
        send(server, "tls", [raw(host, GOOD, "before")])
        assert collected(server, host, 1)
        text = shipped.replace("/var/log/postkeel", str(server.out))
        text = text.replace("/usr/lib/rsyslog/rsyslog-rotate", f"kill -HUP {server.pid}")
        assert text.count(str(tmp_path)) == 1
        assert "kill" in text
        (tmp_path / "rotate").write_text(text)
        (tmp_path / "rotate").chmod(0o644)
        server.out.chmod(0o755)
        command = ["logrotate", "--force", "--state", tmp_path / "state", tmp_path / "rotate"]
        subprocess.run(command, check=True)
        until(lambda: not os.path.exists(server.out / f"{host}.jsonl"))
        send(server, "tls", [raw(host, GOOD, "after")])
        assert [line["text"] for line in collected(server, host, 1)] == ["after"]
        assert b"before" in server.files()[f"{host}.jsonl.1"]
