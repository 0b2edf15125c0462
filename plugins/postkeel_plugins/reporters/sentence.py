"""A round's report as one sentence for a log.

/etc/postfix: fixed 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27
was "TLSv1", now ">=TLSv1.2"; observed: ...; cause: main.cf changed
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from postkeel.contract import (
    Finding,
    Judged,
    Outcome,
    RemoveOverride,
    RemoveParameter,
    Report,
    SetOverride,
    SetParameter,
    one_line,
)

LIMIT = 2000
"""Octets: with its frame the line stays within the 2 KiB that every receiver should take."""

_VALUE_LIMIT = 160
"""Octets of one value: an exclusion list must not crowd out the other findings."""

_MOST_NAMED = 40
"""Findings; more never fit."""

_WORST_FIRST = (
    Outcome.REVERTED,
    Outcome.FAILED,
    Outcome.CONTESTED,
    Outcome.FIXED,
    Outcome.HELD,
    Outcome.AUDITED,
)


def sentence(report: Report) -> str:
    """What happened, where, what it was and is, how it was proved, and why: one printable line.

    Proof, problems and cause always have room: findings that do not fit are
    counted instead of named.
    """
    tail = _tail(report)
    named = [one for one in report.judged if one.outcome in _WORST_FIRST]
    named.sort(key=lambda one: _WORST_FIRST.index(one.outcome))
    for number in range(min(len(named), _MOST_NAMED), -1, -1):
        line = one_line("; ".join([_head(report, named, number), *tail]), LIMIT * 4)
        if len(line.encode()) <= LIMIT:
            return line
    return one_line(line, LIMIT)


def _head(report: Report, named: Sequence[Judged], number: int) -> str:
    groups = []
    for outcome in _WORST_FIRST:
        members = [one for one in named if one.outcome is outcome]
        if members:
            shown = [_finding(one) for one in named[:number] if one.outcome is outcome]
            groups.append(_counted(outcome.value, len(members), shown))
    waived = sum(one.outcome is Outcome.WAIVED for one in report.judged)
    if waived:
        groups.append(f"waived {waived}")
    return f"{report.instance}: " + ("; ".join(groups) or _without_findings(report))


def _counted(outcome: str, total: int, shown: Sequence[str]) -> str:
    if not shown:
        return f"{outcome} {total}"
    more = f", and {total - len(shown)} more" if total > len(shown) else ""
    return f"{outcome} {total}: " + ", ".join(shown) + more


def _without_findings(report: Report) -> str:
    return "all as wanted" if report.outcome is Outcome.CLEAN else report.outcome.value


def _finding(judged: Judged) -> str:
    finding = judged.finding
    service = f" of {finding.service}" if finding.service else ""
    where = "by default" if finding.where == "default" else f"at {finding.where}"
    subject = f"{finding.rule}: {finding.parameter}{service} {where}"
    reason = f" ({judged.reason})" if judged.reason else ""
    if judged.outcome is Outcome.FIXED:
        return f"{subject} was {_value(finding.effective)}, now {_now(finding)}{reason}"
    wanted = f", wanted {_value(finding.wanted)}"
    return f"{subject} is {_value(finding.effective)}{wanted}{reason}"


def _now(finding: Finding) -> str:
    """What the remedy wrote; the first change to the finding's own parameter tells."""
    for change in finding.remedy:
        if change.name != finding.parameter:
            continue
        match change:
            case SetParameter(value=value) | SetOverride(value=value):
                return _value(value)
            case RemoveParameter() | RemoveOverride():
                return "removed"
            case _:
                assert_never(change)
    return _value(finding.wanted)


def _value(text: str) -> str:
    return '"' + one_line(text, _VALUE_LIMIT).replace('"', '\\"') + '"'


def _tail(report: Report) -> list[str]:
    parts = (
        ("observed", report.proof),
        ("problems", report.problems),
        ("cause", (report.cause,) if report.cause else ()),
    )
    return [f"{name}: {_joined(texts)}" for name, texts in parts if texts]


def _joined(texts: Iterable[str]) -> str:
    return one_line(", ".join(texts), LIMIT // 4)
