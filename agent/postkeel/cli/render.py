"""Text for a terminal and JSON for programs. What strangers wrote is made harmless here."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence

from postkeel import __version__
from postkeel.core.model import Depth, Finding, Severity
from postkeel.core.text import one_line

_STYLES = {"error": "31;1", "warning": "33", "info": "36", "good": "32", "dim": "2"}


class Paint:
    """Colour, where the output is a terminal and nobody forbade it."""

    def __init__(self, arguments: Namespace) -> None:
        self.on = not arguments.no_color and not os.environ.get("NO_COLOR") and sys.stdout.isatty()

    def __call__(self, style: str, text: str) -> str:
        return f"\033[{_STYLES[style]}m{text}\033[0m" if self.on else text


def print_json(**document: object) -> None:
    """The one document on standard output, with postkeel's version first.

    Always UTF-8, whatever the locale; bytes that are not UTF-8 come out as the
    replacement character, for JSON has no others.
    """
    text = json.dumps({"postkeel": __version__, **document}, indent=2, ensure_ascii=False)
    try:
        octets = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
    except UnicodeEncodeError:  # half of a pair, as JSON of the monitor's may have
        octets = text.encode("utf-8", "replace")
    sys.stdout.flush()
    sys.stdout.buffer.write(octets + b"\n")


def finding_lines(finding: Finding, paint: Paint, note: str = "") -> Iterable[str]:
    """A finding for a person: what and where, then what is wanted and why."""
    severity = finding.severity.value
    place = f"{one_line(finding.service, 200)}: " if finding.service else ""
    parameter, effective = one_line(finding.parameter, 200), one_line(finding.effective, 200)
    yield f"  {paint(severity, f'{severity:<8}')}{finding.rule}{one_line(note, 800)}"
    where = "" if finding.where == "default" else f", {finding.where}"
    if finding.file or finding.depth is Depth.OBSERVED:
        subject = one_line(finding.file, 200) or "observed"
        yield f"          {subject}: {place}{effective} ({parameter}{where})"
    else:
        yield f"          {finding.where}: {place}{parameter} = {effective}".rstrip()
    if finding.wanted:
        fixable = "" if finding.remedy else " (an administrator has to decide)"
        yield f"          wanted: {one_line(finding.wanted, 200)}{fixable}"
    yield f"          {paint('dim', one_line(finding.why, 400))}"


def counted(findings: Sequence[Finding]) -> str:
    """ "3 findings (2 errors, 1 info)"."""
    if not findings:
        return "as wanted"
    counts = [
        (sum(one.severity is severity for one in findings), severity.value) for severity in Severity
    ]
    parts = ", ".join(
        f"{count} {name}{'s' if count > 1 and name != 'info' else ''}"
        for count, name in counts
        if count
    )
    return f"{len(findings)} finding{'s' if len(findings) > 1 else ''} ({parts})"


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> Iterable[str]:
    """Columns as wide as their widest cell; the last one runs free."""
    widths = (
        [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        if rows
        else []
    )
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        yield (indent + "  ".join([*cells, row[-1]])).rstrip()
