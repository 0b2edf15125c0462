"""From findings to a plan, and from what was seen afterwards to an outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import assert_never

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
from postkeel.core.configuration import waiver_for
from postkeel.core.frozen import frozen
from postkeel.core.model import (
    Finding,
    Hold,
    Judged,
    Mode,
    Outcome,
    Severity,
    Waiver,
)

Subject = tuple[str, str | None, str]

OVERTAKEN = "something else is wanted by now: a round of its own follows"
UNDONE = "another writer keeps undoing this correction; find it, then `postkeel release`"
USELESS = "tried again and again without success; see the mail log, then `postkeel release`"


@frozen
class Policy:
    """What the administrator said about one instance, as it stands in this round.

    wait: why no reload is to be made yet; "" when nothing is under way. running: whether
    Postfix runs; else there is no reload that could do harm.
    """

    mode: Mode
    today: date
    waivers: tuple[Waiver, ...] = ()
    hold: Hold | None = None
    contested: Collection[Subject] = ()
    wait: str = ""
    running: bool = True


@frozen
class Decision:
    """Findings that stay as they are, drifts to correct, and the plan that does it."""

    settled: tuple[Judged, ...]
    drifts: tuple[Finding, ...]
    plan: Plan


def decide(findings: Iterable[Finding], policy: Policy) -> Decision:
    """Which findings to correct, and how; the same arguments give the same plan."""
    findings = tuple(findings)
    settled: list[Judged] = []
    drifts: list[Finding] = []
    changes: dict[tuple[str, str], PlannedChange] = {}
    forbidden = _forbidden(findings, policy)
    for finding in findings:
        judged = _leave(finding, policy, forbidden) or _conflict(finding, changes)
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


def _forbidden(findings: Iterable[Finding], policy: Policy) -> str:
    """Why a reload would do harm, or ""."""
    if policy.wait or not policy.running:
        return policy.wait if policy.running else ""
    for finding in findings:
        if finding.forbids_reload and not waiver_for(finding, policy.waivers, policy.today):
            return f"a reload would make {finding.file} live: {finding.effective}"
    return ""


def _leave(finding: Finding, policy: Policy, forbidden: str) -> Judged | None:
    """The finding as it stays, and why; None when it is to be corrected."""
    for outcome, reason in _reasons(finding, policy, forbidden):
        if reason:
            return Judged(finding=finding, outcome=outcome, reason=reason)
    return None


def _reasons(finding: Finding, policy: Policy, forbidden: str) -> Iterator[tuple[Outcome, str]]:
    """What may keep it from being corrected, the strongest first; "" where that is not so."""
    waiver = waiver_for(finding, policy.waivers, policy.today)
    yield (
        Outcome.WAIVED,
        f"{waiver.reason} ({waiver.owner}, until {waiver.until})" if waiver else "",
    )
    yield Outcome.AUDITED, "" if finding.remedy else "an administrator has to decide"
    yield Outcome.AUDITED, "mode is audit" if policy.mode is Mode.AUDIT else ""
    if policy.hold is not None:
        yield Outcome.HELD, policy.hold.reason or "on hold"
    if finding.subject in policy.contested:
        yield Outcome.CONTESTED, UNDONE if finding.edits else USELESS
    yield Outcome.HELD, forbidden


def _place(change: Change) -> tuple[str, str]:
    match change:
        case SetParameter(name=name) | RemoveParameter(name=name):
            return ("", name)
        case SetOverride(service=service, name=name) | RemoveOverride(service=service, name=name):
            return (service, name)
        case JoinFiles(path=path):
            return ("join", path)
        case BuildTable(table=table):
            return ("build", table)
        case Reload():
            return ("reload", "")
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

    A proof problem means that the edits were taken back: those that were edits are reverted.
    """
    left = {finding.subject: finding for finding in after}
    judged = []
    for drift in drifts:
        if proof_problem:
            outcome = Outcome.REVERTED if drift.edits else Outcome.FAILED
            judged.append(Judged(finding=drift, outcome=outcome, reason=proof_problem))
        elif drift.subject in left and left[drift.subject].wanted != drift.wanted:
            judged.append(Judged(finding=drift, outcome=Outcome.AUDITED, reason=OVERTAKEN))
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
