"""A round's report as one sentence for a log.

/etc/postfix: fixed 1: smtpd-protocols: smtpd_tls_protocols at main.cf:27
was "TLSv1", now ">=TLSv1.2"; observed: ...; cause: main.cf changed

/etc/postfix: audited 1: tls-disabled: "smtpd runs without TLS", wanted "TLS"
(smtpd_tls_chain_files): "Seen once; journald vouches for who wrote it: ..."

/etc/postfix: heartbeat: guarded, last round fixed at 2026-11-23T13:40:00+00:00,
findings 2, errors 0, alarms 1, held

/etc/postfix: digest from 2026-11-22T06:30:00+00:00 until 2026-11-23T06:30:00+00:00:
rounds 12, fixed 3; corrected: smtpd_tls_protocols 3
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from postkeel.core.model import Depth, EventKind, Finding, Judged, Outcome, Report
from postkeel.core.text import one_line
from postkeel.reporting.ranking import WORST_FIRST, worst_first, written

LIMIT = 2000
"""Octets: with its frame the line stays within the 2 KiB that every receiver should take."""

_VALUE_LIMIT = 160
"""Octets of one value: an exclusion list must not crowd out the other findings."""

_EVIDENCE_LIMITS = (320, 110, 0)
"""Octets of what an observed finding rests on: who vouches for it comes first and stays longest."""

_MOST_NAMED = 40
"""Findings; more never fit."""

_SUMMED = (
    "rounds",
    "fixed",
    "audited",
    "held",
    "contested",
    "reverted",
    "failed",
    "alarms",
    "upgrades",
)

_STRETCH = (("from", "since"), ("until", "until"))
_GUARDED = {"yes": "guarded", "no": "not guarded"}
_STANDING = (("open_findings", "findings"), ("open_errors", "errors"), ("alarms", "alarms"))

_QUIET = (Outcome.WAIVED, Outcome.CLEAN)


def sentence(report: Report) -> str:
    """What happened, where, what it was and is, how it was proved, and why: one printable line.

    Proof, problems and cause always have room: evidence that does not fit is cut,
    then findings are counted instead of named.
    """
    tail = _tail(report)
    named = worst_first(one for one in report.judged if one.outcome not in _QUIET)
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
    for outcome in WORST_FIRST[: -len(_QUIET)]:
        members = [one for one in named if one.outcome is outcome]
        if members:
            told = [one for one in named[:number] if one.outcome is outcome]
            shown = [_finding(one, evidence) for one in told]
            groups.append(_counted(outcome.value, len(members), shown))
    waived = sum(one.outcome is Outcome.WAIVED for one in report.judged)
    if waived:
        groups.append(f"waived {waived}")
    if report.told:
        groups.insert(0, _told(report.event.kind, dict(report.told)))
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
    subject = f"{finding.rule}: {_named(finding.file, f'{finding.parameter}{service} {where}')}"
    reason = f" ({judged.reason})" if judged.reason else ""
    if finding.depth is Depth.OBSERVED and judged.outcome is not Outcome.FIXED:
        about = _named(finding.file, f"{finding.parameter}{service}")
        return f"{_observed(finding, about, evidence)}{reason}"
    if judged.outcome is Outcome.FIXED:
        return f"{subject} was {_value(finding.effective)}, now {_now(finding)}{reason}"
    wanted = f", wanted {_value(finding.wanted)}"
    told = f"{subject} is {_value(finding.effective)}{wanted}{reason}"
    # Of a certificate the line and the command that helps are there.
    return f"{told}: {_value(finding.why, evidence)}" if finding.file and evidence else told


def _named(file: str, parameter: str) -> str:
    """What a finding is about: the file, where there is one, is what an administrator looks for."""
    return f"{one_line(file, _VALUE_LIMIT)} ({parameter})" if file else parameter


def _observed(finding: Finding, about: str, evidence: int) -> str:
    """What was seen is no value of the parameter; that is only what it has to do with."""
    told = f"{finding.rule}: {_value(finding.effective)}, wanted {_value(finding.wanted)} ({about})"
    return f"{told}: {_value(finding.why, evidence)}" if evidence else told


def _now(finding: Finding) -> str:
    value = written(finding)
    return "removed" if value is None else _value(value)


def _value(text: str, limit: int = _VALUE_LIMIT) -> str:
    return '"' + one_line(text, limit).replace('"', '\\"') + '"'


def _told(kind: EventKind, told: Mapping[str, str]) -> str:
    return _digest(told) if kind is EventKind.DIGEST else f"{kind.value}: {_heartbeat(told)}"


def _heartbeat(told: Mapping[str, str]) -> str:
    parts = [_GUARDED.get(told.get("guarded", ""), "state unknown")]
    if "last_outcome" in told:
        at = f" at {told['last_round']}" if "last_round" in told else ""
        parts.append(f"last round {told['last_outcome']}{at}")
    parts += [f"{word} {told[name]}" for name, word in _STANDING if name in told]
    parts += ["held"] if told.get("held") == "yes" else []
    return ", ".join(parts)


def _digest(told: Mapping[str, str]) -> str:
    since, until = (f" {word} {told[name]}" if name in told else "" for word, name in _STRETCH)
    parts = [f"{name} {told[name]}" for name in _SUMMED if told.get(name, "0") != "0"]
    corrected = f"; corrected: {told['changed']}" if told.get("changed") else ""
    return f"digest{since}{until}: {', '.join(parts) or 'nothing happened'}{corrected}"


def _tail(report: Report) -> list[str]:
    parts = (
        ("observed", report.proof),
        ("problems", report.problems),
        ("cause", (report.cause,) if report.cause else ()),
    )
    return [f"{name}: {_joined(texts)}" for name, texts in parts if texts]


def _joined(texts: Iterable[str]) -> str:
    return one_line(", ".join(texts), LIMIT // 4)
