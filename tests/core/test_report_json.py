"""Reports through JSON and back."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

import drawn_reports
from postkeel.core import changes, model
from postkeel.core.report_json import data_to_report, report_to_data, says_something


@given(drawn_reports.reports())
def test_comes_back_as_it_was(report):
    assert data_to_report(json.loads(json.dumps(report_to_data(report)))) == report


def test_a_report_from_before_there_were_upgrades_is_read():
    data = report_to_data(small())
    del data["upgrade"]
    assert data_to_report(data).upgrade is None


EVERY_CHANGE = (
    changes.SetParameter(name="a", value="1"),
    changes.RemoveParameter(name="b"),
    changes.SetOverride(service="smtp/inet", name="c", value="2"),
    changes.RemoveOverride(service="smtp/inet", name="d"),
    changes.JoinFiles(path="/e", certificate="/f", key="/g", contents="00"),
    changes.BuildTable(table="hash:/h"),
    changes.Reload(),
)


def test_a_report_with_every_kind_of_change_comes_back_as_it_was():
    found = model.Finding(
        rule="floor",
        severity=model.Severity.ERROR,
        depth=model.Depth.DECLARED,
        parameter="a",
        where="main.cf:1",
        effective="0",
        wanted="1",
        why="old",
        remedy=EVERY_CHANGE,
    )
    report = replace(
        small(),
        judged=(model.Judged(finding=found, outcome=model.Outcome.FIXED),),
        plan=changes.Plan(
            changes=tuple(
                changes.PlannedChange(change=one, rules=("floor",)) for one in EVERY_CHANGE
            )
        ),
    )
    assert data_to_report(json.loads(json.dumps(report_to_data(report)))) == report


def small(kind=model.EventKind.TIMER, outcome=model.Outcome.CLEAN, **more):
    event = model.Event(kind=kind, instance="/etc/postfix", time=datetime.now(UTC))
    return model.Report(
        instance="/etc/postfix",
        event=event,
        outcome=outcome,
        judged=(),
        plan=more.pop("plan", changes.Plan()),
        seconds=0.1,
        **more,
    )


NOTHING = model.Upgrade()
UPGRADE = model.Upgrade(packages=(model.PackageChange(name="postfix", before="1", after="2"),))


DAMAGE = {
    "text for an upgrade": lambda data: data | {"upgrade": "yes"},
    "no time": lambda data: (
        data | {"upgrade": report_to_data(small(upgrade=UPGRADE))["upgrade"] | {"time": 1}}
    ),
    "no table": lambda _: [],
    "key missing": lambda data: data.pop("cause") and data,
    "unknown outcome": lambda data: data | {"outcome": "splendid"},
    "unknown change": lambda data: (
        data | {"plan": [{"change": {"do": "burn", "name": "x"}, "rules": []}]}
    ),
    "text for a list": lambda data: data | {"proof": "yes"},
    "number for a text": lambda data: data | {"cause": 1},
    "text for a number": lambda data: data | {"seconds": "1"},
    "text for a table": lambda data: data | {"event": "started"},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_refuses_what_is_no_report(damage):
    with pytest.raises(ValueError, match=r"not a|is not a valid"):
        data_to_report(damage(report_to_data(small(cause="x"))))


CHANGE = changes.PlannedChange(change=changes.RemoveParameter(name="x"), rules=())
KEPT = {
    "a quiet timer": (small(), False),
    "a quiet change of a file": (small(model.EventKind.PATHS_CHANGED), False),
    "packages that do not matter": (small(model.EventKind.PACKAGES, upgrade=NOTHING), False),
    "packages": (small(model.EventKind.PACKAGES, upgrade=UPGRADE), True),
    "the start": (small(model.EventKind.STARTED), True),
    "asked for": (small(model.EventKind.REQUESTED), True),
    "a drift": (small(outcome=model.Outcome.AUDITED), True),
    "a change": (small(plan=changes.Plan(changes=(CHANGE,))), True),
    "an alarm that is over": (small(proof=("tls-disabled is over",)), True),
    "a fact that could not be had": (small(problems=("no Postfix",)), True),
}


@pytest.mark.parametrize(("report", "kept"), KEPT.values(), ids=KEPT)
def test_what_is_worth_keeping(report, kept):
    assert says_something(report) is kept
