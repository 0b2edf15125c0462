"""From findings to a plan and to outcomes: tables of who is corrected, and who is left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.changes import (
    BuildTable,
    JoinFiles,
    Reload,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
    done,
)
from postkeel.core.configuration import waiver_for
from postkeel.core.decide import (
    UNDONE,
    USELESS,
    Policy,
    compliant,
    conclude,
    contested,
    decide,
    dry,
    worst,
)
from postkeel.core.model import (
    Depth,
    Finding,
    Hold,
    Judged,
    Mode,
    Outcome,
    Severity,
    Waiver,
)

TODAY = date(2026, 11, 23)
ENFORCE = Policy(mode=Mode.ENFORCE, today=TODAY)
HOLD = Hold(instance="/etc/postfix", reason="migration", since=datetime.now(UTC))


def finding(rule="floor", parameter="smtpd_tls_protocols", service=None, **more):
    given = {
        "severity": Severity.ERROR,
        "depth": Depth.DECLARED,
        "where": "main.cf:3",
        "effective": "TLSv1",
        "wanted": ">=TLSv1.2",
        "why": "old",
        "remedy": (SetParameter(name=parameter, value=">=TLSv1.2"),),
    }
    return Finding(rule=rule, parameter=parameter, service=service, **{**given, **more})


def waiver(**more):
    given = {"rule": "floor", "reason": "old fax gateway", "owner": "ops", "until": TODAY}
    return Waiver(**{**given, **more})


def outcome(one, policy):
    decision = decide([one], policy)
    return decision.settled[0].outcome if decision.settled else None


@pytest.mark.parametrize(
    ("one", "policy", "expected"),
    [
        (finding(), ENFORCE, None),
        (finding(remedy=()), ENFORCE, Outcome.AUDITED),
        (finding(), Policy(mode=Mode.AUDIT, today=TODAY), Outcome.AUDITED),
        (finding(), Policy(mode=Mode.ENFORCE, today=TODAY, hold=HOLD), Outcome.HELD),
        (
            finding(),
            Policy(mode=Mode.ENFORCE, today=TODAY, contested=[finding().subject]),
            Outcome.CONTESTED,
        ),
        (
            finding(service="smtp/inet"),
            Policy(mode=Mode.ENFORCE, today=TODAY, contested=[finding().subject]),
            None,
        ),
        (finding(), Policy(mode=Mode.ENFORCE, today=TODAY, wait="a renewal"), Outcome.HELD),
        (finding(remedy=(Reload(),)), ENFORCE, None),
        (finding(), Policy(mode=Mode.ENFORCE, today=TODAY, waivers=(waiver(),)), Outcome.WAIVED),
        (
            finding(),
            Policy(mode=Mode.ENFORCE, today=TODAY, waivers=(waiver(),), hold=HOLD),
            Outcome.WAIVED,
        ),
    ],
)
def test_who_is_left_alone(one, policy, expected):
    decision = decide([one], policy)
    assert outcome(one, policy) == expected
    assert bool(decision.plan.changes) == (expected is None)


@pytest.mark.parametrize(
    ("more", "covered"),
    [
        ({}, True),
        ({"until": date(2026, 11, 22)}, False),
        ({"until": date(2026, 11, 24)}, True),
        ({"rule": "other"}, False),
        ({"service": "smtp/inet"}, False),
        ({"parameter": "smtpd_tls_protocols"}, True),
        ({"parameter": "smtp_tls_protocols"}, False),
    ],
)
def test_a_waiver_covers_what_it_names_until_its_day_is_over(more, covered):
    assert (waiver_for(finding(), [waiver(**more)], TODAY) is not None) == covered


def test_two_rules_may_ask_for_the_same_change_and_both_are_named():
    both = [finding("one"), finding("two")]
    plan = decide(both, ENFORCE).plan
    assert len(plan.changes) == 1
    assert plan.changes[0].rules == ("one", "two")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SetParameter(name="x", value="a"), SetParameter(name="x", value="b")),
        (SetParameter(name="x", value="a"), RemoveParameter(name="x")),
        (
            SetOverride(service="smtp/inet", name="x", value="a"),
            RemoveOverride(service="smtp/inet", name="x"),
        ),
    ],
)
def test_the_first_of_two_that_contradict_stands_and_the_other_is_failed(first, second):
    both = [finding("one", remedy=(first,)), finding("two", remedy=(second,))]
    decision = decide(both, ENFORCE)
    assert [one.change for one in decision.plan.changes] == [first]
    assert [(one.finding.rule, one.outcome) for one in decision.settled] == [
        ("two", Outcome.FAILED)
    ]


def test_a_parameter_and_its_override_are_two_places():
    both = [
        finding("one", remedy=(SetParameter(name="x", value="a"),)),
        finding("two", remedy=(SetOverride(service="smtp/inet", name="x", value="b"),)),
    ]
    assert len(decide(both, ENFORCE).plan.changes) == 2


@pytest.mark.parametrize(
    ("after", "proof_problem", "expected"),
    [
        ([], "", Outcome.FIXED),
        ([finding(effective="bogus")], "", Outcome.FAILED),
        ([finding("other")], "", Outcome.FIXED),
        ([finding(wanted="another certificate")], "", Outcome.AUDITED),
        ([], "no handshake on 127.0.0.1:25", Outcome.REVERTED),
    ],
)
def test_what_was_seen_afterwards_decides(after, proof_problem, expected):
    (judged,) = conclude([finding()], after, proof_problem)
    assert judged.outcome is expected
    assert bool(judged.reason) == (expected is not Outcome.FIXED)


def test_what_was_no_edit_is_not_taken_back():
    drift = finding(remedy=(Reload(),))
    (judged,) = conclude([drift], [], "no handshake")
    assert (judged.outcome, judged.reason) == (Outcome.FAILED, "no handshake")


def test_what_is_wrong_and_not_live_forbids_every_correction_unless_it_is_waived():
    wrong = finding("usable", remedy=(), file="/etc/ssl/mx.pem", forbids_reload=True)
    both = [finding(), wrong]
    decision = decide(both, ENFORCE)
    assert decision.plan.changes == ()
    reasons = {one.finding.rule: one.reason for one in decision.settled}
    assert reasons["floor"] == "a reload would make /etc/ssl/mx.pem live: TLSv1"
    waived = Policy(mode=Mode.ENFORCE, today=TODAY, waivers=(waiver(rule="usable"),))
    assert decide(both, waived).drifts == (finding(),)


def test_a_contest_says_who_is_to_be_looked_for():
    for remedy, expected in (((), UNDONE), ((Reload(),), USELESS)):
        one = finding(remedy=remedy or finding().remedy)
        policy = Policy(mode=Mode.ENFORCE, today=TODAY, contested=[one.subject])
        assert decide([one], policy).settled[0].reason == expected


def test_every_kind_of_change_has_a_place_of_its_own_and_its_words():
    every = (
        JoinFiles(path="/x", certificate="/c", key="/k", contents=""),
        BuildTable(table="/x"),
        Reload(),
        SetParameter(name="/x", value=""),
    )
    several = [finding(f"rule-{number}", remedy=(one,)) for number, one in enumerate(every)]
    plan = decide([*several, finding("again", remedy=(Reload(),))], ENFORCE).plan
    assert [one.change for one in plan.changes] == [*every]
    assert plan.edits == every[-1:]
    assert [done(one).partition(" ")[0] for one in every] == ["join", "make", "have", ""]


def test_a_round_that_must_not_write_audits_what_it_would_have_corrected():
    both = [finding("one"), finding("two", remedy=())]
    judged = dry(decide(both, ENFORCE))
    assert [(one.finding.rule, one.outcome, one.reason) for one in judged] == [
        ("two", Outcome.AUDITED, "an administrator has to decide"),
        ("one", Outcome.AUDITED, "not corrected in this round"),
    ]


def test_the_worst_outcome_is_the_rounds_and_information_does_not_count():
    def judged(what, severity=Severity.ERROR):
        return Judged(finding=finding(severity=severity), outcome=what)

    assert worst([]) is Outcome.CLEAN
    assert worst([judged(Outcome.FIXED), judged(Outcome.WAIVED)]) is Outcome.FIXED
    assert worst([judged(Outcome.FIXED), judged(Outcome.REVERTED)]) is Outcome.REVERTED
    assert worst([judged(Outcome.AUDITED, Severity.INFO)]) is Outcome.CLEAN


@pytest.mark.parametrize(
    ("severity", "what", "expected"),
    [
        (Severity.ERROR, Outcome.AUDITED, False),
        (Severity.ERROR, Outcome.WAIVED, True),
        (Severity.ERROR, Outcome.FIXED, True),
        (Severity.ERROR, Outcome.CONTESTED, False),
        (Severity.WARNING, Outcome.AUDITED, True),
    ],
)
def test_compliant_is_false_exactly_for_an_error_that_is_not_waived(severity, what, expected):
    assert compliant([Judged(finding=finding(severity=severity), outcome=what)]) is expected


def test_contested_from_the_limit_on():
    counts = {("a", None, "x"): 2, ("b", None, "x"): 3, ("c", None, "x"): 9}
    assert contested(counts, 3) == {("b", None, "x"), ("c", None, "x")}


changes = st.one_of(
    st.builds(SetParameter, name=st.sampled_from("xyz"), value=st.sampled_from("ab")),
    st.builds(RemoveParameter, name=st.sampled_from("xyz")),
    st.builds(
        SetOverride,
        service=st.sampled_from(["smtp/inet", "submission/inet"]),
        name=st.sampled_from("xyz"),
        value=st.sampled_from("ab"),
    ),
)
findings = st.builds(
    finding,
    rule=st.sampled_from(["one", "two", "three"]),
    parameter=st.sampled_from("xyz"),
    remedy=st.lists(changes, max_size=2).map(tuple),
)


@given(st.lists(findings, max_size=8))
def test_every_finding_is_settled_or_corrected_and_no_place_is_written_twice(some):
    decision = decide(some, ENFORCE)
    assert len(decision.settled) + len(decision.drifts) == len(some)
    assert len(dry(decision)) == len(some)
    places = [
        (getattr(one.change, "service", ""), one.change.name) for one in decision.plan.changes
    ]
    assert len(places) == len(set(places))
    assert decide(some, ENFORCE) == decision
