"""Every rule of the certificate watcher on small cases; see tests/cases/certificates.

A case is a TOML file in the folder of its rule. What is given is described in
tests/bed/certificate_cases.py, where all that is left out is right; `options` are the plugin's,
`event` the files that changed. Then the `[[finding]]`s that must come out, of this rule and of
every other, none when nothing must happen; and `again`, the seconds of each wish to look again.
"""

from pathlib import Path

import pytest
import tomli

from certificate_cases import FILE, NAME, NOW, certificates_of, served_of, tlsa_of
from postkeel.contract import (
    BuildTable,
    Event,
    EventKind,
    Finding,
    JoinFiles,
    LookAgain,
    Need,
    Reload,
    SetParameter,
)
from postkeel.core.document import Document
from postkeel.core.profile import resolve_profile
from postkeel.postfix.comparisons import COMPARISONS
from postkeel_plugins import certificate_watcher
from postkeel_plugins.certificate_watcher.rules import RULES

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests/cases/certificates").glob("*/*.toml"))
DIRECTORY = "/etc/postfix"
MAIN_CF = f"""\
smtpd_tls_chain_files = {FILE}
smtpd_tls_security_level = may
myhostname = {NAME}
"""
WHY = {one.id: one.why for one in RULES}
INPUTS = {
    *("about", "credential", "handshake", "table", "joined", "offered", "tlsa", "roots"),
    *("main_cf", "master_cf", "postfix", "profile", "options", "event", "finding", "again"),
}


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


def profile_named(name):
    documents = {
        path.stem: Document(file=str(path), text=text, data=tomli.loads(text))
        for path in (ROOT / "conf/profiles").glob("*.toml")
        for text in [path.read_text()]
    }
    return resolve_profile(name, documents, COMPARISONS)


def observed(case, make_instance):
    """What the plugin gives for a case."""
    words = {one: case[one] for one in ("master_cf", "postfix") if one in case}
    instance = make_instance(case.get("main_cf", MAIN_CF), suites=False, **words)
    facts = {"postfix": instance, "certificates": certificates_of(case)}
    facts |= {"served": served_of(case), "tlsa": tlsa_of(case)}
    if "profile" in case:
        facts["profile"] = profile_named(case["profile"])
    changed = tuple(case.get("event", ()))
    event = Event(
        kind=EventKind.PATHS_CHANGED if changed else EventKind.TIMER,
        instance=DIRECTORY,
        time=NOW,
        detail=changed,
    )
    given = {name: tuple(one) if isinstance(one, list) else one for name, one in options(case)}
    needed = {Need(kind=kind, subject=DIRECTORY): fact for kind, fact in facts.items() if fact}
    return tuple(certificate_watcher.keel_observe(event, DIRECTORY, needed, given))


def options(case):
    return case.get("options", {}).items()


def text_of(change):
    match change:
        case SetParameter(name=name, value=value):
            return f"{name} = {value}"
        case JoinFiles(path=path, certificate=certificate, key=key, contents=contents):
            return f"join {path} of {certificate} and {key}: {contents}"
        case BuildTable(table=table):
            return f"build {table}"
        case Reload():
            return "reload"


def shown(finding):
    assert finding.why.endswith(f". {WHY[finding.rule]}")
    found = {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "depth": finding.depth.value,
        "service": finding.service or "",
        "parameter": finding.parameter,
        "where": finding.where,
        "file": finding.file,
        "effective": finding.effective,
        "wanted": finding.wanted,
        "says": finding.why.removesuffix(f". {WHY[finding.rule]}"),
        "changes": [text_of(one) for one in finding.remedy],
    }
    return found | ({"forbids_reload": True} if finding.forbids_reload else {})


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_case(path, make_instance):
    case = tomli.loads(path.read_text())
    assert case.keys() <= INPUTS
    found = observed(case, make_instance)
    assert [shown(one) for one in found if isinstance(one, Finding)] == case.get("finding", [])
    assert [one.seconds for one in found if isinstance(one, LookAgain)] == case.get("again", [])


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.id)
def test_every_rule_has_cases_of_both_kinds(rule):
    cases = [tomli.loads(path.read_text()) for path in CASES if path.parent.name == rule.id]
    assert any(finding["rule"] == rule.id for case in cases for finding in case.get("finding", ()))
    assert any(
        all(finding["rule"] != rule.id for finding in case.get("finding", ())) for case in cases
    )


def test_every_folder_is_that_of_a_rule():
    folders = {path.parent.name for path in CASES}
    assert folders == {one.id for one in RULES} | {"settling"}
