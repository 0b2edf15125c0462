"""What is kept of each instance while its reports are read: what it last said, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from postkeel.core.model import Outcome
from postkeel.reporting.fleet_values import InstanceSummary, State

Told = Callable[[str], object]
"""Gives the text of a field, or None; of a hostile report anything that JSON has."""

OPEN: Final = frozenset(
    one.value
    for one in (
        Outcome.AUDITED,
        Outcome.HELD,
        Outcome.CONTESTED,
        Outcome.REVERTED,
        Outcome.FAILED,
    )
)
"""Outcomes that leave a finding standing."""

SILENT_AFTER: Final = 2.5
"""Heartbeats that may be missed."""
USUAL_HEARTBEAT: Final = 3600
_MOST_RULES: Final = 50
_MOST_FINDINGS: Final = 20
_LONGEST: Final = 200
_LARGEST: Final = 10**9
_DIGITS: Final = 10
_CLEAN: Final = Outcome.CLEAN.value
_FIXED: Final = Outcome.FIXED.value
_OUTCOMES: Final = frozenset(one.value for one in Outcome)
_SUFFIXES: Final = ("", *(f"_{number}" for number in range(2, _MOST_FINDINGS + 1)))
_BEAT: Final = (
    *("postkeel", "guarded", "last_outcome", "open_findings", "open_errors", "alarms"),
    *("held", "mode", "profile", "postfix", "openssl", "every"),
)


def text_of(value: object) -> str:
    """A field's text, cut; "" for what is none."""
    return value[:_LONGEST] if isinstance(value, str) else ""


def number_of(value: object) -> int | None:
    """A field's number, None for what is none or out of all reason."""
    if not isinstance(value, str) or len(value) > _DIGITS or not value.isdecimal():
        return None
    return min(int(value), _LARGEST)


class Instance:
    """What one instance last said, and how often it said what."""

    __slots__ = (
        *("_alarms", "_beat", "_host", "_name", "_number", "_spool", "_when", "alarm_rules"),
        *("alarms", "corrections", "heard", "open_errors", "open_findings", "outcome"),
        *("reports", "rounds", "rules"),
    )

    def __init__(self, host: str, name: str) -> None:
        self._host = host
        self._name = name
        self._beat: tuple[object, ...] = (None,) * len(_BEAT)
        self._spool: object = None
        self._number = 0
        self._when = 0.0
        self.heard = 0.0
        self.reports = 0
        self.corrections = 0
        self.rounds: dict[str, int] = {}
        self.outcome = ""
        self.open_findings = self.open_errors = self.alarms = 0
        self.rules: tuple[str, ...] = ()
        self.alarm_rules: tuple[str, ...] = ()
        self._alarms: dict[str, tuple[int, tuple[str, ...]]] = {}

    def is_news(self, when: float, spool: object, number: int, *, folded: bool) -> bool:
        """Whether this report is later than what is known; if so it is taken for what is.

        A spool's numbers tell the order even when a clock was set back. What folded reports
        say was so when the last of them was made, and not when their number was given.
        """
        if not folded and number and spool == self._spool:
            news = number > self._number
        else:
            news = when >= self._when
        if news:
            self._when = when
            if not folded:
                self._spool, self._number = spool, number
        return news

    def beat(self, told: Told) -> None:
        """A heartbeat that is news."""
        beat = tuple(map(told, _BEAT))
        if None in beat:  # nobody knows all of it where the side that corrects does not run
            known = zip(beat, self._beat, strict=True)
            beat = tuple(before if value is None else value for value, before in known)
        self._beat = beat
        self.outcome = text_of(told("last_outcome")) or self.outcome
        findings, errors = number_of(told("open_findings")), number_of(told("open_errors"))
        if findings is not None:
            self.open_findings = findings
            self.rules = self.rules if findings else ()
        if errors is not None:
            self.open_errors = errors
        alarms = number_of(told("alarms"))
        if alarms is not None:
            self.alarms = alarms
            if not alarms:
                self.alarm_rules = ()
                self._alarms.clear()

    def round(self, told: Told, outcome: str, times: int, *, is_news: bool) -> None:
        """A round of the side that corrects."""
        if outcome in _OUTCOMES:
            self.rounds[outcome] = self.rounds.get(outcome, 0) + times
        if outcome == _CLEAN:
            if is_news:
                self.outcome, self.rules = outcome, ()
                self.open_findings = self.open_errors = 0
            return
        judged = _Judged(told, outcome)
        self.corrections += judged.fixed * times
        if is_news:
            self.outcome, self.rules = outcome, judged.rules
            self.open_findings, self.open_errors = judged.open, judged.errors

    def seen(self, told: Told, outcome: str, where: str, *, is_news: bool) -> None:
        """A round of the side that listens: its findings are the alarms that stand there.

        where: of `core.news.SEEN`.
        """
        if is_news:
            judged = _Judged(told, outcome)
            self._alarms[where] = judged.open, judged.rules
            self.alarms = sum(number for number, _ in self._alarms.values())
            rules = (rule for _, rules in self._alarms.values() for rule in rules)
            self.alarm_rules = tuple(dict.fromkeys(rules))

    def summary(self, at: float, silent_after: float | None) -> InstanceSummary:
        beat = zip(_BEAT, self._beat, strict=True)
        told = {name: text_of(value) for name, value in beat if value is not None}.get
        every = number_of(told("every")) or 0
        patience = silent_after or SILENT_AFTER * (every or USUAL_HEARTBEAT)
        guarded, held = told("guarded"), told("held")
        silent = at - self.heard > patience
        return InstanceSummary(
            host=self._host,
            instance=self._name,
            states=self._states(silent=silent, unguarded=guarded == "no"),
            heard=self.heard,
            every=every,
            guarded=None if guarded is None else guarded == "yes",
            held=None if held is None else held == "yes",
            outcome=self.outcome,
            profile=told("profile", ""),
            mode=told("mode", ""),
            postfix=told("postfix", ""),
            openssl=told("openssl", ""),
            postkeel=told("postkeel", ""),
            open_findings=self.open_findings,
            open_errors=self.open_errors,
            rules=self.rules,
            alarms=self.alarms,
            alarm_rules=self.alarm_rules,
            reports=self.reports,
            corrections=self.corrections,
            rounds=dict(sorted(self.rounds.items())),
        )

    def _states(self, *, silent: bool, unguarded: bool) -> tuple[State, ...]:
        holds = {
            State.CONTESTED: self.outcome == Outcome.CONTESTED.value,
            State.DRIFTING: self.open_errors > 0,
            State.SILENT: silent,
            State.UNGUARDED: unguarded,
            State.UNKNOWN: not self.outcome,
        }
        return tuple(state for state, true in holds.items() if true) or (State.COMPLIANT,)


class _Judged:
    """The findings of a report, as far as it was not cut.

    They stand the worst first. So those that were cut off came to what the last one told came
    to, and are no worse.
    """

    __slots__ = ("errors", "fixed", "open", "rules")

    def __init__(self, told: Told, outcome: str) -> None:
        self.open = self.errors = self.fixed = 0
        settled: set[str] = set()
        standing: dict[str, None] = {}
        result, severity = outcome, "error"
        number = 0
        for suffix in _SUFFIXES:
            rule = told(f"rule{suffix}")
            if not isinstance(rule, str):
                break
            number += 1
            result = text_of(told(f"result{suffix}")) or outcome
            severity = text_of(told(f"severity{suffix}")) or "error"
            self._count(result, severity, 1)
            if result in OPEN:
                standing[rule[:_LONGEST]] = None
            else:
                settled.add(rule)
        self._count(result, severity, max((number_of(told("findings")) or 0) - number, 0))
        if result in OPEN:
            others = (one[:_LONGEST] for one in _listed(told("rules")) if one not in settled)
            standing |= dict.fromkeys(others)
        self.rules = tuple(standing)[:_MOST_RULES]

    def _count(self, result: str, severity: str, findings: int) -> None:
        if result == _FIXED:
            self.fixed += findings
        elif result in OPEN:
            self.open += findings
            self.errors += findings if severity == "error" else 0


def _listed(rules: object) -> Iterable[str]:
    return rules.split(",", _MOST_RULES)[:_MOST_RULES] if isinstance(rules, str) else ()
