"""The reader's counts equal the truth of generated logs, in each form and however they are cut."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

import mail_log
from postkeel.maillog.prefix import whole_lines
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally

LINES = 30_000
NOW = datetime(2027, 1, 15, tzinfo=UTC)
A_WHILE = timedelta(seconds=20)


def session_key(session):
    return (
        session.direction.value,
        session.trust,
        session.protocol,
        session.cipher,
        session.bits,
        session.key_exchange,
        session.signature,
        session.reused,
    )


def connections(statistics):
    return {
        (one.hour, one.name, session_key(one.session), one.peer): [one.connections, one.mails]
        for one in statistics.connections
    }


def failures(statistics):
    return {
        (one.hour, one.name, one.direction.value, one.reason, one.peer): one.count
        for one in statistics.failures
    }


def destinations(statistics):
    return {
        (one.hour, one.domain, one.relay, session_key(one.session)): one.mails
        for one in statistics.destinations
    }


def notices(statistics):
    found = Counter()
    for one in statistics.notices:
        found[one.kind.value] += one.count
    return found


def counted(text, sizes, *, new_reader_at_each=False):
    """What the reader counts of the log, given to it in pieces of these sizes."""
    tally = Tally()
    reader = Reader(tally, now=NOW, zone=UTC)
    for chunk in whole_lines(pieces(text, sizes)):
        if new_reader_at_each:
            state = json.loads(json.dumps(reader.state()))
            reader = Reader(tally, now=NOW, zone=UTC, state=state)
        reader.read(chunk)
    reader.finish()
    return tally.statistics()


def pieces(text, sizes):
    at = 0
    while at < len(text):
        size = sizes()
        yield text[at : at + size]
        at += size


def assert_equals_truth(statistics, truth):
    assert statistics.lines == truth.lines
    assert connections(statistics) == truth.connections
    assert failures(statistics) == truth.failures
    assert destinations(statistics) == truth.destinations
    assert notices(statistics) == truth.notices
    # Of the programs that may speak of TLS; the truth knows all of Postfix's.
    assert timedelta(0) <= statistics.first - truth.first < A_WHILE
    assert timedelta(0) <= truth.last - statistics.last < A_WHILE


@pytest.fixture(scope="module", params=["rfc3164", "rfc3339"])
def log(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "mail.log"
    truth = mail_log.write_log(path, LINES, form=request.param)
    return path.read_bytes(), truth


def test_a_log_holds_what_is_asked_for(log):
    text, truth = log
    assert text.count(b"\n") == truth.lines == LINES
    tls = sum(connections for connections, _ in truth.connections.values())
    assert 0.1 < tls / LINES < 0.2
    kinds = {session[2] for _, _, session, _ in truth.connections}
    assert kinds == {"", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
    assert min(len(truth.failures), len(truth.destinations), len(truth.notices)) > 5


@pytest.mark.parametrize("size", [1 << 18, 4096, 977])
def test_every_count_equals_the_truth_in_pieces_of_one_size(log, size):
    text, truth = log
    assert_equals_truth(counted(text, lambda: size), truth)


def test_every_count_equals_the_truth_in_pieces_of_any_size(log):
    text, truth = log
    dice = random.Random(7)  # noqa: S311  sizes of pieces
    assert_equals_truth(counted(text, lambda: dice.choice((1, 80, 700, 30_000))), truth)


@pytest.mark.parametrize("seed", [8, 9])
def test_every_count_equals_the_truth_over_restarts(tmp_path, seed):
    """But for servers of one domain: what a reader hands on tells them apart no more."""
    path = tmp_path / "mail.log"
    form = ("rfc3164", "rfc3339")[seed % 2]
    truth = mail_log.write_log(path, LINES, seed, form, kin=False)
    dice = random.Random(seed)  # noqa: S311  sizes of pieces
    sizes = lambda: dice.choice((200, 2000, 40_000))  # noqa: E731
    statistics = counted(path.read_bytes(), sizes, new_reader_at_each=True)
    assert_equals_truth(statistics, truth)


@pytest.mark.parametrize("seed", range(2, 7))
def test_other_logs_over_the_turn_of_the_year(tmp_path, seed):
    form = ("rfc3164", "rfc3339")[seed % 2]
    path = tmp_path / "mail.log"
    truth = mail_log.write_log(path, LINES, seed, form, start=mail_log.LATE, peers=50 * seed)
    assert truth.first + timedelta(hours=2) < truth.last
    assert {truth.first.year, truth.last.year} == {2026, 2027}
    assert_equals_truth(counted(path.read_bytes(), lambda: 1 << 16), truth)


def test_the_same_seed_gives_the_same_log(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    mail_log.write_log(first, 2000, seed=3)
    mail_log.write_log(second, 2000, seed=3)
    assert first.read_bytes() == second.read_bytes()


def test_strangers_are_counted_whatever_their_number(tmp_path):
    path = tmp_path / "mail.log"
    lines = mail_log.write_strangers(path, 5000)
    tally = Tally(500)
    reader = Reader(tally, now=NOW, zone=UTC)
    for chunk in whole_lines(pieces(path.read_bytes(), lambda: 1 << 16)):
        reader.read(chunk)
    statistics = tally.statistics()
    assert statistics.lines == lines
    assert sum(one.connections for one in statistics.connections) == 5000
    assert sum(one.mails for one in statistics.connections) == 5000
    assert len(statistics.connections) < 5000
