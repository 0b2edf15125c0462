"""What comes first in a report, and what a correction wrote."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from postkeel.core.changes import (
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
)
from postkeel.core.model import (
    Finding,
    Judged,
    Outcome,
    Severity,
)

WORST_FIRST = (
    Outcome.REVERTED,
    Outcome.FAILED,
    Outcome.CONTESTED,
    Outcome.FIXED,
    Outcome.HELD,
    Outcome.AUDITED,
    Outcome.WAIVED,
    Outcome.CLEAN,
)

_RANKS = {outcome: number for number, outcome in enumerate(WORST_FIRST)}
_SEVERITIES = {severity: number for number, severity in enumerate(Severity)}


def worst_first(judged: Iterable[Judged]) -> list[Judged]:
    """By outcome, then by severity; equals stay in their order."""
    return sorted(judged, key=lambda one: (_RANKS[one.outcome], _SEVERITIES[one.finding.severity]))


def written(finding: Finding) -> str | None:
    """What the remedy gives the finding's own parameter; None when it takes it out."""
    for change in finding.edits:
        if change.name != finding.parameter:
            continue
        match change:
            case SetParameter(value=value) | SetOverride(value=value):
                return value
            case RemoveParameter() | RemoveOverride():
                return None
            case _:
                assert_never(change)
    return finding.wanted
