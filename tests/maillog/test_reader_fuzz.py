"""Whatever the log holds: no exception, no negative count, and never quadratic time."""

from __future__ import annotations

import json
import math
import random
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mail_log
from mail_log_mutations import FRAGMENTS, mutations
from postkeel.maillog.prefix import MOST_OF_A_LINE, whole_lines
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import MOST_KINDS, Tally

RECORDED = Path(__file__).parent.parent / "cases" / "maillog"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
MUTATED = 100_000
IN_ONE_BATCH = 1000

STAMPS = (b"Nov 22 13:09:22 mx ", b"2026-11-22T13:09:20.123456+01:00 mx ")
SERVER, CLIENT, PROXY = b"postfix/smtpd[7]: ", b"postfix/smtp[7]: ", b"postfix/tlsproxy[7]: "
TAGS = (SERVER, CLIENT, PROXY, b"x: ")
CIPHER = b"Anonymous TLS connection established to a[1.2.3.4]: TLSv1.3 with cipher "
STARTS = (
    (b"x", b""),
    (SERVER, b""),
    (SERVER, b"disconnect from "),
    (SERVER, b"disconnect from a[1.2.3.4] "),
    (SERVER, b"Anonymous TLS connection established from "),
    (CLIENT, CIPHER),
    (CLIENT, CIPHER + b"A (1/1 bits) "),
    (CLIENT, CIPHER + b"A (1/1 bits) key-exchange B (c) server-signature "),
    (SERVER, b"SSL_accept error from "),
    (CLIENT, b"SSL_connect error to a[1.2.3.4]:25: "),
    (SERVER, b"warning: "),
    (SERVER, b"warning: TLS library problem: error:"),
    (PROXY, b"TLS handshake failed for service="),
    (CLIENT, b"certificate verification failed for "),
    (CLIENT, b"TLSRPT: status=failure, "),
    (CLIENT, b"4g0001zJ2xyz: to=<"),
    (CLIENT, b'4g0001zJ2xyz: to=<"'),
    (CLIENT, b"4g0001zJ2xyz: to=<a@b.example>, orig_to=<"),
    (CLIENT, b"4g0001zJ2xyz: to=<a@b.example>, relay="),
    (CLIENT, b"4g0001zJ2xyz: to=<a@b.example>, relay=a[1.2.3.4]:25, delay=1, delays="),
)
REPEATED = (
    b"]: ",
    b"]",
    b"[",
    b'"',
    b'""@',
    b"\\",
    b'\\"',
    b"a",
    b"@",
    b".",
    b" ",
    b":",
    b"1/",
    b"to=<",
    b">, relay=",
    b" key-exchange ",
    b"a=1 ",
    b"\xff",
    b"a[1.2.3.4]: ",
)
SMALL = 4_000
STRAIGHT = 64 * 6
TOO_LONG = 3.0


def read(text, tally=None, state=None):
    tally = tally or Tally()
    reader = Reader(tally, now=NOW, zone=UTC, state=state)
    reader.read(text)
    return reader, tally


def assert_sound(tally, lines):
    statistics = tally.statistics()
    assert statistics.lines == lines
    counts = [one.connections for one in statistics.connections]
    counts += [one.mails for one in statistics.connections]
    assert all(count >= 0 for count in counts)
    kept = (*statistics.failures, *statistics.notices)
    assert all(one.count > 0 for one in kept)
    assert all(one.mails > 0 for one in statistics.destinations)
    assert sum(counts) <= lines * 10**9


def assert_total(text):
    """The text is read, and so is what follows after the reader's state was kept as JSON."""
    reader, tally = read(text)
    state = json.loads(json.dumps(reader.state()))
    again, _ = read(text, tally, state)
    again.finish()
    assert_sound(tally, 2 * text.count(b"\n"))


@given(st.binary(max_size=300))
@example(b"\n")
@example(b"]: \n")
def test_any_octets_are_read(octets):
    assert_total(octets + b"\n")


PIECES = st.one_of(
    st.sampled_from(FRAGMENTS + tuple(start for _, start in STARTS) + REPEATED),
    st.binary(max_size=8),
    st.just(b"\n"),
)


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(st.sampled_from(STAMPS), st.sampled_from(TAGS), st.lists(PIECES, max_size=8)),
        max_size=6,
    )
)
def test_any_messages_of_postfix_are_read(lines):
    text = b"".join(stamp + tag + b"".join(words) + b"\n" for stamp, tag, words in lines)
    assert_total(text)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Lines of generated and recorded logs."""
    path = tmp_path_factory.mktemp("log") / "mail.log"
    texts = []
    for form in ("rfc3164", "rfc3339"):
        mail_log.write_log(path, 3000, form=form)
        texts.append(path.read_bytes())
    texts += [one.read_bytes() for one in sorted(RECORDED.glob("*.log"))]
    return b"".join(texts).split(b"\n")


def test_mutated_lines_are_read(sources):
    tally, state = Tally(), None
    lines = mutations(sources, MUTATED, seed=11)
    while batch := list(islice(lines, IN_ONE_BATCH)):
        reader, _ = read(b"\n".join(batch) + b"\n", tally, state)
        state = json.loads(json.dumps(reader.state()))
    assert_sound(tally, MUTATED)


def seconds(text):
    """The quicker of two; one that takes long needs no second."""
    best = TOO_LONG
    for _ in range(2):
        began = time.perf_counter()
        assert_total(text)
        best = min(best, time.perf_counter() - began)
        if not 0.02 < best < 0.5:
            break
    return best


def growth(make):
    """By what factor the time grows with a text that is 64 times as long: 64, or 4096 for a square.

    What takes milliseconds even then tells nothing. Stops at what takes too long.
    """
    before = seconds(make(SMALL))
    now = 0.0
    for factor in (8, 64):
        now = seconds(make(SMALL * factor))
        if now >= TOO_LONG:
            return math.inf
    return now / before if now > 0.05 else 0.0


@pytest.mark.parametrize(("tag", "start"), STARTS, ids=lambda text: text.decode())
def test_a_long_line_takes_time_by_its_length(tag, start):
    for repeated in REPEATED:

        def line(size, repeated=repeated):
            return STAMPS[0] + tag + start + repeated * (size // len(repeated)) + b"\n"

        assert growth(line) < STRAIGHT, repeated


MANY = {
    "processes": lambda n: b"Nov 22 13:09:22 mx postfix/smtpd[%d]: connect from a[1.2.3.4]" % n,
    "programs": lambda n: b"Nov 22 13:09:22 mx p%d/smtpd[1]: connect from a[1.2.3.4]" % n,
    "hosts": lambda n: b"Nov 22 13:09:22 mx%d postfix/smtpd[1]: connect from a[1.2.3.4]" % n,
    "stamps": lambda n: (
        b"%04d-11-22T%02d:09:22+00:00 mx postfix/smtpd[1]: SSL_accept error from a[1.2.3.4]: -1"
        % (n // 24 % 9000 + 1, n % 24)
    ),
    "peers": lambda n: (
        b"Nov 22 13:09:22 mx postfix/smtpd[1]: Anonymous TLS connection established from"
        b" a.b%d.example[1.2.3.4]: TLSv1.2 with cipher A (1/1 bits)" % n
    ),
    "ciphers": lambda n: (
        b"Nov 22 13:09:22 mx postfix/smtpd[1]: Anonymous TLS connection established from"
        b" a[1.2.3.4]: TLSv1.2 with cipher A%d (1/1 bits)" % n
    ),
    "names": lambda n: (
        b"Nov 22 13:09:22 mx p%d/smtpd[1]: Anonymous TLS connection established from"
        b" a[1.2.3.4]: TLSv1.2 with cipher A (1/1 bits)" % n
    ),
    "reasons": lambda n: (
        b"Nov 22 13:09:22 mx postfix/smtpd[1]: SSL_accept error from a[1.2.3.4]: r%d" % n
    ),
    "farewells": lambda n: (
        b"Nov 22 13:09:22 mx postfix/smtpd[1]: disconnect from a[1.2.3.4] data=%d commands=9" % n
    ),
    "recipients": lambda n: (
        b"Nov 22 13:09:22 mx postfix/smtp[1]: 4g%08d: to=<a@b%d.example>, relay=c[1.2.3.4]:25,"
        b" delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (ok)" % (n, n)
    ),
    "notices": lambda n: (
        b"Nov 22 13:09:22 mx postfix/smtpd[1]: certificate verification failed for"
        b" b%d.example[1.2.3.4]:25: untrusted issuer /CN=%d" % (n, n)
    ),
}


@pytest.mark.parametrize("what", MANY)
def test_many_things_take_time_by_their_number(what):
    line = MANY[what]

    def text(size):
        return b"\n".join(map(line, range(size // 100))) + b"\n"

    assert growth(text) < STRAIGHT


@pytest.mark.parametrize("what", MANY)
def test_many_things_are_kept_within_bounds(what):
    tally = Tally(500)
    lines = map(MANY[what], range(20_000))
    reader = Reader(tally, now=NOW, zone=UTC)
    while batch := list(islice(lines, IN_ONE_BATCH)):
        reader.read(b"\n".join(batch) + b"\n")
    assert len(json.dumps(reader.state())) < 1 << 20
    statistics = tally.statistics()
    assert len(statistics.connections) <= 500 + MOST_KINDS
    assert len(statistics.failures) <= 500
    assert len(statistics.destinations) <= 500
    assert len(statistics.notices) <= 2000
    assert_sound(tally, 20_000)


def cut_anywhere(text, dice):
    at = 0
    while at < len(text):
        size = dice.choice((1, 2, 50, 5000, 70_000))
        yield text[at : at + size]
        at += size


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_cut_alike_whatever_the_chunks(seed):
    dice = random.Random(seed)  # noqa: S311  sizes of pieces
    lines = [
        bytes(dice.choice((97, 0, 255)) for _ in range(20)) * dice.choice((1, 2, 100, 3276, 9999))
        for _ in range(20)
    ]
    whole = b"".join(line[:MOST_OF_A_LINE] + b"\n" for line in lines)
    text = b"\n".join(lines) + b"\n" * dice.randrange(2)
    given_out = list(whole_lines(cut_anywhere(text, dice)))
    assert all(one.endswith(b"\n") for one in given_out)
    assert [one[:MOST_OF_A_LINE] for one in b"".join(given_out).split(b"\n")] == whole.split(b"\n")
