"""What of a report is news, beside the one before it."""

from __future__ import annotations

from typing import Final

from postkeel.core.model import Depth, Finding, Judged, Outcome, Report

SEEN_IN_THE_LOG: Final = "seen in the mail log"
SEEN_IN_MAIL: Final = "seen in a message"
SEEN: Final = (SEEN_IN_THE_LOG, SEEN_IN_MAIL)
"""Causes of the reports of side "monitor"."""


def differs(report: Report, last: Report | None) -> bool:
    """Whether it says another thing than the last one, or, without one, anything at all."""
    before = (Outcome.CLEAN, frozenset[object](), ()) if last is None else _gist(last)
    upgraded = report.upgrade is not None and report.upgrade.found
    return upgraded or _gist(report) != before


def alarms(report: Report) -> list[Judged]:
    """What a monitor found and nobody waived."""
    return [one for one in report.judged if one.outcome is not Outcome.WAIVED]


def standing(report: Report) -> list[Judged]:
    """What is wrong after the round, and nobody waived."""
    return [one for one in report.judged if one.outcome not in (Outcome.FIXED, Outcome.WAIVED)]


def over(report: Report, last: Report | None) -> tuple[str, ...]:
    """A sentence for each alarm of the last report that does not stand any more."""
    standing = {(one.finding.subject, one.finding.effective) for one in report.judged}
    return tuple(
        f"{one.finding.rule} is over: {_seen(one.finding)}"
        for one in (alarms(last) if last else ())
        if (one.finding.subject, one.finding.effective) not in standing
    )


def _seen(finding: Finding) -> str:
    """What was seen is a sentence by itself; a setting is the value of a parameter."""
    if finding.depth is Depth.OBSERVED:
        return finding.effective
    return f'{finding.parameter} was "{finding.effective}"'


def _gist(report: Report) -> tuple[object, ...]:
    judged = frozenset(
        (one.finding.subject, one.finding.effective, one.outcome) for one in report.judged
    )
    return (report.outcome, judged, report.problems)
