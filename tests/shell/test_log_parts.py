"""One large log, read by several processes."""

from __future__ import annotations

import itertools
import os
import signal
from datetime import UTC, datetime

import pytest

import mail_log
from postkeel.core.errors import PostkeelError
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally
from postkeel.shell import log_parts

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "mail.log"
    return str(path), mail_log.write_log(path, 20_000)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Logs of a test are small, and a machine may have one processor."""
    monkeypatch.setattr(log_parts, "WORTH_A_PART", 500_000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def counted(path, parts=None):
    tally = Tally()
    reader = Reader(tally, now=NOW, zone=UTC)
    seen = []

    def through(chunks):
        for chunk in chunks:
            seen.append(len(chunk))
            yield chunk

    parts = log_parts.parts_of(path) if parts is None else parts
    log_parts.read_parts(path, parts, reader, tally, now=NOW, zone=UTC, through=through)
    reader.finish()
    return tally.statistics(), sum(seen)


def children():
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None


def total(statistics):
    return (
        sum(one.connections for one in statistics.connections),
        sum(one.mails for one in statistics.connections),
        sum(one.count for one in statistics.failures),
    )


def wanted(truth):
    return (
        sum(connections for connections, _ in truth.connections.values()),
        sum(mails for _, mails in truth.connections.values()),
        sum(truth.failures.values()),
    )


def test_parts_begin_at_lines_and_leave_nothing_out(log):
    path, _ = log
    parts = log_parts.parts_of(path)
    assert len(parts) == 4
    assert parts[0][0] == 0
    assert parts[-1][1] == os.path.getsize(path)
    with open(path, "rb") as file:
        text = file.read()
    for (_, end), (begin, _) in itertools.pairwise(parts):
        assert begin == end
        assert text[begin - 1 : begin] == b"\n"


def test_the_counts_are_those_of_one_reading(log):
    path, truth = log
    statistics, octets = counted(path)
    assert statistics.lines == truth.lines
    assert total(statistics) == wanted(truth)
    assert octets < os.path.getsize(path) / 3
    assert children() is None


def test_a_process_that_fails_is_made_good(log, monkeypatch):
    path, truth = log
    monkeypatch.setattr(log_parts._Other, "_work", staticmethod(lambda *_: os._exit(3)))
    statistics, octets = counted(path)
    assert total(statistics) == wanted(truth)
    assert octets == os.path.getsize(path)
    assert children() is None


def test_a_process_that_is_killed_half_way_is_an_error(log, monkeypatch):
    path, _ = log
    at_first = Tally.pieces

    def pieces(tally):
        for number, piece in enumerate(at_first(tally)):
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            yield piece

    monkeypatch.setattr(Tally, "pieces", pieces)
    with pytest.raises(PostkeelError, match=r"mail\.log: .* was ended"):
        counted(path)
    assert children() is None


def test_a_file_that_vanishes_is_an_error(log, tmp_path):
    path, _ = log
    parts = log_parts.parts_of(path)
    with pytest.raises(PostkeelError, match=r"gone\.log"):
        counted(str(tmp_path / "gone.log"), parts)
    assert children() is None


@pytest.mark.parametrize("make", ["small", "directory", "missing", "pipe"])
def test_what_is_not_cut(tmp_path, make):
    path = tmp_path / "mail.log"
    if make == "small":
        path.write_text("x\n")
    elif make == "directory":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    assert len(log_parts.parts_of(str(path))) < 2


def test_a_line_longer_than_a_part(tmp_path):
    path = tmp_path / "mail.log"
    path.write_bytes(b"x" * 2_000_000 + b"\nend\n")
    statistics, _ = counted(str(path))
    assert statistics.lines == 2
