"""What `postkeel fleet` says of hosts, on a terminal as in a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from postkeel.cli.wording import counted, minute
from postkeel.reporting.fleet_instances import OPEN
from postkeel.reporting.fleet_numbers import Gap
from postkeel.reporting.fleet_values import FleetSummary, HostSummary, InstanceSummary, State

_LENGTHS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_MOST_RULES: Final = 6


def headline(summary: FleetSummary) -> str:
    """ "30 instances at 2026-11-23 12:00 UTC: 1 contested, 29 compliant"."""
    states = [f"{count} {state.value}" for state, count in summary.counts.items() if count]
    number = counted(len(summary.instances), "instance")
    hosts = counted(len(summary.hosts), "host")
    of_hosts = "" if len(summary.hosts) == len(summary.instances) else f" on {hosts}"
    said = ", ".join(states) or "nothing was reported"
    return f"{number}{of_hosts} at {minute(summary.at)} UTC: {said}"


def span(summary: FleetSummary) -> str:
    """ "1,000 lines, received from 2026-11-01 00:00 to 2026-11-23 04:00 UTC"."""
    text = counted(summary.lines, "line")
    if summary.first is None or summary.last is None:
        return text
    return f"{text}, received from {minute(summary.first)} to {minute(summary.last)} UTC"


def name_of(one: InstanceSummary) -> str:
    """The host, with the instance where it is not Postfix's usual one."""
    return one.host if one.instance in ("", "/etc/postfix") else f"{one.host} {one.instance}"


def troubles(one: InstanceSummary, at: float) -> Iterator[str]:
    """A phrase for each thing that is not as it should be; none of a compliant instance."""
    said: dict[State, Callable[[], str]] = {
        State.CONTESTED: lambda: "its corrections are undone by somebody else",
        State.DRIFTING: lambda: _drift(one),
        State.SILENT: lambda: f"silent since {minute(one.heard)} UTC ({lasting(at - one.heard)})",
        State.UNGUARDED: lambda: "nobody corrects it: the agent's root side does not run",
        State.UNKNOWN: lambda: "it has not said how it stands",
    }
    yield from (said[state]() for state in one.states if state in said)
    if one.open_findings and not one.open_errors and one.outcome in OPEN:
        yield _drift(one)
    if one.held:
        yield "held: drift is not corrected for now"
    if one.mode == "audit":
        yield "mode audit: drift is only reported"
    if one.alarms:
        alarms = counted(one.alarms, "alarm")
        yield f"{alarms} of the mail log{_listed(one.alarm_rules)}"


def _drift(one: InstanceSummary) -> str:
    errors = counted(one.open_errors, "error") if one.open_errors else ""
    others = one.open_findings - one.open_errors
    more = f"{others:,} other{'' if others == 1 else 's'}" if others > 0 and errors else ""
    number = " and ".join(filter(None, (errors, more))) or counted(one.open_findings, "finding")
    outcome = f", {one.outcome}" if one.outcome else ""
    return f"{number} open{_listed(one.rules)}{outcome}"


def _listed(rules: tuple[str, ...]) -> str:
    if not rules:
        return ""
    more = f" and {len(rules) - _MOST_RULES} more" if len(rules) > _MOST_RULES else ""
    return f" ({', '.join(rules[:_MOST_RULES])}{more})"


def about(one: InstanceSummary) -> str:
    """ "intermediate, enforce; Postfix 3.7.11, OpenSSL 3.0.17; 3 corrections"."""
    policy = ", ".join(filter(None, (one.profile, one.mode)))
    postfix = f"Postfix {one.postfix}" if one.postfix else ""
    own = f"postkeel {one.postkeel}" if one.postkeel else ""
    versions = ", ".join(filter(None, (postfix, openssl(one), own)))
    return "; ".join(filter(None, (policy, versions, counted(one.corrections, "correction"))))


def openssl(one: InstanceSummary) -> str:
    """Its name and version, without the day on which it was made."""
    return " ".join(one.openssl.split()[:2])


def gap_text(gap: Gap) -> str:
    """ "17 to 25 (9 reports, which the host said it dropped)"."""
    numbers = f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"
    reports = counted(gap.missing, "report")
    if not gap.reported:
        return f"{numbers} ({reports})"
    if gap.unexplained:
        return f"{numbers} ({reports}; the host said it dropped {gap.reported:,})"
    return f"{numbers} ({reports}; the host said it dropped {'it' if gap.missing == 1 else 'them'})"


def lasting(seconds: float) -> str:
    """A length of time, roughly: "3 days", "12 minutes"."""
    whole = max(round(seconds), 0)
    length, unit = next((one for one in _LENGTHS if whole >= one[0] * 2), _LENGTHS[-1])
    return counted(round(whole / length), unit)


def clock_text(one: HostSummary) -> str:
    if one.ahead > 0:
        return f"{one.name}: its clock is {lasting(one.ahead)} ahead"
    return f"{one.name}: its clock is {lasting(-one.ahead)} behind, or its reports come that late"


def versions(summary: FleetSummary) -> dict[str, list[tuple[str, int]]]:
    """Of each kind of version, which there are on how many instances, most often first."""
    kinds: dict[str, Callable[[InstanceSummary], str]] = {
        "Postfix": lambda one: one.postfix,
        "OpenSSL": lambda one: openssl(one).removeprefix("OpenSSL "),
        "postkeel": lambda one: one.postkeel,
        "profile": lambda one: one.profile,
    }
    found = {}
    for kind, version in kinds.items():
        known = Counter(filter(None, map(version, summary.instances)))
        if known:
            found[kind] = sorted(known.items(), key=lambda one: (-one[1], one[0]))
    return found


def notes(summary: FleetSummary) -> Iterator[str]:
    """What to know about the lines themselves."""
    if summary.faulty:
        number = counted(summary.faulty, "line")
        yield f"{number} not written by a collector; the first: {summary.first_fault}"
    if summary.later:
        yield f"{counted(summary.later, 'line')} of a later time left out"
    if summary.crowded:
        number = counted(summary.crowded, "line")
        yield f"{number} left out: of more hosts or instances than are kept apart"
    for what, count in (
        ("came without a number: doubles and gaps of them are not known", _sum(summary, 0)),
        ("not checked for doubles: there are too many gaps or spools", _sum(summary, 1)),
    ):
        if count:
            yield f"{counted(count, 'report')} {what}"


def _sum(summary: FleetSummary, which: int) -> int:
    return sum((one.unnumbered, one.untold)[which] for one in summary.hosts)
