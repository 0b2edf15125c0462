"""`postkeel fleet`: many hosts, by what the central syslog has of them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from postkeel.cli.opening import finish
from postkeel.core.duration import parse_duration
from postkeel.core.errors import PostkeelError
from postkeel.reporting.fleet import Fleet, read_lines
from postkeel.reporting.fleet_values import FleetSummary


def main(arguments: Namespace) -> int:
    at = None if arguments.at is None else _moment(arguments.at)
    patience = None
    if arguments.silent_after is not None:
        patience = parse_duration(arguments.silent_after).total_seconds()
    fleet = Fleet(until=None if at is None else at.timestamp())
    complaints = _read(fleet, arguments.files)
    if complaints and not fleet.lines:
        raise PostkeelError("\n".join(complaints))
    summary = fleet.summary(at or datetime.now(UTC), silent_after=patience)
    _show(arguments, summary)
    return finish("\n".join(complaints), 0 if summary.is_well else 2)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PostkeelError(
            f"--at {text!r}: not a moment; write one like 2026-11-23T08:00 or"
            " 2026-11-23T09:00+01:00"
        ) from None


def _read(fleet: Fleet, paths: Sequence[str]) -> list[str]:
    """Read all files; what is wrong with those that could not be read to their end."""
    from postkeel.cli.progress import Progress
    from postkeel.shell.log_archive import read_log, total_bytes

    complaints = []
    with Progress(total_bytes(paths)) as progress:
        for path in paths:
            fleet.begin("standard input" if path == "-" else path)
            try:
                chunks = read_log(path, progress.read, command="fleet")
                read_lines(progress.counted(chunks), fleet)
            except PostkeelError as error:
                complaints.append(str(error))
    return complaints


def _show(arguments: Namespace, summary: FleetSummary) -> None:
    if arguments.format == "json":
        from postkeel.cli.fleet_json import document
        from postkeel.cli.render import print_json

        print_json(**document(summary, arguments.files))
    elif arguments.format == "html":
        from postkeel.cli.fleet_html import page
        from postkeel.cli.html_page import write

        write(page(summary))
    else:
        from postkeel.cli.fleet_text import lines

        for line in lines(arguments, summary):
            print(line)
