"""A log that is read in parts gives what it gives in one piece, wherever it is cut."""

from __future__ import annotations

import itertools
import pickle
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

import mail_log
from postkeel.maillog.parts import PartReader
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally

CASES = Path(__file__).parent.parent / "cases" / "maillog"
LOGS = sorted(CASES.glob("*.log"))
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def whole(lines):
    tally = Tally()
    reader = Reader(tally, now=NOW, zone=UTC)
    reader.read(b"".join(lines))
    reader.finish()
    return tally.statistics()


def in_parts(lines, cuts, most=None):
    """As several processes do it: each part alone, then the handovers in order."""
    bounds = [0, *cuts, len(lines)]
    pieces = [lines[begin:end] for begin, end in itertools.pairwise(bounds)]
    made = []
    for piece in pieces[1:]:
        counted = Tally(most) if most else Tally()
        part = PartReader(counted, now=NOW, zone=UTC)
        for at in range(0, len(piece), 500):
            part.read(b"".join(piece[at : at + 500]))
        made.append(pickle.dumps((part.handover(), list(counted.pieces()))))
    tally = Tally(most) if most else Tally()
    reader = Reader(tally, now=NOW, zone=UTC)
    reader.read(b"".join(pieces[0]))
    for one in made:
        handover, counts = pickle.loads(one)  # noqa: S301  made above
        reader.take_over(handover)
        for piece in counts:
            tally.take(piece)
    reader.finish()
    return tally.statistics()


def sums(statistics):
    """What does not hang on the order of reading."""
    return {
        "lines": statistics.lines,
        "span": (statistics.first, statistics.last),
        "connections": {one[:4]: one[4:] for one in statistics.connections},
        "failures": {one[:5]: one[5] for one in statistics.failures},
        "destinations": {one[:4]: one[4] for one in statistics.destinations},
        "notices": {(one.kind, one.name, one.peer): one.count for one in statistics.notices},
    }


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_recorded_logs_at_every_cut(path):
    lines = path.read_bytes().splitlines(keepends=True)
    wanted = sums(whole(lines))
    for cut in range(0, len(lines), 3):
        assert sums(in_parts(lines, [cut])) == wanted, cut


@pytest.mark.parametrize("seed", range(4))
def test_generated_logs_in_many_parts(tmp_path, seed):
    path = tmp_path / "mail.log"
    mail_log.write_log(path, 12_000, seed, ("rfc3164", "rfc3339")[seed % 2])
    lines = path.read_bytes().splitlines(keepends=True)
    wanted = sums(whole(lines))
    dice = random.Random(seed)  # noqa: S311  where to cut
    for number in (1, 2, 3, 7, 30):
        cuts = sorted(dice.randrange(len(lines)) for _ in range(number))
        assert sums(in_parts(lines, cuts)) == wanted, cuts


def test_no_sum_is_lost_when_counts_are_folded(tmp_path):
    path = tmp_path / "mail.log"
    mail_log.write_log(path, 12_000, 5)
    lines = path.read_bytes().splitlines(keepends=True)
    wanted, found = whole(lines), in_parts(lines, [5_000, 9_000], most=300)
    for name in ("connections", "mails"):
        total = sum(getattr(one, name) for one in wanted.connections)
        assert sum(getattr(one, name) for one in found.connections) == total
    assert sum(one.count for one in found.failures) == sum(one.count for one in wanted.failures)
    assert len(found.connections) < len(wanted.connections)
