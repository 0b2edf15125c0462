"""The files by which the correcting side tells the other one of its reports.

    STATE/outbox/SERIES-NUMBER.jsonl      {"number": 17, "report": {...}}

One line a report, numbered without gaps. A file's name has the number of its first line
and a series, which is another one when root's side has begun anew. Names sort by age.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from postkeel.contract import Report
from postkeel.core.changes import Plan
from postkeel.core.frozen import frozen
from postkeel.core.report_json import data_to_report, report_to_data

LONGEST_LINE: Final = 512 * 1024
SEGMENT_OCTETS: Final = 1024 * 1024
SEGMENTS_AT_MOST: Final = 16

_MOST_NAMES = 1000  # of a directory in which somebody else has been at work
_NAME = re.compile(r"([0-9a-f]{12})-([0-9]{15})\.jsonl")
_LINE = re.compile(rb'\{"number": ([1-9][0-9]{0,14}), "report": (\{.*\})\}')
TOO_LONG = "the report is too long to be handed on: postkeel history has it"


@frozen
class Segment:
    """A file of the outbox by what its name says."""

    series: str
    first: int

    @property
    def name(self) -> str:
        return f"{self.series}-{self.first:015d}.jsonl"


def outbox_directory(state_directory: str) -> str:
    return os.path.join(state_directory, "outbox")


def segments(directory: str) -> list[Segment]:
    """What is there, oldest first. Errors: OSError."""
    with os.scandir(directory) as entries:
        names = [one.name for one in islice(entries, _MOST_NAMES)]
    matches = [found for one in sorted(names) if (found := _NAME.fullmatch(one))]
    return [Segment(series=one[1], first=int(one[2])) for one in matches]


def line_of(number: int, report: Report) -> bytes:
    """The report as a line that is not too long.

    Its diff stays with root: it quotes files that the reader may not be allowed to read.
    """
    line = _line(number, replace(report, diff=""))
    return line if len(line) <= LONGEST_LINE else _line(number, _bare(report))


def split_line(line: bytes) -> tuple[int, bytes] | None:
    """Number and report of a line without its end; None for one that was not written whole."""
    found = _LINE.fullmatch(line)
    return (int(found[1]), found[2]) if found else None


def last_number(lines: Iterable[bytes]) -> int:
    """The highest number of these lines, 0 without any."""
    return max((found[0] for one in lines if (found := split_line(one))), default=0)


def report_of(text: bytes) -> Report | None:
    """The report again; None when it is none that this version of postkeel knows."""
    import json

    try:
        return data_to_report(json.loads(text))
    except (ValueError, ArithmeticError, RecursionError):
        return None


def _line(number: int, report: Report) -> bytes:
    import json

    return b'{"number": %d, "report": %s}\n' % (number, json.dumps(report_to_data(report)).encode())


def _bare(report: Report) -> Report:
    return Report(
        instance=report.instance[:4096],
        event=replace(report.event, instance=report.instance[:4096], detail=(), batch=None),
        outcome=report.outcome,
        judged=(),
        plan=Plan(),
        seconds=report.seconds,
        problems=(TOO_LONG,),
    )
