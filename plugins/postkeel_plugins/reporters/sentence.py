"""A round's report as one sentence for a log.

/etc/postfix: fixed 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27
was "TLSv1", now ">=TLSv1.2"; observed: ...; cause: main.cf changed

/etc/postfix: audited 1: tls-disabled: "smtpd runs without TLS", wanted "TLS"
(smtpd_tls_chain_files): "Seen once; journald vouches for who wrote it: ..."
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from postkeel.contract import (
    Depth,
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

_EVIDENCE_LIMITS = (320, 110, 0)
"""Octets of what an observed finding rests on: who vouches for it comes first and stays longest."""

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

    Proof, problems and cause always have room: evidence that does not fit is cut,
    then findings are counted instead of named.
    """
    tail = _tail(report)
    named = [one for one in report.judged if one.outcome in _WORST_FIRST]
    named.sort(key=lambda one: _WORST_FIRST.index(one.outcome))
    most = min(len(named), _MOST_NAMED)
    whole = [(most, evidence) for evidence in _EVIDENCE_LIMITS]
    fewer = [(number, 0) for number in range(most - 1, -1, -1)]
    for number, evidence in (*whole, *fewer):
        head = _head(report, named, number, evidence)
        line = one_line("; ".join([head, *tail]), LIMIT * 4)
        if len(line.encode()) <= LIMIT:
            return line
    return one_line(line, LIMIT)


def _head(report: Report, named: Sequence[Judged], number: int, evidence: int) -> str:
    groups = []
    for outcome in _WORST_FIRST:
        members = [one for one in named if one.outcome is outcome]
        if members:
            told = [one for one in named[:number] if one.outcome is outcome]
            shown = [_finding(one, evidence) for one in told]
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


def _finding(judged: Judged, evidence: int) -> str:
    finding = judged.finding
    service = f" of {finding.service}" if finding.service else ""
    where = "by default" if finding.where == "default" else f"at {finding.where}"
    subject = f"{finding.rule}: {finding.parameter}{service} {where}"
    reason = f" ({judged.reason})" if judged.reason else ""
    if finding.depth is Depth.OBSERVED and judged.outcome is not Outcome.FIXED:
        return f"{_observed(finding, f'{finding.parameter}{service}', evidence)}{reason}"
    if judged.outcome is Outcome.FIXED:
        return f"{subject} was {_value(finding.effective)}, now {_now(finding)}{reason}"
    wanted = f", wanted {_value(finding.wanted)}"
    return f"{subject} is {_value(finding.effective)}{wanted}{reason}"


def _observed(finding: Finding, about: str, evidence: int) -> str:
    """What was seen is no value of the parameter; that is only what it has to do with."""
    told = f"{finding.rule}: {_value(finding.effective)}, wanted {_value(finding.wanted)} ({about})"
    return f"{told}: {_value(finding.why, evidence)}" if evidence else told


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


def _value(text: str, limit: int = _VALUE_LIMIT) -> str:
    return '"' + one_line(text, limit).replace('"', '\\"') + '"'


def _tail(report: Report) -> list[str]:
    parts = (
        ("observed", report.proof),
        ("problems", report.problems),
        ("cause", (report.cause,) if report.cause else ()),
    )
    return [f"{name}: {_joined(texts)}" for name, texts in parts if texts]


def _joined(texts: Iterable[str]) -> str:
    return one_line(", ".join(texts), LIMIT // 4)
