"""Which fields a header has, however it is written."""

import pytest

from postkeel.headers.fields import (
    LONGEST_FIELD,
    LONGEST_HEADER,
    LONGEST_TRACE,
    MOST_HOPS,
    Trace,
    trace_of,
)

NO_FIELD = "the header has lines that are no field"


def test_fields_in_order():
    trace = trace_of(
        b"Return-Path: <a@example.org>\n"
        b"Received: from a\n\tby b;\n 22 Nov 2026 13:09:25 +0000\n"
        b"authentication-results : mx.example.org; spf=pass\n"
        b"RECEIVED:by c\n"
        b"Subject: Received: by d\n"
        b" Received: by e\n"
        b"X-Received: by f\n"
        b"\n"
        b"Received: by g\n"
    )
    assert trace == Trace(
        received=("from a by b; 22 Nov 2026 13:09:25 +0000", "by c"),
        results=("mx.example.org; spf=pass",),
        above=(1,),
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"Received: by a\n\tb\n\nbody",
        b"Received: by a\r\n\tb\r\n\r\nbody",
        b"Received: by a\r\n\tb\n\nbody",
        b"From x@y Sun Nov 22 13:09:25 2026\nReceived: by a\n b\n",
        b"From x@y Sun Nov 22 13:09:25 2026\r\nReceived: by a\r\n b",
        b"Received: by a\n \n\tb",
        b"received\t :  by a\n  b ",
    ],
)
def test_line_ends_and_folds(octets):
    trace = trace_of(octets)
    assert [one.split() for one in trace.received] == [["by", "a", "b"]]
    assert not trace.problems


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\n",
        b"\r\nReceived: by a",
        b"\nReceived: by a",
        b"From x",
        b"From x\n\nReceived: by a",
    ],
)
def test_no_header(octets):
    assert trace_of(octets) == Trace()


@pytest.mark.parametrize(
    "octets",
    [
        b"garbage\nReceived: by a\n",
        b" garbage\nReceived: by a\n",
        b"\tgarbage\nReceived: by a\n",
        b"Received: by a\n>From x\nno field: x\n: x\nn\xc3\xb6: x\n",
        b"Received: by a\n\x00\x00\n",
    ],
)
def test_lines_of_no_field_are_told_once(octets):
    assert trace_of(octets) == Trace(received=("by a",), problems=(NO_FIELD,))


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"by \x00\x1b[31m", "by \\x00\\x1b[31m"),
        (b"by b\xc3\xbccher.example", "by b\u00fccher.example"),
        (b"by b\xfccher", "by b\\xfccher"),
        (b"by \xe2\x80\xaex", "by \\u202ex"),
        (b"by a\rb", "by a\\rb"),
        (b"by a\tb", "by a b"),
        (b"by a\t \tb", "by a   b"),
    ],
)
def test_one_printable_line(octets, text):
    assert trace_of(b"Received: " + octets + b"\n").received == (text,)


def test_more_hops_than_are_read():
    trace = trace_of(b"Received: by a\n" * 2500)
    assert trace.received == ("by a",) * MOST_HOPS
    assert trace.problems == (f"of 2500 fields Received only the first {MOST_HOPS} are read",)


def test_more_octets_than_are_read():
    long = b"Received: " + b"a" * (LONGEST_FIELD - 1) + b"\n"
    trace = trace_of(long * 200)
    assert LONGEST_TRACE < sum(map(len, trace.received)) < LONGEST_TRACE + LONGEST_FIELD
    assert trace.problems == (
        f"of 200 fields Received only the first {len(trace.received)} are read",
    )


def test_a_field_that_is_cut():
    trace = trace_of(b"Received: by a" + b"\n\tx" * LONGEST_FIELD + b"\nReceived: by b\n")
    assert len(trace.received[0]) <= LONGEST_FIELD
    assert trace.received[0].startswith("by a x x")
    assert trace.received[1] == "by b"
    assert trace.problems == ("fields Received that are longer than 64 KiB and are cut: 1",)


def test_a_header_that_is_cut():
    trace = trace_of(b"Received: by a\n" + b"X: " + b"a" * LONGEST_HEADER + b"\nReceived: by b\n")
    assert trace.received == ("by a",)
    assert trace.problems == ("the header is longer than 16 MiB and is cut there",)


def test_results_know_what_stands_above_them():
    trace = trace_of(
        b"Authentication-Results: a\nReceived: by b\nAuthentication-Results: c\n"
        b"Received: by d\nReceived: by e\nAuthentication-Results: f\n"
    )
    assert list(zip(trace.results, trace.above, strict=True)) == [("a", 0), ("c", 1), ("f", 3)]
