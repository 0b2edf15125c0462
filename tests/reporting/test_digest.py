"""What a day's reports come to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from postkeel.reporting.digest import SUMMED, Day, alarm_key, day_of
from postkeel.reporting.fields import OF_DIGESTS, OF_HEARTBEATS, message_of

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


def finding(parameter="smtpd_tls_protocols", service=None, effective="TLSv1"):
    return Finding(
        rule="smtpd-protocols",
        severity=Severity.ERROR,
        depth=Depth.EFFECTIVE,
        parameter=parameter,
        where="main.cf:7",
        effective=effective,
        wanted=">=TLSv1.2",
        why="old",
        service=service,
    )


def report(outcome, *findings, upgrade=None):
    return Report(
        instance="/etc/postfix",
        event=Event(kind=EventKind.TIMER, instance="/etc/postfix", time=NOW),
        outcome=outcome,
        judged=tuple(Judged(finding=one, outcome=outcome) for one in findings),
        plan=Plan(),
        seconds=0.1,
        upgrade=upgrade,
    )


def told(day):
    return dict(day.told())


def test_nothing_happened():
    numbers = ["rounds", *(one.value for one in SUMMED), "alarms", "upgrades"]
    assert told(Day()) == {**dict.fromkeys(numbers, "0"), "changed": ""}


def test_rounds_are_counted_by_outcome_and_corrections_by_parameter():
    day = Day()
    upgrade = Upgrade(packages=(PackageChange(name="postfix", before="3.7.10", after="3.7.11"),))
    day.add_round(report(Outcome.FIXED, finding(), finding(service="submission/inet")))
    day.add_round(report(Outcome.FIXED, finding(), upgrade=upgrade))
    day.add_round(report(Outcome.CONTESTED, finding(), upgrade=Upgrade()))
    day.add_round(report(Outcome.CLEAN))
    known = told(day)
    assert known["rounds"] == "4"
    assert (known["fixed"], known["contested"], known["failed"]) == ("2", "1", "0")
    assert known["upgrades"] == "1"
    assert known["changed"] == "smtpd_tls_protocols (2), smtpd_tls_protocols of submission/inet (1)"


def test_an_alarm_is_raised_once_however_often_it_is_told():
    day = Day(standing=[alarm_key("smtpd-protocols", "stood before")])
    first, second = finding(effective="one"), finding(effective="two")
    before = finding(effective="stood before")
    day.add_alarms(report(Outcome.AUDITED, before, first))
    day.add_alarms(report(Outcome.AUDITED, before, first, second))
    day.add_alarms(report(Outcome.WAIVED, finding(effective="waived")))
    assert told(day)["alarms"] == "2"
    assert told(day)["rounds"] == "0"


def test_what_strangers_write_does_not_grow_without_end():
    day = Day()
    for number in range(1200):
        one = finding(parameter=f"parameter_{number:04}_{'x' * 300}", effective=f"{number} alarm")
        day.add_alarms(report(Outcome.AUDITED, one))
        day.add_round(report(Outcome.FIXED, one))
    assert told(day)["alarms"] == "1200"
    assert len(day.seen) == 1000
    assert len(day.changed) == 200
    assert len(json.dumps(day.data())) < 300_000
    assert told(day)["changed"].endswith(", and 199 more")


def test_the_most_often_changed_come_first_and_the_rest_is_a_number():
    day = Day()
    for number in range(20):
        for _ in range(number + 1):
            day.add_round(report(Outcome.FIXED, finding(parameter=f"smtpd_tls_{number}")))
    changed = told(day)["changed"]
    assert changed.startswith("smtpd_tls_19 (20), smtpd_tls_18 (19), ")
    assert changed.endswith(" more")
    named = changed.count("(")
    assert int(changed.split()[-2]) == 20 - named
    assert len(changed) <= 240


def test_a_name_that_is_no_unicode_is_counted_too():
    day = Day()
    day.add_round(report(Outcome.FIXED, finding(parameter="odd\udcff")))
    assert told(day)["changed"] == "odd\udcff (1)"


def test_each_value_is_a_field_of_the_description_and_is_sent_whole():
    day = Day()
    day.add_round(report(Outcome.FIXED, *(finding(parameter=f"a_{n:02}") for n in range(60))))
    values = (("since", NOW.isoformat()), ("until", NOW.isoformat()), *day.told())
    names = {one.name for one in (*OF_DIGESTS, *OF_HEARTBEATS)}
    assert {name for name, _ in values} <= names
    event = Event(kind=EventKind.DIGEST, instance="/etc/postfix", time=NOW)
    sent = replace(report(Outcome.CLEAN), event=event, told=values)
    fields = dict(message_of(sent).fields)
    assert fields["changed"] == told(day)["changed"]
    assert "cut" not in fields


COUNTS = st.integers(0, 10**9)
TEXTS = st.text(max_size=200)


@given(COUNTS, COUNTS, COUNTS, st.dictionaries(TEXTS, COUNTS, max_size=9), st.sets(TEXTS))
def test_sums_come_back_as_they_were(rounds, upgrades, raised, changed, seen):
    day = Day(seen)
    day.rounds, day.upgrades, day.raised = rounds, upgrades, raised
    day.changed, day.outcomes = changed, {"fixed": rounds}
    again = day_of(json.loads(json.dumps(day.data())))
    assert again.data() == day.data()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {**Day().data(), "rounds": -1},
        {**Day().data(), "rounds": True},
        {**Day().data(), "rounds": "1"},
        {**Day().data(), "seen": [1]},
        {**Day().data(), "seen": 1},
        {**Day().data(), "changed": []},
        {**Day().data(), "outcomes": {"fixed": 1.5}},
    ],
)
def test_other_data_is_refused(data):
    with pytest.raises(ValueError, match="not the sums of a day"):
        day_of(data)
