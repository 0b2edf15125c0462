"""Every rule of every shipped profile on small cases; see tests/cases/rules.

A case is a TOML file in the folder of its rule: `main_cf`, `master_cf` (a
default with MX, submission, submissions and clients when left out), `profile`
(intermediate), `postfix` (3.7.11, Debian 12's; tests/cases/releases has the
defaults), and the `[[finding]]`s of this rule that must come out, none when
nothing must happen. Suites are those of this host's OpenSSL.
"""

from pathlib import Path

import pytest
import tomli

from postkeel.contract import (
    Profile,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
)
from postkeel.core.document import Document
from postkeel.core.profile import resolve_profile
from postkeel.postfix.comparisons import COMPARISONS
from postkeel_plugins.config_enforcer.judging import judge
from postkeel_plugins.config_enforcer.remedies import applied

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests/cases/rules").glob("*/*.toml"))
DOCUMENTS = {
    path.stem: Document(file=str(path), text=path.read_text(), data=tomli.loads(path.read_text()))
    for path in (ROOT / "conf/profiles").glob("*.toml")
}
PROFILES: dict[str, Profile] = {
    name: resolve_profile(name, DOCUMENTS, COMPARISONS) for name in DOCUMENTS
}


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


def text_of(change):
    match change:
        case SetParameter(name=name, value=value):
            return f"main.cf: {name} = {value}"
        case RemoveParameter(name=name):
            return f"main.cf: - {name}"
        case SetOverride(service=service, name=name, value=value):
            return f"{service}: {name} = {value}"
        case RemoveOverride(service=service, name=name):
            return f"{service}: - {name}"


def shown(finding):
    return {
        "severity": finding.severity.value,
        "depth": finding.depth.value,
        "service": finding.service or "",
        "parameter": finding.parameter,
        "where": finding.where,
        "effective": finding.effective,
        "wanted": finding.wanted,
        "says": finding.why.split(". ")[0],
        "changes": [text_of(one) for one in finding.remedy],
    }


def read(path):
    case = tomli.loads(path.read_text())
    expected = case.pop("finding", [])
    profile = PROFILES[case.pop("profile", "intermediate")]
    case.pop("about", None)
    return case, profile, expected


def findings(rule, profile, instance):
    return [one for one in judge(instance, profile) if one.rule == rule]


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_case(path, make_instance):
    case, profile, expected = read(path)
    found = findings(path.parent.name, profile, make_instance(**case))
    assert [shown(one) for one in found] == expected


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_a_remedy_ends_its_finding_and_brings_no_new_one(path, make_instance):
    case, profile, _ = read(path)
    before = make_instance(**case)
    found = findings(path.parent.name, profile, before)
    after = applied(before, [change for one in found for change in one.remedy])
    left = {one.subject for one in findings(path.parent.name, profile, after)}
    assert left <= {one.subject for one in found if not one.remedy}


@pytest.mark.parametrize(
    ("profile", "rule"),
    [
        (name, rule)
        for name, document in sorted(DOCUMENTS.items())
        for rule in document.data.get("rule", {})
    ],
)
def test_each_rule_has_a_case_with_findings_and_one_without(profile, rule):
    with_findings = set()
    for path in (ROOT / "tests/cases/rules" / rule).glob("*.toml"):
        case = tomli.loads(path.read_text())
        if case.get("profile", "intermediate") == profile:
            with_findings.add(bool(case.get("finding")))
    assert with_findings == {True, False}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_each_reference_and_reason_says_something(profile):
    for rule in PROFILES[profile].rules:
        assert len(rule.why) > 40, rule.id
        assert all(len(one) > 6 for one in rule.references), rule.id
