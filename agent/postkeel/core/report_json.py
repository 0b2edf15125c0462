"""Reports as JSON data and back: `data_to_report(report_to_data(x)) == x`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from postkeel.core.changes import (
    BuildTable,
    Change,
    JoinFiles,
    Plan,
    PlannedChange,
    Reload,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
)
from postkeel.core.model import (
    DefaultChange,
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    PackageChange,
    Report,
    Severity,
    Upgrade,
)

Data = dict[str, object]


def says_something(report: Report) -> bool:
    """Whether the report is worth keeping: a timer that found all as wanted is not."""
    asked = report.event.kind in (EventKind.STARTED, EventKind.REQUESTED)
    told = bool(report.plan.changes or report.problems or report.proof)
    told = told or (report.upgrade is not None and report.upgrade.found)
    return asked or told or report.outcome is not Outcome.CLEAN


def report_to_data(report: Report) -> Data:
    """Only texts, numbers, lists and dictionaries; keys as in the model."""
    return {
        "instance": report.instance,
        "event": _event_data(report.event),
        "outcome": report.outcome.value,
        "judged": [_judged_data(one) for one in report.judged],
        "plan": [
            {"change": _change_data(one.change), "rules": list(one.rules)}
            for one in report.plan.changes
        ],
        "seconds": report.seconds,
        "cause": report.cause,
        "problems": list(report.problems),
        "proof": list(report.proof),
        "diff": report.diff,
        "upgrade": None if report.upgrade is None else _upgrade_data(report.upgrade),
        "told": [list(one) for one in report.told],
    }


def data_to_report(data: object) -> Report:
    """The report again. ValueError for data that `report_to_data` does not make."""
    try:
        return _report(_table(data))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a report: {error}") from error


def _event_data(event: Event) -> Data:
    return {
        "kind": event.kind.value,
        "instance": event.instance,
        "time": event.time.isoformat(),
        "detail": list(event.detail),
    }


def _upgrade_data(upgrade: Upgrade) -> Data:
    return {
        "packages": [
            {"name": one.name, "before": one.before, "after": one.after} for one in upgrade.packages
        ],
        "defaults": [
            {"parameter": one.parameter, "before": one.before, "after": one.after}
            for one in upgrade.defaults
        ],
        "warnings": list(upgrade.warnings),
        "time": upgrade.time.isoformat() if upgrade.time else None,
        "command": upgrade.command,
        "requester": upgrade.requester,
    }


def finding_data(finding: Finding) -> Data:
    """A finding without its remedy."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "depth": finding.depth.value,
        "service": finding.service,
        "parameter": finding.parameter,
        "file": finding.file,
        "where": finding.where,
        "effective": finding.effective,
        "wanted": finding.wanted,
        "why": finding.why,
    }


def _judged_data(judged: Judged) -> Data:
    return {
        **finding_data(judged.finding),
        "forbids_reload": judged.finding.forbids_reload,
        "remedy": [_change_data(one) for one in judged.finding.remedy],
        "outcome": judged.outcome.value,
        "reason": judged.reason,
    }


def _change_data(change: Change) -> Data:
    kind, fields = _KINDS[type(change)]
    return {"do": kind, **{one: getattr(change, one) for one in fields}}


def _report(data: Mapping[str, object]) -> Report:
    seconds = data["seconds"]
    if not isinstance(seconds, int | float):
        raise TypeError("seconds")
    planned = [_table(one) for one in _list(data["plan"])]
    upgrade = data.get("upgrade")  # not in older reports
    return Report(
        instance=_text(data["instance"]),
        event=_event(_table(data["event"])),
        outcome=Outcome(data["outcome"]),
        judged=tuple(_judged(_table(one)) for one in _list(data["judged"])),
        plan=Plan(
            changes=tuple(
                PlannedChange(change=_change(_table(one["change"])), rules=_texts(one["rules"]))
                for one in planned
            )
        ),
        seconds=float(seconds),
        cause=_text(data["cause"]),
        problems=_texts(data["problems"]),
        proof=_texts(data["proof"]),
        diff=_text(data["diff"]),
        upgrade=None if upgrade is None else _upgrade(_table(upgrade)),
        told=tuple(_pair(one) for one in _list(data.get("told", []))),
    )


def _upgrade(data: Mapping[str, object]) -> Upgrade:
    packages = [_table(one) for one in _list(data["packages"])]
    defaults = [_table(one) for one in _list(data["defaults"])]
    time = _perhaps(data["time"])
    return Upgrade(
        packages=tuple(PackageChange(name=_text(one["name"]), **_both(one)) for one in packages),
        defaults=tuple(
            DefaultChange(parameter=_text(one["parameter"]), **_both(one)) for one in defaults
        ),
        warnings=_texts(data["warnings"]),
        time=None if time is None else datetime.fromisoformat(time),
        command=_text(data["command"]),
        requester=_text(data["requester"]),
    )


def _both(data: Mapping[str, object]) -> dict[str, str | None]:
    return {"before": _perhaps(data["before"]), "after": _perhaps(data["after"])}


def _event(data: Mapping[str, object]) -> Event:
    time = datetime.fromisoformat(_text(data["time"]))
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    return Event(
        kind=EventKind(data["kind"]),
        instance=_text(data["instance"]),
        time=time,
        detail=_texts(data["detail"]),
    )


def _judged(data: Mapping[str, object]) -> Judged:
    finding = Finding(
        rule=_text(data["rule"]),
        severity=Severity(data["severity"]),
        depth=Depth(data["depth"]),
        service=_perhaps(data["service"]),
        parameter=_text(data["parameter"]),
        where=_text(data["where"]),
        effective=_text(data["effective"]),
        wanted=_text(data["wanted"]),
        why=_text(data["why"]),
        remedy=tuple(_change(_table(one)) for one in _list(data["remedy"])),
        file=_text(data.get("file", "")),  # not in older reports
        forbids_reload=data.get("forbids_reload") is True,
    )
    return Judged(finding=finding, outcome=Outcome(data["outcome"]), reason=_text(data["reason"]))


def _change(data: Mapping[str, object]) -> Change:
    kind = data["do"]
    if not isinstance(kind, str) or kind not in _CHANGES:
        raise ValueError(f"not a change: {kind!r}")
    made, fields = _CHANGES[kind]
    change: Change = made(**{one: _text(data[one]) for one in fields})
    return change


_CHANGES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "set parameter": (SetParameter, ("name", "value")),
    "remove parameter": (RemoveParameter, ("name",)),
    "set override": (SetOverride, ("service", "name", "value")),
    "remove override": (RemoveOverride, ("service", "name")),
    "join files": (JoinFiles, ("path", "certificate", "key", "contents")),
    "build table": (BuildTable, ("table",)),
    "reload": (Reload, ()),
}
_KINDS = {made: (kind, fields) for kind, (made, fields) in _CHANGES.items()}


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("not a table")
    return value


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _perhaps(value: object) -> str | None:
    return None if value is None else _text(value)


def _pair(value: object) -> tuple[str, str]:
    name, text = _texts(value)
    return name, text


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(value))
