"""The fleet's view: each state, doubles, gaps and clocks, of any lines that there are."""

from __future__ import annotations

import json
import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_lines import START, Sender, example, octets
from postkeel.core.changes import Plan
from postkeel.core.model import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Report,
    Severity,
)
from postkeel.reporting import fleet as reading
from postkeel.reporting import fleet_course, fleet_hosts
from postkeel.reporting.fields import OF_HEARTBEATS, message_of
from postkeel.reporting.fleet import Fleet, read_lines
from postkeel.reporting.fleet_instances import _BEAT
from postkeel.reporting.fleet_values import State


def summary_of(*lines, hours=1.0, **settings):
    """What a fleet comes to, so many hours after the start."""
    fleet = Fleet()
    fleet.begin("mx.jsonl")
    fleet.read(octets(*lines))
    return fleet.summary(START + timedelta(hours=hours), **settings)


def only(summary):
    (one,) = summary.instances
    return one


@pytest.fixture
def mx():
    return Sender("mx1.example.org")


def test_a_heartbeat_says_it_all(mx):
    found = summary_of(mx.beat())
    one = only(found)
    assert one.states == (State.COMPLIANT,)
    assert (one.host, one.instance) == ("mx1.example.org", "/etc/postfix")
    assert (one.profile, one.mode, one.every) == ("intermediate", "enforce", 3600)
    assert (one.postfix, one.postkeel) == ("3.7.11", "0.3.0")
    assert one.openssl == "OpenSSL 3.0.17 1 Jul 2025"
    assert (one.guarded, one.held, one.open_findings, one.alarms) == (True, False, 0, 0)
    assert one.heard == START.timestamp() + 0.1
    assert found.is_well
    assert found.counts[State.COMPLIANT] == 1


def test_its_fields_are_those_of_heartbeats():
    assert set(_BEAT) | {"last_round"} == {one.name for one in OF_HEARTBEATS}


def report(kind, judged, **settings):
    findings = tuple(
        Judged(
            finding=Finding(
                rule=rule,
                severity=severity,
                depth=Depth.DECLARED,
                parameter=f"parameter_{number}",
                where="main.cf:1",
                effective="x" * 300,
                wanted="y",
                why="z",
            ),
            outcome=outcome,
        )
        for number, (rule, severity, outcome) in enumerate(judged)
    )
    worst = max((one[2] for one in judged), key=list(Outcome).index, default=Outcome.CLEAN)
    return Report(
        instance="/etc/postfix",
        event=Event(kind=kind, instance="/etc/postfix", time=START),
        outcome=worst,
        judged=findings,
        plan=Plan(),
        seconds=1.0,
        **settings,
    )


def sent(message, mx, **fields):
    told = {name: text for name, text in message.fields if name != "event"}
    return mx.line(message.event, **(told | fields))


def test_what_a_real_report_came_to(mx):
    judged = [
        ("a", Severity.ERROR, Outcome.AUDITED),
        ("b", Severity.WARNING, Outcome.AUDITED),
        ("c", Severity.ERROR, Outcome.FIXED),
        ("d", Severity.ERROR, Outcome.FIXED),
        ("a", Severity.ERROR, Outcome.WAIVED),
    ]
    one = only(summary_of(sent(message_of(report(EventKind.STARTED, judged)), mx)))
    assert (one.open_findings, one.open_errors, one.corrections) == (2, 1, 2)
    assert one.rules == ("a", "b")
    assert one.states == (State.DRIFTING,)
    assert one.rounds == {"audited": 1}


def test_what_was_cut_off_came_to_what_the_last_one_told_came_to(mx):
    many = [(f"rule-{n}", Severity.ERROR, Outcome.AUDITED) for n in range(30)]
    message = message_of(report(EventKind.STARTED, many))
    one = only(summary_of(sent(message, mx)))
    assert (one.open_findings, one.open_errors) == (30, 30)
    assert one.rules == tuple(f"rule-{n}" for n in range(30))
    mixed = [("a", Severity.ERROR, Outcome.AUDITED), ("b", Severity.ERROR, Outcome.WAIVED)]
    message = message_of(report(EventKind.STARTED, mixed))
    cut = sent(message, mx, rule_2=None, result_2=None)
    assert only(summary_of(cut)).open_findings == 2  # at most: it may have been waived


def test_cut_off_corrections_are_corrections(mx):
    line = mx.drift("fixed", "a", findings="7", rules="a,b,c")
    one = only(summary_of(line))
    assert (one.corrections, one.open_findings, one.rules) == (7, 0, ())


def test_without_details_the_outcome_is_that_of_all(mx):
    one = only(summary_of(mx.round("held", findings="3", rules="a,b")))
    assert (one.open_findings, one.open_errors, one.rules) == (3, 3, ("a", "b"))


@pytest.mark.parametrize("outcome", ["audited", "held", "failed", "reverted"])
def test_open_errors_are_drift(mx, outcome):
    assert only(summary_of(mx.beat(), mx.drift(outcome, "a"))).state is State.DRIFTING


def test_warnings_are_open_and_no_drift(mx):
    one = only(summary_of(mx.drift("audited", "a", severity="warning")))
    assert (one.states, one.open_findings, one.open_errors) == ((State.COMPLIANT,), 1, 0)


@pytest.mark.parametrize("outcome", ["clean", "waived", "fixed"])
def test_what_is_settled_is_compliant(mx, outcome):
    found = summary_of(mx.drift("audited", "a"), mx.drift(outcome, "a"))
    assert only(found).states == (State.COMPLIANT,)
    assert only(found).rules == ()


def test_a_clean_round_settles_all(mx):
    one = only(summary_of(mx.drift("contested", "a"), mx.round("clean")))
    assert (one.states, one.open_findings, one.rules) == ((State.COMPLIANT,), 0, ())


def test_contested_is_the_worst(mx):
    one = only(summary_of(mx.drift("contested", "a")))
    assert one.states == (State.CONTESTED, State.DRIFTING)


def test_a_heartbeat_corrects_what_a_lost_report_would_have_said(mx):
    found = summary_of(mx.drift("audited", "a", "b"), mx.beat())
    assert only(found).states == (State.COMPLIANT,)
    found = summary_of(
        mx.drift("audited", "a", "b"),
        mx.beat(last_outcome="audited", open_findings="1", open_errors="1"),
    )
    assert (only(found).open_findings, only(found).rules) == (1, ("a", "b"))


def test_unguarded_keeps_what_is_known_of_before(mx):
    unknown = dict.fromkeys(("last_outcome", "open_findings", "open_errors", "held", "postfix"))
    one = only(summary_of(mx.beat(), mx.beat(guarded="no", **unknown)))
    assert one.states == (State.UNGUARDED,)
    assert (one.outcome, one.postfix, one.guarded) == ("clean", "3.7.11", False)


def test_who_never_said_how_it_stands_is_unknown(mx):
    digest = mx.line("digest", outcome="clean", fixed="3")
    assert only(summary_of(digest)).states == (State.UNKNOWN,)
    dropped = mx.line("dropped", instance=None, count="3")
    one = only(summary_of(dropped))
    assert (one.states, one.instance) == ((State.UNKNOWN,), "")
    assert not summary_of(digest).is_well


def test_nothing_at_all_is_not_well():
    found = summary_of()
    assert (found.instances, found.is_well, found.first, found.last) == ((), False, None, None)
    assert sum(found.counts.values()) == 0


@pytest.mark.parametrize(("hours", "silent"), [(2.49, False), (2.51, True)])
def test_silence_is_two_and_a_half_heartbeats(mx, hours, silent):
    found = summary_of(mx.beat(), hours=hours)
    assert (State.SILENT in only(found).states) is silent
    slow = Sender("mx2.example.org")
    assert only(summary_of(slow.beat(every="86400"), hours=hours)).state is State.COMPLIANT


def test_silence_may_be_chosen(mx):
    assert only(summary_of(mx.beat(), hours=1, silent_after=1800.0)).state is State.SILENT
    assert only(summary_of(mx.beat(), hours=9, silent_after=86400.0)).state is State.COMPLIANT


def test_silence_is_by_the_collector_s_clock(mx):
    mx.ahead = timedelta(hours=-40)
    assert only(summary_of(mx.beat(), hours=1)).state is State.COMPLIANT


def test_a_silent_one_is_still_what_it_was(mx):
    one = only(summary_of(mx.drift("audited", "a"), hours=48))
    assert one.states == (State.DRIFTING, State.SILENT)


def test_alarms_of_the_log_are_no_drift(mx):
    one = only(summary_of(mx.beat(), mx.alarm("peer-lost-tls", "no-tls")))
    assert one.states == (State.COMPLIANT,)
    assert (one.alarms, one.alarm_rules) == (2, ("peer-lost-tls", "no-tls"))
    assert one.rounds == {}
    lines = [
        mx.alarm("a"),
        mx.line("mail-log-lines", outcome="clean", cause="seen in the mail log"),
    ]
    assert only(summary_of(*lines)).alarms == 0
    lines = [mx.beat(), mx.drift("audited", "a", cause="seen in the mail log")]
    assert only(summary_of(*lines)).alarms == 1
    one = only(summary_of(mx.alarm("a"), mx.beat(alarms="0")))
    assert (one.alarms, one.alarm_rules) == (0, ())
    one = only(summary_of(mx.alarm("a", "b"), mx.beat(alarms="1")))
    assert (one.alarms, one.alarm_rules) == (1, ("a", "b"))


def test_what_is_seen_in_mail_does_not_end_what_is_seen_in_the_log(mx):
    in_mail = {"cause": "seen in a message"}
    both = [mx.alarm("a"), mx.drift("audited", "b", **in_mail)]
    one = only(summary_of(*both))
    assert (one.alarms, one.alarm_rules) == (2, ("a", "b"))
    one = only(summary_of(*both, mx.line("probe-made", outcome="clean", **in_mail)))
    assert (one.alarms, one.alarm_rules) == (1, ("a",))
    one = only(summary_of(*both, mx.beat(alarms="0"), mx.drift("audited", "c", **in_mail)))
    assert (one.alarms, one.alarm_rules) == (1, ("c",))


def test_reports_of_an_unknown_kind_say_what_their_outcome_says(mx):
    assert only(summary_of(mx.line("new-event", outcome="clean"))).state is State.COMPLIANT
    assert only(summary_of(mx.line("new-event"))).state is State.UNKNOWN
    assert only(summary_of(mx.line("new-event", outcome="new"))).rounds == {}


def test_old_news_is_no_news(mx):
    first, second = mx.drift("audited", "a"), mx.round("clean", hours=1)
    for lines in ((first, second), (second, first)):
        assert only(summary_of(*lines)).state is State.COMPLIANT


def test_an_old_heartbeat_and_an_old_alarm_are_no_news(mx):
    beat, alarm = mx.beat(alarms="5"), mx.alarm("a")
    latest = mx.drift("audited", "b", hours=1)
    one = only(summary_of(latest, beat, alarm))
    assert (one.alarms, one.rules, one.profile) == (0, ("b",), "")


def test_an_old_clean_round_is_no_news(mx):
    clean, latest = mx.round("clean"), mx.drift("audited", "b", hours=1)
    one = only(summary_of(latest, clean))
    assert (one.rules, one.rounds) == (("b",), {"audited": 1, "clean": 1})


def test_a_clock_set_back_does_not_stop_the_news(mx):
    lines = [mx.drift("audited", "a", hours=2)]
    mx.ahead = timedelta(hours=-12)
    lines.append(mx.round("clean", hours=3))
    assert only(summary_of(*lines, hours=3)).state is State.COMPLIANT


def test_a_folded_report_is_as_old_as_the_last_of_them(mx):
    """Its number is given when its window ends, after a correction that came later."""
    lines = [
        mx.drift("audited", "a", hours=0),
        mx.round("clean", hours=0.2),
        mx.drift("audited", "a", hours=0.1, repeated="3"),
    ]
    found = summary_of(*lines)
    assert only(found).state is State.COMPLIANT
    assert only(found).reports == found.hosts[0].reports == 5
    assert only(found).rounds == {"audited": 4, "clean": 1}
    folded = mx.drift("audited", "a", hours=0.3, repeated="2")
    assert only(summary_of(*lines, folded)).state is State.DRIFTING
    assert only(summary_of(*lines, folded, mx.round("clean", hours=0.4))).states == (
        State.COMPLIANT,
    )


def test_folded_corrections_count_as_often_as_they_say(mx):
    found = summary_of(mx.drift("fixed", "a", "b"), mx.drift("fixed", "a", "b", repeated="311"))
    assert only(found).corrections == 624
    assert sum(one.corrected for one in found.stretches) == 312


def test_doubles_are_left_out_by_host_spool_and_number(mx):
    lines = [mx.drift("fixed", "a", hours=one / 10) for one in range(5)]
    again = Sender("mx2.example.org")
    others = [again.drift("fixed", "a") for _ in range(5)]
    mx.spool, mx.seq = "ffffffff", 0
    renewed = [mx.drift("fixed", "a", hours=1) for _ in range(2)]
    found = summary_of(*lines, *lines[1:3], *others, *renewed, *renewed)
    assert found.doubles == 4
    assert [(one.name, one.reports, one.doubles) for one in found.hosts] == [
        ("mx1.example.org", 7, 4),
        ("mx2.example.org", 5, 0),
    ]
    assert sum(one.corrections for one in found.instances) == 12
    assert found.missing == 0


def test_gaps_are_named_and_told_apart(mx):
    lines = [mx.beat(one / 100) for one in range(40)]
    mx.seq = 50
    lines.append(mx.line("dropped", hours=0.5, instance=None, count="10"))
    found = summary_of(*lines[:16], *lines[25:])
    (spool,) = found.hosts[0].spools
    assert [(one.first, one.last, one.reported) for one in spool.gaps] == [
        (17, 25, 0),
        (41, 50, 10),
    ]
    assert (spool.begins, spool.ends, spool.missing, spool.unexplained) == (1, 51, 19, 9)
    assert (found.missing, found.unexplained) == (19, 9)
    assert found.hosts[0].dropped == 10
    assert not found.is_well
    assert summary_of(*lines).is_well


def test_only_so_many_gaps_are_told(mx):
    lines = []
    for hour in range(10):
        mx.seq += 1
        lines.append(mx.beat(hour / 100))
    (spool,) = summary_of(*lines, most_gaps=4).hosts[0].spools
    assert (len(spool.gaps), spool.left_off, spool.missing) == (4, 5, 9)


def test_lines_that_begin_later_have_no_gap_before(mx):
    mx.seq = 399
    found = summary_of(mx.beat(), mx.beat(0.5))
    (spool,) = found.hosts[0].spools
    assert (spool.begins, spool.missing, found.is_well) == (400, 0, True)


def test_a_spool_that_took_over_begins_with_one(mx):
    lines = [mx.beat(), mx.beat(0.1)]
    mx.spool, mx.seq = "beef0000", 2
    lines.append(mx.beat(0.2))
    for order in (lines, lines[::-1]):
        spools = summary_of(*order).hosts[0].spools
        assert [(one.spool, one.missing) for one in spools] == [("0a1b2c3d", 0), ("beef0000", 2)]


def test_spools_side_by_side_have_not_taken_over(mx):
    other = Sender("mx1.example.org", "beef0000")
    other.seq = 70
    found = summary_of(mx.beat(), other.beat(0.1), mx.beat(0.2), other.beat(0.3))
    assert found.missing == 0


def test_a_host_may_not_know_how_many_it_dropped(mx):
    found = summary_of(mx.beat(), mx.line("dropped", instance=None))
    assert (found.hosts[0].uncounted, found.hosts[0].dropped) == (1, 0)
    unnumbered = mx.line("dropped", instance=None, count="4", spool=None, seq=None)
    assert summary_of(unnumbered).hosts[0].dropped == 4


def test_reports_without_numbers_are_taken_and_counted(mx):
    line = mx.beat(spool=None, seq=None)
    found = summary_of(line, line)
    assert (found.hosts[0].unnumbered, found.hosts[0].reports) == (2, 2)
    assert found.hosts[0].spools == ()


@pytest.mark.parametrize(("ahead", "told"), [(7200, 7200), (-7200, -7200), (100, 0), (-100, 0)])
def test_clocks_that_are_far_off(mx, ahead, told):
    mx.ahead = timedelta(seconds=ahead)
    host = summary_of(mx.beat(), mx.beat(0.1)).hosts[0]
    assert host.ahead == pytest.approx(told, abs=1)


def test_what_waited_on_its_way_is_no_clock_that_is_off(mx):
    lines = [mx.line("heartbeat", hours=one / 10, late=86400.0 - one * 360) for one in range(5)]
    lines.append(mx.beat(24))
    assert summary_of(*lines).hosts[0].ahead == 0.0
    waiting = [mx.line("started", late=5000.0, repeated="2"), mx.beat(24)]
    assert summary_of(*waiting).hosts[0].ahead == 0.0


def test_as_of_a_moment_later_lines_do_not_count(mx):
    lines = [mx.beat(), mx.drift("audited", "a", hours=2)]
    fleet = Fleet(until=(START + timedelta(hours=1)).timestamp())
    fleet.read(octets(*lines))
    found = fleet.summary(START + timedelta(hours=1))
    assert (found.lines, found.later, only(found).state) == (2, 1, State.COMPLIANT)


def test_instances_of_a_host_are_told_apart_and_the_worst_comes_first():
    one, two = Sender("mx"), Sender("mx", instance="/etc/postfix-out")
    two.seq = 1
    found = summary_of(one.beat(), two.drift("failed", "a"))
    assert [(each.instance, each.state) for each in found.instances] == [
        ("/etc/postfix-out", State.DRIFTING),
        ("/etc/postfix", State.COMPLIANT),
    ]
    assert [each.instance for each in found.hosts[0].instances] == [
        "/etc/postfix-out",
        "/etc/postfix",
    ]


def test_reports_over_time(mx):
    found = summary_of(
        mx.drift("fixed", "a", hours=0.5),
        mx.drift("audited", "a", hours=0.6),
        mx.drift("fixed", "a", hours=3.5),
        mx.alarm("b", hours=3.6),
        mx.alarm(hours=3.7),
        mx.beat(4),
    )
    begin = int(START.timestamp())
    shown = [
        (one.begin - begin, one.corrected, one.left_open, one.alarms) for one in found.stretches
    ]
    assert shown == [(0, 1, 1, 0), (3 * 3600, 1, 0, 2)]


def test_a_time_that_cannot_be_is_that_of_arrival(mx):
    mx.ahead = timedelta(days=400)
    (stretch,) = summary_of(mx.drift("fixed", "a")).stretches
    assert stretch.begin == START.timestamp()


def test_many_hours_become_days_and_weeks(monkeypatch):
    monkeypatch.setattr(fleet_course, "_MOST", 10)
    course = fleet_course.Course()
    for day in range(40):
        for hour in range(3):
            moment = START.timestamp() + day * 86400 + hour * 3600
            course.add(fleet_course.CORRECTED, moment, moment, 2)
    assert course.width > 86400
    assert len(course.stretches()) <= 10
    assert sum(one.corrected for one in course.stretches()) == 240


def line_with(**changes):
    made = Sender("mx").beat()
    fields = changes.pop("fields", {})
    if isinstance(fields, dict):
        fields = made["fields"] | fields
    return json.dumps(made | {"fields": fields} | changes).encode()


FAULTY = {
    "no JSON": b"Nov 23 10:00:00 mx postkeel[7]: corrected",
    "cut off": line_with()[:100],
    "a list": b"[]",
    "a number": b"17",
    "two values": line_with() + b" " + line_with(),
    "no key": b"{}",
    "host is a number": line_with(host=5),
    "host is a list": line_with(host=["mx"]),
    "host is empty": line_with(host=""),
    "host is long": line_with(host="x" * 256),
    "fields is a list": line_with(fields=[]),
    "fields is a text": line_with(fields="spool"),
    "event is a number": line_with(event=4),
    "time is a number": line_with(time=4),
    "time is none": line_with(time="yesterday"),
    "time has no zone": line_with(time="2026-11-22T00:00:00"),
    "time is before time": line_with(time="1969-12-31T23:00:00+00:00"),
    "time is after time": line_with(received="9999-12-31T23:59:59-12:00"),
    "received is null": line_with(received=None),
    "seq is a number": line_with(fields={"seq": 1}),
    "seq is zero": line_with(fields={"seq": "0"}),
    "seq is below": line_with(fields={"seq": "-1"}),
    "seq is huge": line_with(fields={"seq": "9" * 30}),
    "seq is a power": line_with(fields={"seq": "²"}),
    "spool is a list": line_with(fields={"spool": []}),
    "spool is long": line_with(fields={"spool": "x" * 65}),
    "NaN": line_with(severity=float("nan")),
    "Infinity": line_with(severity=float("inf")),
    "a number of many digits": line_with()[:-1] + b', "x": ' + b"9" * 5000 + b"}",
    "deep": b"[" * 10_000,
    "deep within": b'{"host": ' + b'{"a":' * 2000,
    "long": line_with(text="x" * 20_000),
    "very long": line_with(text="x" * 10_000_000),
    "no text": b"\x00\xff\xfe",
}


@pytest.mark.parametrize("line", FAULTY.values(), ids=FAULTY)
def test_a_line_that_is_no_report_is_counted_and_the_first_named(mx, line):
    fleet = Fleet()
    fleet.begin("mx.jsonl")
    text = octets(mx.beat()) + b"\n" + line + b"\n" + line + b"\n" + octets(mx.beat())
    read_lines((text[at : at + 65536] for at in range(0, len(text), 65536)), fleet)
    found = fleet.summary(START)
    assert (found.lines, found.faulty, found.hosts[0].reports) == (4, 2, 2)
    assert found.first_fault.startswith("line 3 of mx.jsonl: ")
    assert found.first_fault.isprintable()
    assert len(found.first_fault.encode()) <= 300


def test_a_fault_of_no_file_has_no_place():
    fleet = Fleet()
    fleet.add(b"x\n")
    assert fleet.summary(START).first_fault == "x"


STRANGE = {
    "texts that are none": dict.fromkeys(
        ("outcome", "postkeel", "open_errors", "rules", "rule", "every", "guarded", "mode"), 5
    ),
    "numbers that are none": dict.fromkeys(
        ("open_errors", "open_findings", "alarms", "every", "repeated", "findings"), "many"
    ),
    "large numbers": dict.fromkeys(
        ("open_errors", "open_findings", "alarms", "every", "repeated", "findings"), "9999999999"
    ),
    "long texts": dict.fromkeys(("outcome", "profile", "postfix", "openssl"), "x" * 1500),
    "null": dict.fromkeys(("outcome", "repeated", "instance")),
    "nested": {key: [{"a": [1]}] for key in ("outcome", "rules", "instance", "cause")},
}


@pytest.mark.parametrize("event", ["heartbeat", "started", "mail-log-lines", "dropped", "\x1b"])
@pytest.mark.parametrize("fields", STRANGE.values(), ids=STRANGE)
def test_strange_values_are_taken_for_nothing(event, fields):
    fleet = Fleet()
    fleet.add(line_with(event=event, fields=fields))
    found = fleet.summary(START)
    assert (found.lines, found.faulty) == (1, 0)
    one = only(found)
    assert all(len(text) <= 200 for text in (one.profile, one.postfix, one.outcome, *one.rules))
    assert one.open_errors <= 10**9


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(("host", "time", "received", "event", "fields")), json_values)
)
def test_no_line_of_json_raises(data):
    fleet = Fleet()
    fleet.add(json.dumps(data).encode())
    fleet.summary(START)
    assert fleet.lines == 1


@given(
    st.dictionaries(
        st.sampled_from(("spool", "seq", "outcome", "rules", "rule", "instance", "repeated")),
        json_values,
    )
)
def test_no_fields_raise(fields):
    fleet = Fleet()
    fleet.add(line_with(fields=fields))
    fleet.summary(START)
    assert fleet.lines == 1


@given(st.binary(max_size=200))
def test_no_octets_raise(text):
    fleet = Fleet()
    fleet.read(text)
    fleet.summary(START)


@given(st.lists(st.integers(1, 400), max_size=20))
def test_it_makes_no_difference_where_lines_are_cut(cuts):
    text = octets(*list(example())[:40]) + b'{"no": "report"}'
    whole, cut = Fleet(), Fleet()
    read_lines([text], whole)
    chunks, at = [], 0
    for one in cuts:
        chunks.append(text[at : at + one])
        at += one
    read_lines([*chunks, text[at:]], cut)
    assert cut.summary(START) == whole.summary(START)


def test_the_order_of_files_makes_no_difference():
    lines = list(example())
    shuffled = lines[:]
    random.Random(5).shuffle(shuffled)  # noqa: S311
    now = {"hours": 24.0}
    ordered, mixed = summary_of(*lines, **now), summary_of(*shuffled, **now)
    assert mixed.counts == ordered.counts
    assert (mixed.doubles, mixed.missing, mixed.stretches) == (0, 18, ordered.stretches)
    assert [one.rules for one in mixed.instances] == [one.rules for one in ordered.instances]


def test_the_example_is_what_it_says():
    found = summary_of(*example(), hours=24)
    assert {state.value: count for state, count in found.counts.items() if count} == {
        "contested": 1,
        "drifting": 1,
        "silent": 1,
        "unguarded": 1,
        "compliant": 26,
    }
    assert (found.missing, found.unexplained) == (18, 6)


@pytest.mark.parametrize(
    ("module", "limit"),
    [(reading, "MOST_HOSTS"), (reading, "MOST_INSTANCES"), (fleet_hosts, "_MOST_INSTANCES")],
)
def test_more_than_is_kept_is_counted(monkeypatch, module, limit):
    monkeypatch.setattr(module, limit, 2)
    hosts = [Sender(f"mx{one}", instance=f"/etc/postfix-{one}") for one in range(5)]
    if limit == "_MOST_INSTANCES":
        for number, one in enumerate(hosts):
            one.host, one.seq = "mx", number
    lines = [one.beat() for one in hosts]
    found = summary_of(*lines)
    assert found.crowded == 3
    assert not found.is_well
    assert {one.state for one in found.instances if one.instance} == {State.COMPLIANT}


@pytest.mark.parametrize(
    ("module", "limit"), [(reading, "MOST_SPOOLS"), (fleet_hosts, "_MOST_SPOOLS")]
)
def test_more_spools_than_are_kept_are_not_checked(monkeypatch, module, limit):
    monkeypatch.setattr(module, limit, 2)
    lines = [Sender("mx", f"{one:08x}").beat() for one in range(5)]
    found = summary_of(*lines)
    assert (found.hosts[0].untold, found.hosts[0].reports, found.is_well) == (3, 5, False)


def test_memory_grows_with_hosts_and_not_with_lines():
    fleet = Fleet()
    senders = [Sender(f"mx{one}") for one in range(10)]
    fleet.read(octets(*(one.drift("fixed", "a", hours=0.1) for one in senders for _ in range(100))))
    tracemalloc.start()
    for _ in range(10):
        fleet.read(octets(*(one.drift("fixed", "a") for one in senders for _ in range(100))))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fleet.lines == 11_000
    assert grown < 50_000


def test_a_flood_of_names_stays_within_bounds():
    fleet = Fleet()
    for part in range(6):
        lines = (
            Sender(f"mx{one}", f"{one:08x}", instance=f"/x{one}" * 20).beat(profile="p" * 1000)
            for one in range(part * 2000, part * 2000 + 2000)
        )
        fleet.read(octets(*lines))
    found = fleet.summary(datetime(2026, 11, 22, tzinfo=UTC))
    assert (len(found.hosts), found.crowded) == (10_000, 2000)
