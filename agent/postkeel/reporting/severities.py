"""How loud a report is in syslog's terms, and the words for it in options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from postkeel.core.model import EventKind, Outcome, Report, Severity
from postkeel.core.text import did_you_mean

SEVERITIES = {
    "emerg": 0,
    "alert": 1,
    "crit": 2,
    "err": 3,
    "warning": 4,
    "notice": 5,
    "info": 6,
    "debug": 7,
}
"""Names of syslog.conf(5) and their numbers (RFC 5424, table 2)."""

FACILITIES = {
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""Those of table 1 that fit; the kernel's and those of other programs do not."""

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6

_OF_OUTCOMES = {
    Outcome.FAILED: ERROR,
    Outcome.REVERTED: ERROR,
    Outcome.CONTESTED: ERROR,
    Outcome.FIXED: NOTICE,
    Outcome.WAIVED: INFO,
    Outcome.CLEAN: INFO,
}
_EVENTS = {kind: kind.value.replace(" ", "-") for kind in EventKind}
_KNOWN = (*(one.value for one in Outcome), *_EVENTS.values())


def event_name(kind: EventKind) -> str:
    """The MSGID: "paths-changed" and the like."""
    return _EVENTS[kind]


def severity_of(report: Report, severities: Mapping[str, int] | None = None) -> int:
    """How loud: a drift that stays is a warning at least, a finding of severity info is not.

    severities: other ones by the name of an event or, in the second place, of an outcome.
    Whatever they say, a round with problems and a host that is not guarded are warnings.
    """
    chosen = severities or {}
    known = chosen.get(_EVENTS[report.event.kind])
    if known is None:
        known = chosen.get(report.outcome.value)
    if known is None:
        known = _OF_OUTCOMES.get(report.outcome)
    if known is None:
        worst = any(one.finding.severity is not Severity.INFO for one in report.judged)
        known = WARNING if worst else INFO
    alarming = report.problems or ("guarded", "no") in report.told
    return min(known, WARNING) if alarming else known


def is_routine(report: Report) -> bool:
    """Whether nobody needs to be told: a timer found all as wanted, or waived as it was before."""
    quiet = report.outcome in (Outcome.CLEAN, Outcome.WAIVED)
    told = report.problems or report.proof
    return quiet and not told and report.event.kind is EventKind.TIMER


def facility_fault(name: str) -> str:
    """What is wrong with this facility, for `Option.fault`."""
    return "" if name in FACILITIES else f"must be one of: {', '.join(FACILITIES)}"


def severities_of(texts: Iterable[str]) -> dict[str, int]:
    """The option "severities", such as ["fixed=info"]; KeyError where it has a fault."""
    pairs = [text.split("=", 1) for text in texts]
    return {name: SEVERITIES[severity] for name, severity in pairs}


def severities_fault(texts: tuple[str, ...]) -> str:
    """What is wrong with the option "severities", for `Option.fault`."""
    names: list[str] = []
    for text in texts:
        name, equals, severity = text.partition("=")
        if not equals:
            return f'must be texts such as "fixed=info", not {text!r}'
        if name not in _KNOWN:
            known = ", ".join(_KNOWN)
            return f"names {name!r}, which is no outcome or event; known are: {known}" + (
                did_you_mean(name, _KNOWN)
            )
        if severity not in SEVERITIES:
            return f"gives {name} {severity!r}; severities are: {', '.join(SEVERITIES)}"
        if name in names:
            return f"names {name!r} twice"
        names.append(name)
    return ""
