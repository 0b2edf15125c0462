"""`postkeel history`: every drift with its cause, before and after."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from postkeel.cli.opening import open_configuration
from postkeel.cli.render import Paint, print_json
from postkeel.contract import Depth, Finding, Outcome, Report
from postkeel.core.errors import PostkeelError
from postkeel.core.report_json import report_to_data
from postkeel.core.text import one_line
from postkeel.shell.history import History
from postkeel.shell.owner import as_owner


def main(arguments: Namespace) -> int:
    configuration, _ = open_configuration(arguments)
    given = arguments.config_directory
    instance = os.path.abspath(given) if given else None
    own = _reports(configuration.state_directory, instance, arguments.limit)
    try:
        heard = _reports(configuration.monitor_state_directory, instance, arguments.limit)
    except PostkeelError as error:  # what the monitor wrote must not hide what root's side did
        print(f"postkeel: {one_line(str(error), 400)}", file=sys.stderr)
        heard = ()
    reports = sorted((*own, *heard), key=lambda one: one.event.time, reverse=True)
    reports = reports[: arguments.limit]
    if arguments.format == "json":
        print_json(reports=[report_to_data(one) for one in reports])
        return 0
    paint = Paint(arguments)
    for report in reversed(reports):
        _print(report, paint)
    if not reports:
        print("nothing has happened yet")
    return 0


def _reports(directory: str, instance: str | None, limit: int) -> tuple[Report, ...]:
    """Of one side, newest first."""
    import sqlite3  # noqa: F401  the owner may not read where Python is

    with as_owner(directory), History(directory, read_only=True) as history:
        return history.reports(instance=instance, limit=limit)


def _print(report: Report, paint: Paint) -> None:
    good = report.outcome in (Outcome.CLEAN, Outcome.FIXED, Outcome.WAIVED)
    print(
        f"{report.event.time:%Y-%m-%d %H:%M:%S} UTC  {one_line(report.instance, 200)}"
        f"  {paint('good' if good else 'error', report.outcome.value)}  {one_line(report.cause)}"
    )
    for one in report.judged:
        print(f"    {one.outcome.value:<9} {one_line(one.finding.rule)}: {_told(one.finding)}")
        if one.finding.depth is Depth.OBSERVED:
            print(f"              {one_line(one.finding.why, 400)}")
    for line in (*report.proof, *report.problems):
        print(f"    {one_line(line, 400)}")


def _told(finding: Finding) -> str:
    """Before and after of a setting; what was seen is no value of one."""
    effective, wanted = one_line(finding.effective, 120), one_line(finding.wanted, 120)
    parameter = one_line(finding.parameter)
    if finding.file or finding.depth is Depth.OBSERVED:
        service = f" of {one_line(finding.service, 120)}" if finding.service else ""
        file = f"{one_line(finding.file, 120)}: " if finding.file else ""
        return f"{file}{effective}, wanted {wanted} ({parameter}{service})"
    return f"{parameter} at {finding.where} was {effective!r}, wanted {wanted!r}"
