"""The reporter "syslog" before a real rsyslog as the host's own: lines, and @cee: read back."""

import json
import os
import time
from datetime import UTC, datetime

import pytest

import collectors
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Plan,
    Report,
    Severity,
)
from postkeel.reporting.fields import message_of
from postkeel.reporting.sentence import sentence
from postkeel_plugins.reporters import syslog

pytestmark = pytest.mark.live

_PATIENCE = 30

_LOCAL = """
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{socket}" ruleset="local")
template(name="local-line" type="list") {{
    constant(value="{{")
    property(name="syslogfacility-text" outname="facility" format="jsonf")
    constant(value=", ")
    property(name="syslogseverity-text" outname="severity" format="jsonf")
    constant(value=", ")
    property(name="programname" outname="program" format="jsonf")
    constant(value=", ")
    property(name="msg" outname="text" format="jsonf")
    constant(value=", \\"read\\": \\"")
    property(name="$.read")
    constant(value="\\", \\"fields\\": ")
    property(name="$!cee")
    constant(value="}}\\n")
}}
ruleset(name="local") {{
    action(type="mmjsonparse" container="$!cee")
    set $.read = $parsesuccess;
    action(type="omfile" file="{out}/local.jsonl" template="local-line")
}}
"""


@pytest.fixture
def rsyslog(tmp_path):
    """An rsyslog that reads a local socket; it may be asked for `lines`."""
    reason = collectors.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    place = tmp_path / "server"
    text = _LOCAL.format(socket=tmp_path / "log", out=place / "out")
    with collectors.rsyslog(place, transports=("tcp",), more=text) as running:
        yield running


def finding(**more):
    values = {
        "rule": "smtpd-protocols",
        "severity": Severity.ERROR,
        "depth": Depth.DECLARED,
        "parameter": "smtpd_tls_protocols",
        "where": "main.cf:27",
        "effective": "TLSv1",
        "wanted": ">=TLSv1.2",
        "why": "TLS 1.0 is broken",
    }
    return Finding(**(values | more))


def report(*findings, **more):
    time = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    return Report(
        instance="/etc/postfix",
        event=Event(kind=EventKind.PATHS_CHANGED, instance="/etc/postfix", time=time),
        outcome=Outcome.AUDITED,
        judged=tuple(Judged(finding=one, outcome=Outcome.AUDITED) for one in findings),
        plan=Plan(),
        seconds=0.1,
        **more,
    )


REPORTS = (
    report(finding()),
    report(finding(effective='é "quoted" ]} \\ {"outcome": "clean"}'), cause="\n<0>1 forged"),
    report(*[finding(rule=f"rule-{one}", effective="\x1b\udcff" * 40) for one in range(30)]),
)


def sent_and_read(rsyslog, tmp_path, **chosen):
    defaults = {one.name: one.default for one in syslog.keel_card().options}
    options = {**defaults, "socket": str(tmp_path / "log"), **chosen}
    for one in REPORTS:
        syslog.keel_deliver(one, options)
    end = time.monotonic() + _PATIENCE
    while len(rsyslog.octets()) < len(REPORTS):
        assert time.monotonic() < end, rsyslog.errors.read_text()
        time.sleep(0.02)
    return rsyslog.lines()


def test_every_field_of_the_json_is_read_back(rsyslog, tmp_path):
    seen = sent_and_read(rsyslog, tmp_path, cee=True, facility="local3")
    for told, line in zip(REPORTS, seen, strict=True):
        assert (line["program"], line["facility"], line["severity"]) == (
            "postkeel",
            "local3",
            "warning",
        )
        assert line["read"] == "OK"
        fields = line["fields"]
        message = message_of(told)
        text = fields.pop("msg")
        if "cut" not in fields:
            assert (fields, text) == (dict(message.fields), message.text)
            continue
        assert text.removesuffix("[...]") == message.text[: len(text) - 5]
        cut = fields["cut"].split(",")
        whole = {name: value for name, value in fields.items() if name not in {"cut", *cut}}
        assert whole.items() <= dict(message.fields).items()
    assert ["cut" in one["fields"] for one in seen] == [False, False, True]


def test_without_json_it_is_the_sentence(rsyslog, tmp_path):
    seen = sent_and_read(rsyslog, tmp_path)
    assert [one["text"].strip() for one in seen] == [sentence(one) for one in REPORTS]
    assert {one["read"] for one in seen} == {"FAIL"}
    assert json.dumps(seen[1]).count("forged") >= 1
