"""From findings to a plan, and from what was seen afterwards to an outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import assert_never

from postkeel.core.configuration import waiver_for
from postkeel.core.frozen import frozen
from postkeel.core.model import (
    Change,
    Finding,
    Hold,
    Judged,
    Mode,
    Outcome,
    Plan,
    PlannedChange,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
    Severity,
    Waiver,
)

Subject = tuple[str, str | None, str]


@frozen
class Policy:
    """What the administrator said about one instance, as it stands in this round."""

    mode: Mode
    today: date
    waivers: tuple[Waiver, ...] = ()
    hold: Hold | None = None
    contested: Collection[Subject] = ()


@frozen
class Decision:
    """Findings that stay as they are, drifts to correct, and the plan that does it."""

    settled: tuple[Judged, ...]
    drifts: tuple[Finding, ...]
    plan: Plan


def decide(findings: Iterable[Finding], policy: Policy) -> Decision:
    """Which findings to correct, and how; the same arguments give the same plan."""
    settled: list[Judged] = []
    drifts: list[Finding] = []
    changes: dict[tuple[str, str], PlannedChange] = {}
    for finding in findings:
        judged = _leave(finding, policy) or _conflict(finding, changes)
        if judged is not None:
            settled.append(judged)
            continue
        drifts.append(finding)
        for change in finding.remedy:
            planned = changes.get(_place(change))
            rules = (*planned.rules, finding.rule) if planned else (finding.rule,)
            changes[_place(change)] = PlannedChange(
                change=change, rules=tuple(dict.fromkeys(rules))
            )
    return Decision(
        settled=tuple(settled),
        drifts=tuple(drifts),
        plan=Plan(changes=tuple(changes.values())),
    )


def _leave(finding: Finding, policy: Policy) -> Judged | None:
    waiver = waiver_for(finding, policy.waivers, policy.today)
    if waiver is not None:
        reason = f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
        return Judged(finding=finding, outcome=Outcome.WAIVED, reason=reason)
    if not finding.remedy:
        return Judged(
            finding=finding, outcome=Outcome.AUDITED, reason="an administrator has to decide"
        )
    if policy.mode is Mode.AUDIT:
        return Judged(finding=finding, outcome=Outcome.AUDITED, reason="mode is audit")
    if policy.hold is not None:
        return Judged(finding=finding, outcome=Outcome.HELD, reason=policy.hold.reason)
    if finding.subject in policy.contested:
        return Judged(
            finding=finding,
            outcome=Outcome.CONTESTED,
            reason="another writer keeps undoing this correction; find it, then `postkeel release`",
        )
    return None


def _place(change: Change) -> tuple[str, str]:
    match change:
        case SetParameter(name=name) | RemoveParameter(name=name):
            return ("", name)
        case SetOverride(service=service, name=name) | RemoveOverride(service=service, name=name):
            return (service, name)
        case _:
            assert_never(change)


def _conflict(finding: Finding, changes: Mapping[tuple[str, str], PlannedChange]) -> Judged | None:
    for change in finding.remedy:
        planned = changes.get(_place(change))
        if planned is not None and planned.change != change:
            return Judged(
                finding=finding,
                outcome=Outcome.FAILED,
                reason=f"wants another value than {planned.rules[0]}, which stands first",
            )
    return None


def contested(counts: Mapping[Subject, int], limit: int) -> frozenset[Subject]:
    """The subjects that were corrected so often that somebody must be undoing it."""
    return frozenset(subject for subject, count in counts.items() if count >= limit)


def conclude(
    drifts: Iterable[Finding], after: Iterable[Finding], proof_problem: str = ""
) -> tuple[Judged, ...]:
    """What became of the corrected drifts, judged by what was found afterwards.

    A proof problem means that the correction was taken back: all are reverted.
    """
    left = {finding.subject: finding for finding in after}
    judged = []
    for drift in drifts:
        if proof_problem:
            judged.append(Judged(finding=drift, outcome=Outcome.REVERTED, reason=proof_problem))
        elif drift.subject in left:
            reason = f"still {left[drift.subject].effective!r} after the correction"
            judged.append(Judged(finding=drift, outcome=Outcome.FAILED, reason=reason))
        else:
            judged.append(Judged(finding=drift, outcome=Outcome.FIXED))
    return tuple(judged)


_ORDER = tuple(Outcome)


def worst(judged: Iterable[Judged]) -> Outcome:
    """The outcome of a round: the worst of its findings, informational ones left out."""
    outcomes = [one.outcome for one in judged if one.finding.severity is not Severity.INFO]
    return max(outcomes, key=_ORDER.index, default=Outcome.CLEAN)


def compliant(judged: Iterable[Judged]) -> bool:
    """False exactly when a finding of severity error is neither waived nor fixed."""
    return not any(
        one.finding.severity is Severity.ERROR
        and one.outcome not in (Outcome.WAIVED, Outcome.FIXED)
        for one in judged
    )


def dry(decision: Decision) -> tuple[Judged, ...]:
    """The findings of a round that must not write: nothing was corrected."""
    return (
        *decision.settled,
        *(
            Judged(finding=one, outcome=Outcome.AUDITED, reason="not corrected in this round")
            for one in decision.drifts
        ),
    )
