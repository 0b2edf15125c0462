"""`postkeel check --format nagios`: a plug-in for Nagios, Icinga and what else runs theirs.

Exit status and output are as the Monitoring Plugins' development guidelines have them: one
line with performance data behind a "|", then lines for who looks closer. Errors are
CRITICAL, warnings are WARNING; contested and held findings count as what they are, waived
ones and information not at all. What keeps it from looking is UNKNOWN.

It judges Postfix's configuration. Whether the agent guards it is another question, which
`postkeel status`, heartbeats and `postkeel fleet` answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from postkeel.core.frozen import frozen
from postkeel.core.model import Depth, Judged, Outcome, Severity
from postkeel.core.text import one_line

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3

_NAMES: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_STATUSES: Final = {Severity.ERROR: CRITICAL, Severity.WARNING: WARNING, Severity.INFO: OK}
_FIRST_LINE: Final = 300
_LINE: Final = 300
_MOST_OCTETS: Final = 3500
"""Nagios takes 8 KiB in all, NRPE of old 4 KiB."""


@frozen
class Seen:
    """What a check found of one instance."""

    directory: str
    profile: str
    judged: tuple[Judged, ...]
    problems: tuple[str, ...]


def show(seen: Sequence[Seen], complaint: str, seconds: float) -> int:
    """Print what was found; the status to exit with.

    complaint: of instances that could not be read, a line each. A CRITICAL of another
    instance stands all the same, and anything milder becomes UNKNOWN.
    """
    found = [one for instance in seen for one in instance.judged if _is_open(one)]
    errors, warnings = (
        sum(one.finding.severity is severity for one in found)
        for severity in (Severity.ERROR, Severity.WARNING)
    )
    complaints = [f"UNKNOWN: {line}" for line in complaint.split("\n") if line]
    problems = [f"WARNING: {one}" for instance in seen for one in instance.problems]
    status = CRITICAL if errors else WARNING if warnings or problems else OK
    if complaints and status != CRITICAL:
        status = UNKNOWN
    data = {
        "errors": f"{errors};;0;0",
        "warnings": f"{warnings};0;;0",
        "waived": f"{sum(_is_waived(one) for instance in seen for one in instance.judged)};;;0",
        "instances": f"{len(seen)};;;0",
        "seconds": f"{seconds:.3f}s;;;0",
    }
    figures = " ".join(f"{name}={value}" for name, value in data.items())
    text = _headline(seen, found, problems, complaints)
    print(f"POSTKEEL {_NAMES[status]} - {text} | {figures}")
    findings = (_finding(one, instance) for instance in seen for one in _worst_first(instance))
    _print_more([*complaints, *findings, *problems])
    return status


def show_unknown(complaints: Sequence[str]) -> int:
    """Print what kept it from looking; the status to exit with."""
    try:
        print(f"POSTKEEL UNKNOWN - {_plain(complaints[0], _FIRST_LINE)}")
        _print_more(complaints[1:])
        sys.stdout.flush()
    except OSError:  # nobody listens, and the status is all that is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNKNOWN


def _is_waived(one: Judged) -> bool:
    return one.outcome is Outcome.WAIVED


def _is_open(one: Judged) -> bool:
    return not _is_waived(one) and one.finding.severity is not Severity.INFO


def _worst_first(instance: Seen) -> list[Judged]:
    found = filter(_is_open, instance.judged)
    return sorted(found, key=lambda one: -_STATUSES[one.finding.severity])


def _headline(
    seen: Sequence[Seen],
    found: Sequence[Judged],
    problems: Sequence[str],
    complaints: Sequence[str],
) -> str:
    parts = []
    for number, what in (
        (sum(one.finding.severity is Severity.ERROR for one in found), "error"),
        (sum(one.finding.severity is Severity.WARNING for one in found), "warning"),
        (len(problems), "problem"),
    ):
        if number:
            parts.append(f"{number} {what}{'' if number == 1 else 's'}")
    if complaints:
        parts.append(f"{len(complaints)} not read")
    worst = [one for instance in seen for one in _worst_first(instance)]
    worst.sort(key=lambda one: -_STATUSES[one.finding.severity])
    rules = ", ".join(dict.fromkeys(one.finding.rule for one in worst))
    said = ", ".join(parts)
    if not said:
        profiles = ", ".join(dict.fromkeys(one.profile for one in seen))
        said, rules = "as wanted", f"{', '.join(one.directory for one in seen)}, {profiles}"
    return _plain(f"{said}: {rules}" if rules else said, _FIRST_LINE)


def _finding(one: Judged, instance: Seen) -> str:
    finding = one.finding
    service = f" {finding.service}" if finding.service else ""
    where = f"{finding.where}{service}: {finding.parameter} = {finding.effective}"
    if finding.file or finding.depth is Depth.OBSERVED:
        subject = finding.file or "observed"
        where = f"{subject}{service}: {finding.effective} ({finding.parameter})"
    wanted = f", wanted: {finding.wanted}" if finding.wanted else ""
    name = _NAMES[_STATUSES[finding.severity]]
    return f"{name}: {instance.directory} {where}{wanted} [{finding.rule}]"


def _print_more(lines: Sequence[str]) -> None:
    for line in _within(lines):
        print(line)


def _within(lines: Sequence[str]) -> Iterator[str]:
    """As many lines as whoever runs plug-ins takes, and how many more there are."""
    left = _MOST_OCTETS
    for number, line in enumerate(lines):
        shown = _plain(line, _LINE)
        left -= len(shown.encode()) + 1
        if left < 0:
            yield f"and {len(lines) - number} more: `postkeel check`"
            return
        yield shown


def _plain(text: str, limit: int) -> str:
    """One line that does not begin performance data."""
    return one_line(text, limit).replace("|", "\\x7c")
