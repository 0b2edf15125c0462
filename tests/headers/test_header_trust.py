"""Down to which line a header is believed, and what a stranger can do about it: nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.headers.received import read_hop
from postkeel.headers.trust import believed, is_own, own_of
from postkeel.headers.values import Own

OWN = own_of(["mx.example.net", ".inside.example.net", "192.0.2.0/24", "2001:db8::/32"])

FOREIGN = "from a (a.example [198.51.100.1]) by mx.example.net (Postfix) with ESMTP id 1"
INSIDE = "from b (b.example [192.0.2.9]) by b.inside.example.net (Postfix) with ESMTP id 2"
LOOPBACK = "from localhost (localhost [127.0.0.1]) by mx.example.net (Postfix) with ESMTP id 3"
DOVECOT = "from mx.example.net by MX.example.net. with LMTP id 4"
PICKUP = "by mx.example.net (Postfix, from userid 33) id 5"
HIDDEN = "by mx.example.net (Postfix) id 6"
OTHER = "from c (c.example [203.0.113.1]) by elsewhere.example (Postfix) with ESMTP id 7"
NAMED = (
    "from mx.example.net (mx.example.net [203.0.113.7]) by b.inside.example.net (Postfix) with SMTP"
)
SIX = "from b (b.example [IPv6:2001:db8::9]) by mx.example.net (Postfix) with ESMTP id 8"
UNNAMED = "from mx.example.net (unknown [203.0.113.7]) by mx.example.net (Postfix) with SMTP"
SAID = "from mx.example.net (mx.example.net [203.0.113.7]) by mx.example.net with SMTP"
HELO = "from mx.example.net by mx.example.net with SMTP"


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ([], 0),
        ([OTHER], 0),
        ([OTHER, FOREIGN], 0),
        ([FOREIGN], 1),
        ([FOREIGN, FOREIGN], 1),
        ([FOREIGN, PICKUP], 1),
        ([INSIDE, FOREIGN, FOREIGN], 2),
        ([SIX, FOREIGN, FOREIGN], 2),
        ([INSIDE, OTHER, FOREIGN], 1),
        ([DOVECOT, LOOPBACK, FOREIGN, LOOPBACK], 3),
        ([INSIDE, DOVECOT, INSIDE, LOOPBACK], 4),
        ([PICKUP, FOREIGN], 1),
        ([HIDDEN, FOREIGN], 1),
        # A name that Postfix gives leads back to the address; one that is said does not.
        ([NAMED, FOREIGN], 2),
        ([UNNAMED, FOREIGN], 1),
        ([HELO, FOREIGN], 1),
        # A server that is not known may have been told the name.
        ([SAID, FOREIGN], 1),
    ],
)
def test_lines(lines, number):
    hops = [read_hop(line) for line in lines]
    assert believed(hops, OWN) == number
    assert believed(hops, Own()) == 0


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("mx.example.net", True),
        ("MX.Example.NET.", True),
        ("a.inside.example.net", True),
        ("a.b.inside.example.net", True),
        ("inside.example.net", False),
        ("xinside.example.net", False),
        ("example.net", False),
        ("mx.example.net.evil.example", False),
        ("192.0.2.255", True),
        ("[192.0.2.255]", True),
        ("[IPv6:2001:db8::1]", True),
        ("::ffff:192.0.2.1", True),
        ("fe80::1%eth0", False),
        ("192.0.3.1", False),
        ("[", False),
        ("", False),
        (".", False),
        ("..", False),
    ],
)
def test_hosts(host, own):
    assert is_own(host, OWN) is own


def test_own_hosts():
    assert own_of(
        [" MX.Example.NET. ", ".Example.org", "192.0.2.1", "[2001:DB8::1]", "::1"]
    ) == Own(
        names=frozenset(("mx.example.net", ".example.org")),
        networks=("192.0.2.1/32", "2001:db8::1/128", "::1/128"),
    )
    assert own_of(["192.0.2.77/24", "192.0.2.0/24"]).networks == ("192.0.2.0/24",)
    assert own_of(["[IPv6:2001:db8::1]", "localhost"]).names == frozenset(("localhost",))
    assert own_of([]) == Own()


NO_HOSTS = ("", ".", "a..b", "a b", "a/b", "a@b", "*.a", "a" * 300, "b\u00fccher.example", "(a)")
NO_ADDRESSES = ("192.0.2.0/33", "192.0.2", "192.0.2.256")


@pytest.mark.parametrize("word", NO_HOSTS + NO_ADDRESSES)
def test_words_that_are_no_host(word):
    with pytest.raises(ValueError, match=r"is no host: give a name|looks like an address"):
        own_of([word])


lines = st.sampled_from(
    [FOREIGN, INSIDE, LOOPBACK, DOVECOT, PICKUP, HIDDEN, OTHER, NAMED, SIX, UNNAMED, HELO]
)
ends = st.sampled_from([FOREIGN, PICKUP, HIDDEN, OTHER, UNNAMED, HELO])
anything = st.one_of(lines, st.text(max_size=80))


@given(above=st.lists(lines, max_size=6), end=ends, below=st.lists(anything, max_size=8))
def test_nothing_below_the_first_foreign_client_is_believed_or_changes_what_is(above, end, below):
    hops = [read_hop(line) for line in (*above, end)]
    trusted = believed(hops, OWN)
    forged = [*hops, *map(read_hop, below)]
    assert believed(forged, OWN) == trusted
    assert trusted <= len(hops)


@given(st.lists(anything, max_size=8))
def test_every_believed_line_is_of_an_own_host(texts):
    hops = [read_hop(text) for text in texts]
    assert all(is_own(hop.by, OWN) for hop in hops[: believed(hops, OWN)])


@given(st.text(max_size=40))
def test_own_hosts_are_read_or_refused_with_a_sentence(word):
    try:
        own = own_of([word])
    except ValueError as problem:
        said = str(problem)
        own = None
    assert own is not None or repr(word) in said
