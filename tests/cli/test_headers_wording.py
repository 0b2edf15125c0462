"""How `postkeel headers` puts times, hosts and verdicts."""

import pytest

from postkeel.cli.headers_wording import IN_A_WORD, STYLES, details, duration, sender, your_hosts
from postkeel.headers.trust import own_of
from postkeel.headers.values import Certificate, Hop, Tls, Verdict


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (7260, "2 h 1 min"),
        (172_799, "47 h 59 min"),
        (172_800, "2 d"),
        (400 * 86_400 + 7200, "400 d 2 h"),
        (1e11, "1,157,407 d 9 h"),
        (-3, "-3 s"),
        (-7260, "-2 h 1 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def hop(**parts):
    return Hop(verdict=Verdict.WELL, reason="", text="", **parts)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ({"name": "a.example", "address": "192.0.2.1", "helo": "b"}, "a.example"),
        ({"name": "unknown", "address": "192.0.2.1", "helo": "b"}, "[192.0.2.1]"),
        ({"address": "2001:db8::1", "helo": "b"}, "[2001:db8::1]"),
        ({"helo": "b"}, "b"),
        ({}, "-"),
    ],
)
def test_who_handed_it_over(parts, shown):
    assert sender(hop(**parts)) == shown


def test_every_verdict_has_its_word_and_colour():
    assert IN_A_WORD.keys() == STYLES.keys() == set(Verdict)
    assert max(map(len, IN_A_WORD.values())) <= 9


def test_a_client_certificate():
    tls = Tls(certificate=Certificate.VERIFIED, subject="a.example", issuer="Root")
    told = dict(details(hop(tls=tls, authenticated=True)))
    assert told["client"] == "certificate verified, a.example, issued by Root"
    assert told["login"] == "yes"
    unnamed = Tls(certificate=Certificate.NOT_VERIFIED, subject="a.example")
    assert dict(details(hop(tls=unnamed)))["client"].endswith("issued by nobody named")
    assert details(hop()) == []


def test_hosts_of_ones_own():
    assert your_hosts(own_of(())) == your_hosts(own_of(("localhost", "127.0.0.1/8"))) == ""
    many = own_of(("b.example", "a.example", ".c.example", "192.0.2.0/24", "::1", "2001:db8::/32"))
    assert your_hosts(many) == ".c.example, a.example, b.example, 192.0.2.0/24 and 1 other"
