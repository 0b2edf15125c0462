"""What a probe came to, as it stands until the next one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from postkeel.contract import Depth, Finding, Severity, frozen, one_line
from postkeel.postfix.instance import Instance
from postkeel_plugins.header_checker.rules import WHY
from postkeel_plugins.header_checker.setting import Setting

LONGEST: Final = 300
"""Octets of a text that may hold what a server answered."""
_RANKS: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@frozen
class Complaint:
    """One thing that is wrong, seen at one place.

    place: such as "127.0.0.1:25"; "" for what has none. effective: alike each time; says:
    a sentence that need not be. service: of master.cf, "" for none.
    """

    rule: str
    severity: Severity
    parameter: str
    effective: str
    wanted: str
    says: str
    service: str = ""
    place: str = ""

    def written(self) -> dict[str, str]:
        """Of JSON's types."""
        return {one.name: str(getattr(self, one.name)) for one in fields(self)} | {
            "severity": self.severity.value
        }


def read_complaint(kept: Mapping[str, Any]) -> Complaint:
    """What `written` gave.

    Errors: TypeError, ValueError or KeyError for anything else.
    """
    texts = {one.name: kept[one.name] for one in fields(Complaint)}
    if not all(isinstance(one, str) for one in texts.values()):
        raise ValueError("a complaint is made of texts")
    if texts["rule"] not in WHY:
        raise ValueError("no rule of this name")
    return Complaint(**texts | {"severity": Severity(texts["severity"])})


def findings(complaints: Iterable[Complaint], instance: Instance | None) -> Iterator[Finding]:
    """One for each rule, service and setting, of whatever places say it."""
    alike: dict[tuple[str, str, str], list[Complaint]] = {}
    for one in complaints:
        alike.setdefault((one.rule, one.service, one.parameter), []).append(one)
    for group in alike.values():
        worst = min(group, key=lambda one: _RANKS[one.severity])
        yield Finding(
            rule=worst.rule,
            severity=worst.severity,
            depth=Depth.OBSERVED,
            parameter=worst.parameter,
            where=Setting(instance=instance, service=worst.service).where(worst.parameter),
            effective=_joined((one.place, one.effective) for one in group),
            wanted=worst.wanted,
            why=f"{_said(group)}. {WHY[worst.rule]}",
            service=worst.service or None,
        )


def _joined(told: Iterable[tuple[str, str]]) -> str:
    """What all places say, once; else what each says."""
    by_text = _by_text(told)
    if len(by_text) == 1:
        return next(iter(by_text))
    return "; ".join(_placed(text, places) for text, places in by_text.items())


def _said(group: Iterable[Complaint]) -> str:
    by_text = _by_text((one.place, one.says) for one in group)
    return ". ".join(_placed(text, places) for text, places in by_text.items())


def _by_text(told: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """The places that say a text."""
    found: dict[str, list[str]] = {}
    for place, text in told:
        found.setdefault(text, []).append(place)
    return found


def _placed(text: str, places: Iterable[str]) -> str:
    named = " and ".join(filter(None, places))
    return f"{named}: {text}" if named else text


def sentence(text: str) -> str:
    """A text of somebody else's as one printable line without its last stop."""
    return one_line(text, LONGEST).rstrip(". ")
