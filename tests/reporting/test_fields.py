"""The fields of reports: table of reports, and what holds for all of them."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawn_reports
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    PackageChange,
    Plan,
    RemoveParameter,
    Report,
    SetOverride,
    SetParameter,
    Severity,
    Upgrade,
)
from postkeel.reporting.fields import (
    FIELDS,
    MARKS,
    MOST_FINDINGS,
    VOLATILE,
    lasting,
    message_of,
)

NOW = datetime(2026, 11, 23, 13, 40, tzinfo=UTC)


def judged(outcome, reason="", **more):
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
    return Judged(finding=Finding(**(values | more)), outcome=outcome, reason=reason)


def report(*findings, outcome=None, kind=EventKind.PATHS_CHANGED, **more):
    return Report(
        instance="/etc/postfix",
        event=Event(kind=kind, instance="/etc/postfix", time=NOW),
        outcome=outcome or (findings[0].outcome if findings else Outcome.CLEAN),
        judged=findings,
        plan=Plan(),
        seconds=0.0625,
        **more,
    )


def sheet(text):
    """Fields as they are written below, one a line."""
    return dict(one.split("=", 1) for one in text.split("\n") if one)


FIRST = """
v=1
event=paths-changed
instance=/etc/postfix
"""
ONE = """
seconds=0.062
findings=1
rules=smtpd-protocols
rule=smtpd-protocols
severity=error
depth=declared
parameter=smtpd_tls_protocols
where=main.cf:27
effective=TLSv1
wanted=>=TLSv1.2
"""
SHEETS = {
    "nothing wrong": (
        report(),
        FIRST + "outcome=clean\nseconds=0.062\nfindings=0",
    ),
    "fixed, proved, with its cause": (
        report(
            judged(
                Outcome.FIXED,
                remedy=(SetParameter(name="smtpd_tls_protocols", value=">=TLSv1.3"),),
            ),
            cause="main.cf changed",
            proof=("25: TLSv1.3", "465: TLSv1.3"),
        ),
        FIRST
        + ONE
        + "outcome=fixed\ncause=main.cf changed\nresult=fixed\nnow=>=TLSv1.3"
        + "\nproof=25: TLSv1.3; 465: TLSv1.3",
    ),
    "taken out": (
        report(judged(Outcome.FIXED, remedy=(RemoveParameter(name="smtpd_tls_protocols"),))),
        FIRST + ONE + "outcome=fixed\nresult=fixed\nnow=(removed)",
    ),
    "an override, failed for a reason": (
        report(
            judged(
                Outcome.FAILED,
                reason="disk full",
                service="submission/inet",
                remedy=(
                    SetOverride(service="submission/inet", name="smtpd_tls_protocols", value="x"),
                ),
            ),
            problems=("no openssl", "no doveconf"),
        ),
        FIRST
        + ONE
        + "outcome=failed\nresult=failed\nservice=submission/inet\nreason=disk full"
        + "\nproblems=no openssl; no doveconf",
    ),
    "seen in the mail log": (
        report(judged(Outcome.AUDITED, depth=Depth.OBSERVED, why="Seen 3 times: x.")),
        FIRST
        + ONE.replace("declared", "observed")
        + "outcome=audited\nresult=audited\nevidence=Seen 3 times: x.",
    ),
    "a handshake that became right": (
        report(judged(Outcome.FIXED, depth=Depth.OBSERVED)),
        FIRST + ONE.replace("declared", "observed") + "outcome=fixed\nresult=fixed\nnow=>=TLSv1.2",
    ),
    "several, the worst first, an error before a warning": (
        report(
            judged(Outcome.WAIVED, rule="d"),
            judged(Outcome.AUDITED, rule="c", severity=Severity.WARNING),
            judged(Outcome.AUDITED, rule="b"),
            judged(Outcome.REVERTED, rule="b", where="main.cf:9"),
            outcome=Outcome.REVERTED,
        ),
        FIRST
        + "outcome=reverted\nseconds=0.062\nfindings=4\nrules=b,c,d\n"
        + "\n".join(
            f"rule{number}={rule}\nresult{number}={result}\nseverity{number}={severity}"
            f"\ndepth{number}=declared\nparameter{number}=smtpd_tls_protocols"
            f"\nwhere{number}={where}\neffective{number}=TLSv1\nwanted{number}=>=TLSv1.2"
            for number, rule, result, severity, where in (
                ("", "b", "reverted", "error", "main.cf:9"),
                ("_2", "b", "audited", "error", "main.cf:27"),
                ("_3", "c", "audited", "warning", "main.cf:27"),
                ("_4", "d", "waived", "error", "main.cf:27"),
            )
        ),
    ),
    "an upgrade": (
        report(
            upgrade=Upgrade(
                packages=(
                    PackageChange(name="postfix", before="3.7.10", after="3.7.11"),
                    PackageChange(name="libssl3", before=None, after="3.0.15"),
                    PackageChange(name="exim4", before="4.96", after=None),
                ),
                command="apt-get upgrade",
            )
        ),
        FIRST
        + "outcome=clean\nseconds=0.062\nfindings=0\ncommand=apt-get upgrade\n"
        + "packages=postfix 3.7.10 -> 3.7.11, libssl3 none -> 3.0.15, exim4 4.96 -> none",
    ),
    "a heartbeat": (
        report(
            kind=EventKind.HEARTBEAT,
            told=(
                ("guarded", "yes"),
                ("every", "3600"),
                ("held", ""),
                ("every", "1"),
                ("outcome", "failed"),
                ("seq", "7"),
                ('x" y="1', "forged"),
            ),
        ),
        FIRST.replace("paths-changed", "heartbeat") + "outcome=clean\nguarded=yes\nevery=3600",
    ),
    "what strangers wrote": (
        report(judged(Outcome.AUDITED, effective='x"]\n\x1b[2J\udcff\ufeff')),
        FIRST
        + ONE.replace("effective=TLSv1\n", 'effective=x"]\\n\\x1b[2J\\xff\\ufeff\n')
        + "outcome=audited\nresult=audited",
    ),
    "what is too long": (
        report(judged(Outcome.AUDITED, effective="é" * 300)),
        FIRST
        + ONE.replace("effective=TLSv1\n", f"effective={'é' * 125}[...]\n")
        + "outcome=audited\nresult=audited\ncut=effective",
    ),
}


@pytest.mark.parametrize(("told", "text"), SHEETS.values(), ids=SHEETS)
def test_a_report_in_terms_of_fields(told, text):
    message = message_of(told)
    assert dict(message.fields) == sheet(text)
    assert len(dict(message.fields)) == len(message.fields)
    assert (message.time, message.event) == (NOW, dict(message.fields)["event"])


@pytest.mark.parametrize("character", ["x", "é", "\x1b"], ids=["short", "long", "shown"])
def test_a_value_is_whole_or_named(character):
    for length in range(1, 300):
        fields = dict(message_of(report(judged(Outcome.AUDITED, wanted=character * length))).fields)
        whole = {"\x1b": "\\x1b"}.get(character, character) * length
        fits = len(whole.encode()) <= 256
        assert ("cut" in fields) is not fits
        assert (fields["wanted"] == whole) is fits


def test_severities_are_those_that_were_chosen():
    told = report(judged(Outcome.FIXED))
    assert message_of(told).severity == 5
    assert message_of(told, {"fixed": 6}).severity == 6


def test_what_matters_most_comes_first():
    told = report(judged(Outcome.FAILED), judged(Outcome.FAILED), cause="c", problems=("p",))
    names = [name for name, _ in message_of(told).fields]
    order = ["v", "event", "instance", "outcome", "cause", "seconds", "findings", "rules", "rule"]
    assert names[: len(order)] == order
    assert names.index("wanted") < names.index("problems") < names.index("rule_2")


def test_more_findings_than_are_told_are_counted_and_their_rules_named():
    told = report(*[judged(Outcome.FAILED, rule=f"rule-{number}") for number in range(60)])
    shown = dict(message_of(told).fields)
    assert shown["findings"] == "60"
    assert shown["rules"].endswith(",rule-59")
    assert f"rule_{MOST_FINDINGS}" in shown
    assert f"rule_{MOST_FINDINGS + 1}" not in shown
    assert shown["cut"].startswith("rule_21,rule_22,")
    assert shown["cut"].endswith(",...")
    assert len(shown["cut"]) <= 96


def test_each_name_stands_once_and_says_something():
    names = [one.name for one in FIELDS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]{1,32}", name) for name in names)
    assert all(one.meaning for one in FIELDS)


def test_the_same_thing_is_known_again():
    told = report(judged(Outcome.AUDITED, depth=Depth.OBSERVED, why="Seen once"))
    again = replace(told, seconds=9.0, event=replace(told.event, time=NOW.replace(hour=15)))
    again = replace(
        again, judged=(judged(Outcome.AUDITED, depth=Depth.OBSERVED, why="Seen twice"),)
    )
    other = replace(told, judged=(judged(Outcome.AUDITED, depth=Depth.OBSERVED, wanted="x"),))
    same, repeated, different = (lasting(message_of(one).fields) for one in (told, again, other))
    assert same == repeated != different
    assert {one.name for one in MARKS} <= VOLATILE
    assert f"evidence_{MOST_FINDINGS}" in VOLATILE


texts = st.text(st.characters(), max_size=900)
NAMES = {one.name for one in FIELDS}
NUMBERED = {one.name for one in FIELDS if one.numbered}


@given(
    drawn_reports.reports(
        texts, most=4, told=st.tuples(texts | st.sampled_from(sorted(NAMES)), texts)
    )
)
def test_every_report_has_fields_that_are_described(told):
    message = message_of(told)
    seen = [name for name, _ in message.fields]
    assert len(set(seen)) == len(seen)
    for name, value in message.fields:
        base, _, number = name.rpartition("_") if name[-1].isdigit() else (name, "", "")
        assert base in (NUMBERED if number else NAMES)
        assert value
        assert value.isprintable()
        assert len(value.encode()) <= 768
    assert message.text.isprintable()
    assert message_of(told) == message
