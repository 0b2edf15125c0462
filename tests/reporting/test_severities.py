"""How loud a report is, and what is wrong with options about it."""

from datetime import UTC, datetime

import pytest

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
from postkeel.reporting.severities import (
    FACILITIES,
    event_name,
    facility_fault,
    severities_fault,
    severities_of,
    severity_of,
)


def report(outcome, severity=None, kind=EventKind.REQUESTED, **more):
    finding = severity and Finding(
        rule="r",
        severity=severity,
        depth=Depth.DECLARED,
        parameter="p",
        where="default",
        effective="",
        wanted="",
        why="",
    )
    return Report(
        instance="/etc/postfix",
        event=Event(kind=kind, instance="/etc/postfix", time=datetime(2026, 11, 23, tzinfo=UTC)),
        outcome=outcome,
        judged=(Judged(finding=finding, outcome=outcome),) if finding else (),
        plan=Plan(),
        seconds=0.0,
        **more,
    )


BEAT = report(Outcome.CLEAN, kind=EventKind.HEARTBEAT, told=(("guarded", "yes"),))
ALONE = report(Outcome.CLEAN, kind=EventKind.HEARTBEAT, told=(("guarded", "no"),))
SEVERITIES = {
    "reverted": (report(Outcome.REVERTED), (), 3),
    "failed": (report(Outcome.FAILED), (), 3),
    "contested": (report(Outcome.CONTESTED), (), 3),
    "fixed": (report(Outcome.FIXED, Severity.ERROR), (), 5),
    "fixed with a problem": (report(Outcome.FIXED, problems=("x",)), (), 4),
    "drift that stays": (report(Outcome.AUDITED, Severity.WARNING), (), 4),
    "held": (report(Outcome.HELD, Severity.ERROR), (), 4),
    "only worth knowing": (report(Outcome.AUDITED, Severity.INFO), (), 6),
    "clean": (report(Outcome.CLEAN), (), 6),
    "waived": (report(Outcome.WAIVED, Severity.ERROR), (), 6),
    "heartbeat": (BEAT, (), 6),
    "heartbeat of a host that is not guarded": (ALONE, (), 4),
    "chosen by outcome": (report(Outcome.FIXED), ("fixed=alert", "clean=debug"), 1),
    "chosen by event, which counts first": (BEAT, ("clean=err", "heartbeat=debug"), 7),
    "another event": (report(Outcome.CLEAN), ("heartbeat=debug",), 6),
    "chosen low, and yet a warning": (ALONE, ("heartbeat=debug",), 4),
    "chosen high, and problems": (report(Outcome.FAILED, problems=("x",)), ("failed=crit",), 2),
    "chosen for what stays": (report(Outcome.AUDITED, Severity.ERROR), ("audited=notice",), 5),
}


@pytest.mark.parametrize(("told", "chosen", "severity"), SEVERITIES.values(), ids=SEVERITIES)
def test_how_loud(told, chosen, severity):
    assert severities_fault(chosen) == ""
    assert severity_of(told, severities_of(chosen)) == severity


def test_nothing_need_be_chosen():
    assert severity_of(report(Outcome.FIXED)) == 5


FAULTS = {
    "no severity": (("fixed",), "must be texts such as \"fixed=info\", not 'fixed'"),
    "no outcome": (("fixd=info",), "names 'fixd', which is no outcome or event; known are: clean,"),
    "a near one": (("fixd=info",), "did you mean fixed or failed?"),
    "an event with a blank": (("timer due=info",), "did you mean timer-due?"),
    "no such severity": (("fixed=inf",), "gives fixed 'inf'; severities are: emerg, alert,"),
    "a number": (("fixed=6",), "gives fixed '6'; severities are: "),
    "twice": (("fixed=info", "clean=info", "fixed=err"), "names 'fixed' twice"),
}


@pytest.mark.parametrize(("chosen", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_severities(chosen, fault):
    assert fault in severities_fault(chosen)


def test_facilities():
    assert facility_fault("local7") == ""
    assert facility_fault("mial").startswith("must be one of: user, mail, daemon, auth, ")
    assert (FACILITIES["mail"], FACILITIES["local0"], FACILITIES["local7"]) == (2, 16, 23)


def test_events_are_named_as_one_word():
    assert {event_name(kind) for kind in EventKind} == {
        "started",
        "paths-changed",
        "timer-due",
        "mail-log-lines",
        "probe-made",
        "messages-arrived",
        "packages-changed",
        "requested",
        "heartbeat",
        "digest",
    }
