"""What the reports of a stretch of time came to, for the daily digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from postkeel.core.model import Judged, Outcome, Report

SUMMED = (
    Outcome.FIXED,
    Outcome.AUDITED,
    Outcome.HELD,
    Outcome.CONTESTED,
    Outcome.REVERTED,
    Outcome.FAILED,
)
"""The outcomes whose rounds a digest counts."""

_MOST_SEEN = 1000
_MOST_CHANGED = 200
_LONGEST_KEY = 200
_CHANGED_ROOM = 240
"""Octets: one value of a report has 256."""


class Day:
    """Sums of one instance's reports.

    standing: alarms that stood already, by `alarm_key`, so that they are not counted as
    raised when they are reported once more. Bounded, whatever strangers write into a log.
    """

    __slots__ = ("changed", "outcomes", "raised", "rounds", "seen", "upgrades")

    def __init__(self, standing: Iterable[str] = ()) -> None:
        self.rounds = 0
        self.outcomes: dict[str, int] = {}
        self.upgrades = 0
        self.raised = 0
        self.changed: dict[str, int] = {}
        self.seen = set(list(standing)[:_MOST_SEEN])

    def add_round(self, report: Report) -> None:
        """A report of the side that corrects."""
        self.rounds += 1
        name = report.outcome.value
        self.outcomes[name] = self.outcomes.get(name, 0) + 1
        self.upgrades += report.upgrade is not None and report.upgrade.found
        for one in report.judged:
            if one.outcome is Outcome.FIXED:
                self._add_change(one)

    def add_alarms(self, report: Report) -> None:
        """A report of the log's monitors: all that stands, of which some is new."""
        for one in report.judged:
            key = alarm_key(one.finding.rule, one.finding.effective)
            if one.outcome is not Outcome.WAIVED and key not in self.seen:
                self.raised += 1
                if len(self.seen) < _MOST_SEEN:
                    self.seen.add(key)

    def told(self) -> tuple[tuple[str, str], ...]:
        """The named values of a digest, but for the times."""
        counts = [(one.value, self.outcomes.get(one.value, 0)) for one in SUMMED]
        named = [("rounds", self.rounds), *counts]
        named += [("alarms", self.raised), ("upgrades", self.upgrades)]
        return (*((name, str(number)) for name, number in named), ("changed", self._most_often()))

    def data(self) -> dict[str, object]:
        """Of JSON's types; `day_of` reads it back."""
        return {
            "rounds": self.rounds,
            "outcomes": self.outcomes,
            "upgrades": self.upgrades,
            "raised": self.raised,
            "changed": self.changed,
            "seen": sorted(self.seen),
        }

    def _add_change(self, judged: Judged) -> None:
        finding = judged.finding
        service = f" of {finding.service}" if finding.service else ""
        key = f"{finding.file or finding.parameter}{service}"[:_LONGEST_KEY]
        if key in self.changed or len(self.changed) < _MOST_CHANGED:
            self.changed[key] = self.changed.get(key, 0) + 1

    def _most_often(self) -> str:
        """ "smtpd_tls_protocols (3), smtp_tls_ciphers (1), and 2 more"; what fits."""
        ordered = sorted(self.changed.items(), key=lambda one: (-one[1], one[0]))
        shown = [f"{name} ({count})" for name, count in ordered]
        fitting = len(shown)
        while len(_listed(shown, fitting).encode(errors="replace")) > _CHANGED_ROOM:
            fitting -= 1
        return _listed(shown, fitting)


def _listed(shown: Sequence[str], number: int) -> str:
    """The first so many, and how many more there are."""
    more = len(shown) - number
    return ", ".join([*shown[:number], *([f"and {more} more"] if more else [])])


def alarm_key(rule: str, effective: str) -> str:
    """By what an alarm is known again."""
    return f"{rule}: {effective}"[:_LONGEST_KEY]


def day_of(data: object) -> Day:
    """The sums again. ValueError for data that `Day.data` does not make."""
    try:
        return _day(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the sums of a day: {error}") from error


def _day(data: Any) -> Day:
    day = Day(_text(one) for one in data["seen"])
    day.rounds, day.upgrades = _count(data["rounds"]), _count(data["upgrades"])
    day.raised = _count(data["raised"])
    day.outcomes = _counts(data["outcomes"])
    day.changed = _counts(data["changed"])
    return day


def _counts(data: Mapping[Any, Any]) -> dict[str, int]:
    found = {_text(name): _count(number) for name, number in data.items()}
    return dict(list(found.items())[:_MOST_CHANGED])


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("not a count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value[:_LONGEST_KEY]
