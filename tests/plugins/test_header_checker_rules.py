"""Every rule of the header checker on small cases; see tests/cases/headers.

A case is a TOML file in the folder of its rule. What is given is described in
tests/bed/probe_cases.py, where all that is left out is right. Then `outcome`, a word for each
probe, the `[[finding]]`s that must come out, of this rule and of every other, and `checks`, the
reasons of each wish that the other side look now.
"""

from pathlib import Path

import pytest
import tomli

from postkeel.contract import CheckNow, Event, EventKind, Finding, Need, Records
from postkeel_plugins import header_checker
from postkeel_plugins.header_checker.rules import RULES
from postkeel_plugins.header_checker.tables import OUTCOMES
from probe_cases import MAIN_CF, NOW, result_of

CASES = sorted((Path(__file__).parents[1] / "cases/headers").glob("*/*.toml"))
DIRECTORY = "/etc/postfix"
POSTFIX = Need(kind="postfix", subject=DIRECTORY)
STATE = Need(kind="state", subject=DIRECTORY)
WHY = {one.id: one.why for one in RULES}
INPUTS = {
    *("about", "main_cf", "master_cf", "postfix", "options", "probe", "late", "others", "left"),
    *("problem", "before", "outcome", "checks", "finding"),
}


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


def options_of(case):
    return {"probe_every": 3600, **case.get("options", {})}


def observed(case, instance, state=None):
    """What the plugin gives for a round."""
    event = Event(kind=EventKind.PROBED, instance=DIRECTORY, time=NOW, probe=result_of(case))
    facts = {POSTFIX: instance, STATE: state}
    return tuple(header_checker.keel_observe(event, DIRECTORY, facts, options_of(case)))


def records_of(found):
    return next(one for one in found if isinstance(one, Records))


def shown(finding):
    assert finding.why.endswith(f". {WHY[finding.rule]}")
    assert finding.remedy == ()
    return {
        "rule": finding.rule,
        "depth": finding.depth.value,
        "severity": finding.severity.value,
        "service": finding.service or "",
        "parameter": finding.parameter,
        "where": finding.where,
        "effective": finding.effective,
        "wanted": finding.wanted,
        "says": finding.why.removesuffix(f". {WHY[finding.rule]}"),
    }


def findings(found):
    return [shown(one) for one in found if isinstance(one, Finding)]


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_case(path, make_instance):
    case = tomli.loads(path.read_text())
    assert case.keys() <= INPUTS
    words = {one: case[one] for one in ("master_cf", "postfix") if one in case}
    instance = make_instance(MAIN_CF + case.get("main_cf", ""), suites=False, **words)
    before = None
    if "before" in case:
        before = records_of(observed({"probe": case["before"]}, instance)).state
    found = observed(case, instance, before)
    records = records_of(found)
    assert [one["outcome"] for one in records.state["probe"]["targets"]] == case["outcome"]
    expected = [{"depth": "observed", **one} for one in case.get("finding", [])]
    assert findings(found) == expected
    assert [one.reason for one in found if isinstance(one, CheckNow)] == case.get("checks", [])
    later = Event(kind=EventKind.TIMER, instance=DIRECTORY, time=NOW)
    facts = {POSTFIX: instance, STATE: records.state}
    standing = header_checker.keel_observe(later, DIRECTORY, facts, options_of(case))
    assert findings(standing) == expected, "it stands until the next probe"


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.id)
def test_every_rule_has_cases_of_both_kinds(rule):
    cases = [tomli.loads(path.read_text()) for path in CASES if path.parent.name == rule.id]
    assert any(finding["rule"] == rule.id for case in cases for finding in case.get("finding", ()))
    assert any("finding" not in case for case in cases)


def test_every_folder_is_that_of_a_rule():
    assert {path.parent.name for path in CASES} == {one.id for one in RULES}


def test_every_outcome_of_a_probe_has_a_case():
    seen = {one for path in CASES for one in tomli.loads(path.read_text())["outcome"]}
    assert seen == set(OUTCOMES) - {"late"}
