"""`postkeel enforce`: one round now."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from postkeel.cli.check import pending
from postkeel.cli.opening import Opened, acting_round, deciding_round, instances, open_all
from postkeel.cli.render import Paint, finding_lines, print_json
from postkeel.contract import Outcome, Report, Side
from postkeel.core.errors import PostkeelError
from postkeel.core.report_json import report_to_data
from postkeel.core.text import one_line
from postkeel.shell.outbox_files import outbox_directory

_BROKEN = (Outcome.FAILED, Outcome.REVERTED)


def main(arguments: Namespace) -> int:
    opened = open_all(arguments, acting=not arguments.dry_run)
    reports = []
    for directory in instances(arguments):
        start = deciding_round if arguments.dry_run else acting_round
        round_ = start(opened, directory)
        report = round_.run(act=not arguments.dry_run)
        for one in round_.seen.waits if round_.seen else ():
            print(f"postkeel: {one_line(directory)}: {one_line(one.reason)}", file=sys.stderr)
        reports.append(report)
        if not arguments.dry_run:
            _tell(opened, report)
    if arguments.format == "json":
        print_json(instances=[report_to_data(one) for one in reports])
    else:
        paint = Paint(arguments)
        for report in reports:
            if report.judged or report.outcome is not Outcome.FAILED:
                print_report(report, paint)
    broken = [one for one in reports if one.outcome in _BROKEN]
    if broken:
        sys.stdout.flush()
        raise PostkeelError("\n".join(map(_complaint, broken)))
    return 2 if any(pending(one.judged) for one in reports) else 0


def _tell(opened: Opened, report: Report) -> None:
    """Hand the report to the reporters of this side, and, where there is one, to the other side.

    Those of side "monitor" keep files of their own, which are not root's to write.
    """
    registry = opened.registry
    registry.deliver(report, [], to=[one.name for one in registry.of(Side.ROOT)])
    state = opened.configuration.state_directory
    if os.path.isdir(outbox_directory(state)):
        from postkeel.shell.outbox import Outbox

        try:
            Outbox(state).append(report)
        except PostkeelError as error:
            print(f"postkeel: {one_line(str(error))}", file=sys.stderr)


def _complaint(report: Report) -> str:
    """Why the files are not as wanted, or what kept the round from looking."""
    if not report.judged:
        return "\n".join(report.problems)
    reasons = [one.reason for one in report.judged if one.outcome in _BROKEN] + [*report.problems]
    return f"{report.instance}: {report.outcome.value}: {'; '.join(dict.fromkeys(reasons))}"


def print_report(report: Report, paint: Paint) -> None:
    """A round for a person."""
    style = {Outcome.CLEAN: "good", Outcome.FIXED: "good"}.get(report.outcome, "error")
    milliseconds = report.seconds * 1000
    print(
        f"{one_line(report.instance)}: {paint(style, report.outcome.value)}"
        f" ({len(report.judged)} findings, {milliseconds:.0f} ms)"
    )
    for one in report.judged:
        note = f": {one.outcome.value}" + (f" ({one.reason})" if one.reason else "")
        for line in finding_lines(one.finding, paint, note):
            print(line)
    for line in report.proof:
        print(f"  observed  {one_line(line)}")
    for problem in report.problems:
        print(f"  {paint('warning', 'problem ')}  {one_line(problem)}")
