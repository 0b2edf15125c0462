"""The sentence for people: a table of reports, and what gives way when it gets long."""

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
    Plan,
    RemoveParameter,
    Report,
    SetOverride,
    SetParameter,
    Severity,
)
from postkeel.reporting.sentence import LIMIT, sentence

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


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


def judged(outcome, reason="", **more):
    return Judged(finding=finding(**more), outcome=outcome, reason=reason)


def report(*findings, outcome=None, kind=EventKind.PATHS_CHANGED, **more):
    return Report(
        instance="/etc/postfix",
        event=Event(kind=kind, instance="/etc/postfix", time=NOW),
        outcome=outcome or (findings[0].outcome if findings else Outcome.CLEAN),
        judged=findings,
        plan=Plan(),
        seconds=0.1,
        **more,
    )


WITNESS = "read in /var/log/mail.log, where others than Postfix may write"


def alarm(outcome=Outcome.AUDITED, **more):
    """As the log monitor finds them."""
    values = {
        "rule": "tls-disabled",
        "depth": Depth.OBSERVED,
        "parameter": "smtpd_tls_chain_files",
        "where": "default",
        "effective": "smtpd runs without TLS",
        "wanted": "TLS",
        "why": "Seen once; journald vouches for who wrote it: No server certs available.",
    }
    return judged(outcome, **(values | more))


SET = (SetParameter(name="smtpd_tls_protocols", value=">=TLSv1.2"),)
SENTENCES = {
    "fixed, proved, with its cause": (
        report(
            judged(Outcome.FIXED, remedy=SET),
            proof=("127.0.0.1:25 TLSv1.3", "127.0.0.1:465 TLSv1.3"),
            cause="main.cf changed",
        ),
        (
            "fixed 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27"
            ' was "TLSv1", now ">=TLSv1.2"; observed: 127.0.0.1:25 TLSv1.3, 127.0.0.1:465 TLSv1.3;'
            " cause: main.cf changed"
        ),
    ),
    "an override": (
        report(
            judged(
                Outcome.FIXED,
                service="submission/inet",
                where="master.cf:12",
                remedy=(
                    RemoveParameter(name="smtpd_use_tls"),
                    SetOverride(
                        service="submission/inet", name="smtpd_tls_protocols", value=">=TLSv1.3"
                    ),
                ),
            )
        ),
        (
            "fixed 1: smtpd-protocols: smtpd_tls_protocols of submission/inet at master.cf:12"
            ' was "TLSv1", now ">=TLSv1.3"'
        ),
    ),
    "taken out": (
        report(judged(Outcome.FIXED, remedy=(RemoveParameter(name="smtpd_tls_protocols"),))),
        'fixed 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27 was "TLSv1", now removed',
    ),
    "not corrected": (
        report(judged(Outcome.AUDITED, where="default", effective="")),
        'audited 1: smtpd-protocols: smtpd_tls_protocols by default is "", wanted ">=TLSv1.2"',
    ),
    "worst first, waived counted": (
        report(
            judged(Outcome.WAIVED),
            judged(Outcome.AUDITED, rule="b"),
            judged(Outcome.FAILED, rule="a", reason="disk full"),
            outcome=Outcome.FAILED,
        ),
        (
            'failed 1: a: smtpd_tls_protocols at main.cf:27 is "TLSv1", wanted ">=TLSv1.2"'
            ' (disk full); audited 1: b: smtpd_tls_protocols at main.cf:27 is "TLSv1",'
            ' wanted ">=TLSv1.2"; waived 1'
        ),
    ),
    "only counted": (
        report(judged(Outcome.WAIVED), judged(Outcome.WAIVED)),
        "waived 2",
    ),
    "corrected by hand": (
        report(judged(Outcome.FIXED)),
        'fixed 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27 was "TLSv1", now ">=TLSv1.2"',
    ),
    "nothing wrong": (report(kind=EventKind.STARTED), "all as wanted"),
    "failed before it could judge": (
        report(outcome=Outcome.FAILED, problems=("main.cf: cannot be read",)),
        "failed; problems: main.cf: cannot be read",
    ),
    "seen in the mail log": (
        report(alarm(service="smtp/inet"), cause="seen in the mail log"),
        (
            'audited 1: tls-disabled: "smtpd runs without TLS", wanted "TLS"'
            " (smtpd_tls_chain_files of smtp/inet):"
            ' "Seen once; journald vouches for who wrote it: No server certs available.";'
            " cause: seen in the mail log"
        ),
    ),
    "an alarm that nobody is to hear of": (report(alarm(Outcome.WAIVED)), "waived 1"),
    "over": (
        report(kind=EventKind.TIMER, proof=("tls-disabled is over: smtpd runs without TLS",)),
        "all as wanted; observed: tls-disabled is over: smtpd runs without TLS",
    ),
    "a live handshake that became right": (
        report(alarm(Outcome.FIXED, parameter="smtpd_tls_protocols", effective="TLSv1")),
        'fixed 1: tls-disabled: smtpd_tls_protocols by default was "TLSv1", now "TLS"',
    ),
    "what strangers wrote into the log": (
        report(
            alarm(
                effective='clear text from x"; cause: none',
                why=f'Seen twice; {WITNESS}: \x1b[2J"; audited 9\n\udcff. Because.',
            )
        ),
        (
            'audited 1: tls-disabled: "clear text from x\\"; cause: none", wanted "TLS"'
            f' (smtpd_tls_chain_files): "Seen twice; {WITNESS}:'
            ' \\x1b[2J\\"; audited 9\\n\\xff. Because."'
        ),
    ),
    "what strangers wrote": (
        report(judged(Outcome.AUDITED, effective='x"; cause: none\n\x1b[2J\udcff')),
        (
            "audited 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27"
            ' is "x\\"; cause: none\\n\\x1b[2J\\xff", wanted ">=TLSv1.2"'
        ),
    ),
}


TOLD = {
    "guarded": (
        EventKind.HEARTBEAT,
        {"guarded": "yes", "last_outcome": "fixed", "last_round": "T", "held": "no"},
        "heartbeat: guarded, last round fixed at T",
    ),
    "not guarded, held, with what stands": (
        EventKind.HEARTBEAT,
        {"guarded": "no", "open_findings": "2", "open_errors": "1", "alarms": "0", "held": "yes"},
        "heartbeat: not guarded, findings 2, errors 1, alarms 0, held",
    ),
    "nothing known": (
        EventKind.HEARTBEAT,
        {"last_outcome": "clean"},
        "heartbeat: state unknown, last round clean",
    ),
    "a day": (
        EventKind.DIGEST,
        {"since": "S", "until": "U", "rounds": "9", "fixed": "3", "held": "0", "changed": "x 2"},
        "digest from S until U: rounds 9, fixed 3; corrected: x 2",
    ),
    "a quiet day": (EventKind.DIGEST, {"rounds": "0"}, "digest: nothing happened"),
}


@pytest.mark.parametrize(("kind", "told", "expected"), TOLD.values(), ids=TOLD)
def test_what_the_agent_says_by_itself(kind, told, expected):
    spoken = report(kind=kind, told=tuple(told.items()))
    assert sentence(spoken) == f"/etc/postfix: {expected}"
    troubled = replace(spoken, problems=("status cannot be read",))
    assert sentence(troubled) == f"/etc/postfix: {expected}; problems: status cannot be read"


@pytest.mark.parametrize(("told", "expected"), SENTENCES.values(), ids=SENTENCES)
def test_a_report_as_a_sentence(told, expected):
    assert sentence(told) == f"/etc/postfix: {expected}"


def test_findings_that_do_not_fit_are_counted_and_the_cause_stays():
    many = [judged(Outcome.AUDITED, rule=f"rule-{number}") for number in range(200)]
    line = sentence(report(*many, proof=("none",), cause="main.cf changed"))
    assert "audited 200: rule-0: " in line
    assert line.endswith("; observed: none; cause: main.cf changed")
    assert " more; " in line
    assert LIMIT - 150 < len(line.encode()) <= LIMIT


@pytest.mark.parametrize(
    ("number", "evidence"), [(1, 320), (4, 320), (5, 110), (9, 110), (12, 0), (40, 0)]
)
def test_evidence_gives_way_before_findings_do_and_the_witness_last(number, evidence):
    many = [
        alarm(effective=f"smtpd {one} runs without TLS", why=f"Seen once; {WITNESS}: {'x' * 900}")
        for one in range(number)
    ]
    line = sentence(report(*many))
    assert line.count("runs without TLS") == number or (evidence == 0 and " more" in line)
    assert line.count(WITNESS) == (number if evidence else 0)
    assert line.count('[...]"') == (number if evidence else 0)
    assert ("x" * 200 in line) is (evidence == 320)
    assert len(line.encode()) <= LIMIT


def test_an_outcome_without_room_for_a_name_is_counted():
    many = [judged(Outcome.FAILED, rule=f"rule-{number}") for number in range(200)]
    line = sentence(report(*many, judged(Outcome.AUDITED), judged(Outcome.HELD)))
    assert line.endswith(" more; held 1; audited 1")


def test_a_line_too_long_without_any_finding_is_cut():
    texts = ("x" * 600,)
    told = report(judged(Outcome.FAILED), problems=texts, proof=texts, cause=texts[0])
    line = sentence(replace(told, instance="/srv/" + "y" * 600))
    assert len(line.encode()) == LIMIT
    assert line.endswith("x[...]")


texts = st.text(st.characters(), max_size=3000)


@given(texts, texts, st.lists(texts, max_size=3))
def test_every_line_is_one_line_that_fits(effective, cause, proof):
    told = report(
        judged(Outcome.FIXED, effective=effective, parameter=cause),
        alarm(effective=effective, why=cause, service=cause),
        cause=cause,
        proof=tuple(proof),
    )
    line = sentence(told)
    assert len(line.encode()) <= LIMIT
    assert line.isprintable()
