"""Whatever is given, the readers answer, in time that grows with its size and no faster."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.headers.fields import trace_of
from postkeel.headers.received import read_hop
from postkeel.headers.results import read_results
from postkeel.headers.tokens import parts_of, words_of
from postkeel.headers.trust import own_of
from postkeel.headers.values import Hop, Tls
from postkeel.headers.way import arrival, delays, read_way, slowest

OWN = own_of(["mx.example.net", "192.0.2.0/24"])
PIECES = [
    *("from", "by", "via", "with", "id", "for", "tls", "group", "FROM", "By", ";", ",", "="),
    *(" ", "  ", "\t", "(", ")", "((", "))", "[", "]", "<", ">", '"', "\\", "\\\\", '\\"', ":"),
    *("mx.example.net", "a", "(Postfix)", "Postfix", "ESMTPS", "SMTP", "LMTP", "[127.0.0.1]"),
    *("(localhost [127.0.0.1])", "(x [192.0.2.1])", "(unknown [unknown])", "[IPv6:::1]"),
    *("(using TLSv1.2 with cipher ECDHE-RSA-AES256-SHA (256/256 bits))", "(envelope-from <"),
    *("(using TLSv1.3 with cipher", "(256/256 bits)", " key-exchange X25519", "server-signature"),
    *('(Client CN "a", Issuer "b" (verified OK))', "(Client CN ", '", Issuer "', "(not verified)"),
    *("(No client certificate requested)", "(Authenticated sender: a)", "(Postfix, from userid 0)"),
    *(
        "(version=TLS1_3 cipher=X bits=1/2)",
        "(TLSv1.2:AES256-SHA:256)",
        "(qmail 1 invoked by uid 2)",
    ),
    *("(Exim 4.96)", "esmtps", "(TLS1.3)", "(helo=a)", "Microsoft SMTP Server", "(8.18.1/8.18.1)"),
    *("mail.google.com", "(qmail-ldap-1.03)", "(OpenSMTPD)", "Haraka/3.0.1", "(Stalwart SMTP)"),
    *("Sun, 22 Nov 2026 13:00:09 +0000 (UTC)", "22 Nov 0000 99:99:99 +9999", "\x00", "\x1b[31m"),
    *("b\u00fccher", "\udcff", "\u202e", "=?utf-8?q?x?=", "\r", "\n ", "\n\t", "\r\n "),
]
garbage = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=60).map(
    "".join
)
spaced = st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join)
values = st.one_of(garbage, spaced, st.text())
fields = st.sampled_from(["Received: ", "received\t:", "Authentication-Results: ", "X: ", "", " "])
headers = st.lists(st.builds(lambda name, value: name + value, fields, values), max_size=12).map(
    lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
)


def texts_of(hop: Hop):
    for name in Hop.__dataclass_fields__:
        value = getattr(hop, name)
        if isinstance(value, Tls):
            yield from (one for one in map(value.__getattribute__, Tls.__dataclass_fields__))
        else:
            yield value


def assert_fit_to_show(hop):
    for text in texts_of(hop):
        assert not isinstance(text, str) or (text.isprintable() and len(text.encode()) <= 1000)


@given(values)
def test_any_line_is_a_hop(value):
    hop = read_hop(value)
    assert hop.reason
    assert_fit_to_show(hop)


@given(values)
def test_nothing_is_lost_or_made_up(value):
    """Each word is in the line, blanks aside, in its order."""
    words = words_of(value)
    joined = "".join("".join(words).split())
    rest = "".join(value.split())
    assert joined.rstrip(")").startswith(rest.rstrip(")")[: len(joined.rstrip(")"))])
    parts = parts_of(value)
    assert len(parts.clauses) <= 8
    assert not parts.date or parts.date.split()[-1] in words[-1]


@given(st.one_of(st.binary(), headers))
def test_any_octets_are_a_way(octets):
    way = read_way(octets, OWN)
    assert 0 <= way.believed <= len(way.hops)
    assert all(one.isprintable() for one in way.problems)
    assert len(delays(way.hops)) == len(way.hops)
    assert (arrival(way) is None) == (not way.hops)
    longest = slowest(way)
    assert longest is None or longest.seconds > 0
    for hop in way.hops:
        assert_fit_to_show(hop)


@given(headers, headers)
def test_the_body_does_not_matter(header, body):
    end = header.rstrip(b"\r\n") + b"\n\n"
    assert trace_of(end + body) == trace_of(end)


@given(headers)
def test_line_ends_do_not_matter(header):
    plain = header.replace(b"\r", b"")
    assert trace_of(plain.replace(b"\n", b"\r\n")) == trace_of(plain)


@given(values)
def test_results_are_total(value):
    found = read_results(value)
    assert found.by.isprintable() or not value.isprintable()


SHORT = 4_000
TIMES_LONGER = 8
HOSTILE = {
    "words": "a ",
    "clauses": "by a ",
    "nested": "(",
    "nested and closed": "(a) ",
    "closing": ")",
    "quotes": '"',
    "open quotes": '"a ',
    "escaped quotes": '\\"',
    "odd quotes": '"\\"<',
    "paths": "<",
    "quoted paths": '<"a"',
    "open paths": '<"\\"',
    "literals": "[a",
    "backslashes": "\\",
    "envelopes": '(envelope-from <"',
    "closed envelopes": '(envelope-from "")',
    "semicolons": ";",
    "blanks": " ",
    "using": "(using TLSv1.2 with cipher ",
    "names": '(Client CN "',
    "issuers": '", Issuer "',
    "versions": "(version=TLS1_2 ",
    "version words": "version=a cipher ",
    "digits": "1",
    "months": "1 Jan ",
    "addresses": "1.",
}


def cost(read, value):
    """Of three the least, for other work takes turns with this."""
    took = []
    for _ in range(3):
        started = time.process_time()
        read(value)
        took.append(time.process_time() - started)
    return min(took)


@pytest.mark.parametrize("start", ["", "from a (", "from a (a [192.0.2.1]) (using ", "by b; "])
@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear(piece, start):
    """Eight times the length may take sixteen times the time; quadratic would be sixty-four."""
    short = start + piece * SHORT
    long = start + piece * SHORT * TIMES_LONGER
    floor = 0.002
    for read in (read_hop, read_results):
        assert cost(read, long) < 2 * TIMES_LONGER * max(cost(read, short), floor)


@pytest.mark.parametrize(
    "piece",
    [
        b"a: b\n",
        b"a\n",
        b"\n ",
        b" \n",
        b"Received: a\n",
        b"\r",
        b"Received",
        b":",
        b"\x00",
        b"\nR",
    ],
)
def test_time_for_a_header_is_linear(piece):
    short = b"Received: by a\n\t" + piece * SHORT * 5
    long = b"Received: by a\n\t" + piece * SHORT * 5 * TIMES_LONGER
    read = lambda octets: read_way(octets, OWN)  # noqa: E731
    assert cost(read, long) < 2 * TIMES_LONGER * max(cost(read, short), 0.002)
