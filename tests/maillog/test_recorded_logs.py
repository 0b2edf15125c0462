"""Logs of real servers give what was done on them, however they are cut and stamped."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from log_truth import found
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally

CASES = Path(__file__).parent.parent / "cases" / "maillog"
LOGS = sorted(CASES.glob("*.log"))
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STAMP = re.compile(rb"^([A-Z][a-z]{2} [ \d]\d [\d:]{8}) (\S+) ", re.MULTILINE)


def statistics(chunks, *, restart=False):
    """What is counted; with a reader for each chunk that knows the last one's state only."""
    tally, state = Tally(), None
    reader = Reader(tally, now=NOW, zone=UTC)
    for chunk in chunks:
        if restart:
            reader = Reader(tally, now=NOW, zone=UTC, state=state)
        reader.read(chunk)
        if restart:
            state = json.loads(json.dumps(reader.state()))
    reader.finish()
    return tally.statistics()


def in_pieces(text, lines):
    whole = text.splitlines(keepends=True)
    return [b"".join(whole[at : at + lines]) for at in range(0, len(whole), lines)]


def restamped(text, form):
    """The same log with stamps of another form, which says the same moments."""

    def stamp(match):
        when = datetime.strptime(f"2026 {match[1].decode()} +0000", "%Y %b %d %H:%M:%S %z")
        return form(when, match[2])

    return STAMP.sub(stamp, text)


def rfc3339(when, host):
    there = (when + timedelta(microseconds=123456)).astimezone(timezone(timedelta(hours=-3.5)))
    return f"{there.isoformat()} ".encode() + host + b" "


def as_journal(when, _host):
    """As the agent writes the journal's entries: UTC, and a host that is one word."""
    return when.isoformat(timespec="microseconds").encode() + b" - "


def wanted(log):
    done = json.loads(log.with_suffix(".json").read_text())
    done.pop("lines")
    return done


@pytest.fixture(params=LOGS, ids=lambda log: log.stem)
def log(request):
    return request.param


def test_there_are_logs_of_both_debians():
    names = {log.stem for log in LOGS}
    assert {"debian-12-inbound", "debian-13-inbound", "other-releases"} <= names


def test_a_log_gives_what_was_done(log):
    text = log.read_bytes()
    assert found(statistics([text])) == wanted(log)


def test_all_lines_are_counted(log):
    counted = statistics([log.read_bytes()]).lines
    assert counted == json.loads(log.with_suffix(".json").read_text())["lines"]


@pytest.mark.parametrize("lines", [1, 2, 7, 100])
@pytest.mark.parametrize("restart", [False, True], ids=["on", "restarted"])
def test_a_log_may_come_in_pieces(log, lines, restart):
    pieces = in_pieces(log.read_bytes(), lines)
    assert found(statistics(pieces, restart=restart)) == wanted(log)


@pytest.mark.parametrize("form", [rfc3339, as_journal])
def test_stamps_may_have_another_form(log, form):
    text = log.read_bytes()
    stamped = restamped(text, form)
    assert stamped != text
    counted = statistics([stamped])
    assert found(counted) == wanted(log)
    assert sorted({one.hour for one in counted.connections}) == sorted(
        {one.hour for one in statistics([text]).connections}
    )


def test_lines_of_others_between_change_nothing(log):
    """The same words under the name of another program, which anybody may write."""
    lines = log.read_bytes().splitlines(keepends=True)
    forged = [re.sub(rb" \S+/(\w+)(\[\d+\]:)", rb" logger\2", line, count=1) for line in lines]
    mixed = b"".join(one for pair in zip(lines, forged, strict=True) for one in pair)
    assert found(statistics([mixed])) == wanted(log)


def test_half_a_line_at_the_end_is_no_harm(log):
    text = log.read_bytes()
    for end in range(1, 200, 13):
        counted = statistics([text[:-end]])
        assert len(counted.connections) <= len(statistics([text]).connections)
