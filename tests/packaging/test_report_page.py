"""postkeel-report(5), held against the code in both directions; its example is a message."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from man_page import Page
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Plan,
    Report,
    SetParameter,
    Severity,
)
from postkeel.core.text import LINE_LIMIT
from postkeel.reporting import fields
from postkeel.reporting.journal import IDENTIFIER, PREFIX
from postkeel.reporting.rfc5424 import Header, rfc5424
from postkeel.reporting.severities import (
    SEVERITIES,
    event_name,
    severities_fault,
    severity_of,
)

PAGE = Page(Path(__file__).parents[2] / "packaging/man/postkeel-report.5")
SPOOLS_OWN = "dropped"


def named(title):
    return [name for one in PAGE.items(title) for name in one.after("Va")]


PARTS = {
    "Marks": fields.MARKS,
    "Of every message": fields.OF_ALL,
    "Of a report": fields.OF_REPORTS,
    "Of a heartbeat": fields.OF_HEARTBEATS,
    "Of a digest": fields.OF_DIGESTS,
}


@pytest.mark.parametrize(("title", "known"), PARTS.items(), ids=PARTS)
def test_every_field_in_the_order_of_the_code(title, known):
    assert named(title) == [one.name for one in known]
    assert all(one.text for one in PAGE.items(title))


def test_the_parts_are_all_the_fields():
    assert PAGE.subsections("FIELDS") == list(PARTS)
    assert tuple(one for part in PARTS.values() for one in part) == fields.FIELDS


def test_the_numbered_fields_are_those_of_the_second_list():
    lists = "\n".join(PAGE.part("Of a report")).split(".Bl ")
    numbered = re.findall(r"(?m)^\.It Va (\S+)", lists[2])
    assert numbered == [one.name for one in fields.OF_REPORTS if one.numbered]
    assert f"up to {fields.MOST_FINDINGS}," in " ".join(PAGE.part("Of a report"))


def test_the_version_and_the_limits():
    (item,) = [one for one in PAGE.items("Of every message") if one.after("Va") == ("v",)]
    assert item.text.endswith(f": {fields.VERSION}.")
    assert f"at most {LINE_LIMIT} octets" in PAGE.text


def test_every_event():
    shown = [name for one in PAGE.items("EVENTS") for name in one.after("Li")]
    assert shown == [*map(event_name, EventKind), SPOOLS_OWN]


def of_outcome(outcome, severity=Severity.ERROR):
    judged = Judged(finding=finding(severity), outcome=outcome)
    return report(judged=(judged,), outcome=outcome)


def test_every_severity_with_its_outcomes():
    shown = {one.head[1]: one.text for one in PAGE.items("SEVERITIES")}
    for outcome in Outcome:
        number = severity_of(of_outcome(outcome))
        (name,) = [name for name, value in SEVERITIES.items() if value == number]
        said = [one for one, text in shown.items() if re.search(rf"\b{outcome.value}\b", text)]
        assert said == ([name] if name != "info" else [])
    assert severity_of(of_outcome(Outcome.AUDITED, Severity.INFO)) == SEVERITIES["info"]


def test_the_names_of_severities_and_the_example_of_the_option():
    (line,) = [one for one in PAGE.marked("Li") if "emerg" in one]
    assert re.findall(r"\w+", line) == list(SEVERITIES)
    (option,) = [one for one in PAGE.marked("Li") if one.startswith('["')]
    assert severities_fault(tuple(re.findall(r'"([^"]+)"', option))) == ""


def test_the_journal():
    said = " ".join(PAGE.part("JOURNAL"))
    assert f"SYSLOG_IDENTIFIER={IDENTIFIER}" in said
    assert PREFIX in said
    known = {f"{PREFIX}{one.name.upper()}" for one in fields.FIELDS}
    assert set(re.findall(rf"{PREFIX}\w+", PAGE.literals("JOURNAL")[0])) <= known


def finding(severity=Severity.ERROR):
    return Finding(
        rule="smtpd-protocols",
        severity=severity,
        depth=Depth.DECLARED,
        parameter="smtpd_tls_protocols",
        where="main.cf:27",
        effective="TLSv1",
        wanted=">=TLSv1.2",
        why="-",
        remedy=(SetParameter(name="smtpd_tls_protocols", value=">=TLSv1.2"),),
    )


def report(**more):
    time = datetime(2026, 11, 23, 13, 40, 0, 123456, UTC)
    values = {
        "instance": "/etc/postfix",
        "event": Event(kind=EventKind.PATHS_CHANGED, instance="/etc/postfix", time=time),
        "outcome": Outcome.FIXED,
        "judged": (Judged(finding=finding(), outcome=Outcome.FIXED),),
        "plan": Plan(),
        "seconds": 0.184,
    }
    return Report(**(values | more))


def test_the_example_is_a_message():
    told = report(
        cause="main.cf changed",
        proof=("smtp/inet on 127.0.0.1:25: TLSv1.3 with TLS_AES_256_GCM_SHA384",),
    )
    header = Header(facility=16, host="mx1.example.org", process=812, enterprise=32473)
    octets = rfc5424(fields.message_of(told), header, (("spool", "5f0c11d2"), ("seq", "17")))
    (shown,) = PAGE.literals("EXAMPLES")
    assert " ".join(shown.split()) == octets.decode()
