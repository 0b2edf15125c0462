"""TLSA records: what is asked for, and what fits what."""

from __future__ import annotations

import hashlib

import pytest

from postkeel.certificates.tlsa import (
    MOST_QUESTIONS,
    disputed,
    fits,
    matches,
    questions,
    record_for,
    usable,
)
from postkeel.certificates.values import Tlsa
from tlsa_host import HOST, certificate, certificates, chain, instance, key, record, use, whole

OLD, NEW = (f"3 1 1 {certificate(one).key_sha256}" for one in ("old", "new"))


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


def sha512(octets):
    return hashlib.sha512(octets).hexdigest()


MATCHING = [
    # record, whether it is that of the chain leaf, issuer, root
    (f"3 1 1 {sha256(key('leaf'))}", True),
    (f"3 1 1 {sha256(key('leaf')).upper()}", True),
    (f"3 0 1 {sha256(whole('leaf'))}", True),
    (f"3 1 2 {sha512(key('leaf'))}", True),
    (f"3 0 2 {sha512(whole('leaf'))}", True),
    (f"3 1 0 {key('leaf').hex()}", True),
    (f"3 0 0 {whole('leaf').hex()}", True),
    (f"3 1 1 {sha256(key('issuer'))}", False),
    (f"3 0 1 {sha256(key('leaf'))}", False),
    (f"3 1 1 {sha256(whole('leaf'))}", False),
    (f"3 1 2 {sha512(whole('leaf'))}", False),
    (f"3 1 0 {whole('leaf').hex()}", False),
    (f"2 1 1 {sha256(key('issuer'))}", True),
    (f"2 0 1 {sha256(whole('root'))}", True),
    (f"2 0 2 {sha512(whole('root'))}", True),
    (f"2 0 0 {whole('root').hex()}", True),
    (f"2 1 1 {sha256(key('leaf'))}", False),
    (f"2 1 1 {sha256(key('stranger'))}", False),
    # A whole trust anchor need not be in the chain: that it did not sign it is not known.
    (f"2 0 0 {whole('stranger').hex()}", None),
    (f"2 1 0 {key('stranger').hex()}", None),
    # What no sending server goes by.
    (f"0 1 1 {sha256(key('leaf'))}", None),
    (f"1 1 1 {sha256(key('leaf'))}", None),
    (f"4 1 1 {sha256(key('leaf'))}", None),
    (f"255 255 255 {sha256(key('leaf'))}", None),
    (f"3 2 1 {sha256(key('leaf'))}", None),
    (f"3 1 3 {sha256(key('leaf'))}", None),
    (f"3 1 1 {sha256(key('leaf'))[2:]}", None),
    (f"3 1 2 {sha256(key('leaf'))}", None),
    ("3 1 1", None),
    ("3 0 0", None),
]


@pytest.mark.parametrize(("text", "expected"), MATCHING)
def test_what_a_record_asks_for(text, expected):
    assert matches(record(text), chain("leaf", "issuer", "root")) is expected


def test_a_leaf_alone_has_no_trust_anchor():
    assert matches(record(f"2 1 1 {sha256(key('issuer'))}"), chain("leaf")) is False
    assert matches(record(f"2 0 0 {whole('issuer').hex()}"), chain("leaf")) is None


def test_a_digest_that_is_not_known_tells_nothing():
    unknown = chain("leaf", "issuer", with_sha512=False)
    for usage in (2, 3):
        for selector in (0, 1):
            assert matches(record(f"{usage} {selector} 2 {'0' * 128}"), unknown) is None


def test_one_record_that_matches_is_enough():
    both = [record(OLD), record(NEW)]  # RFC 7671, section 8.1: published before the key is used
    assert fits(both, chain("old")) is True
    assert fits(both, chain("new")) is True
    assert fits(both[:1], chain("new")) is False
    assert fits(both, chain("third")) is False
    assert fits((one for one in both), chain("new")) is True


def test_records_that_nobody_goes_by_speak_against_nothing():
    assert fits([], chain("leaf")) is None
    useless = [record(f"1 1 1 {'0' * 64}"), record("3 1 1 00")]
    assert not any(usable(one) for one in useless)
    assert fits(useless, chain("leaf")) is None
    assert fits([*useless, record(OLD)], chain("new")) is False
    assert fits([record(OLD), record(f"2 0 0 {whole('root').hex()}")], chain("new")) is None


def test_the_record_to_publish_is_that_of_the_key():
    one = certificate("leaf")
    assert record_for(one) == f"3 1 1 {sha256(key('leaf'))}"
    assert matches(record(record_for(one)), chain("leaf")) is True


def asked(*services, uses=(), **how):
    found = questions(instance(*services, **how), certificates(*uses))
    return [f"{port} {name}" for port, name in found]


def test_the_own_name_is_asked_about_on_each_port_of_mail():
    assert asked() == [f"25 {HOST}"]
    assert asked("submission/inet", "127.0.0.1:10025/inet", "smtp/inet", "submissions/inet") == [
        f"25 {HOST}",
        f"465 {HOST}",
        f"587 {HOST}",
    ]
    assert asked("127.0.0.1:10025/inet") == []


def test_a_service_may_call_itself_otherwise():
    own = {"127.0.0.2:smtp/inet": "Other.Signed.Example."}
    assert asked("smtp/inet", "127.0.0.2:smtp/inet", own=own) == [
        f"25 {HOST}",
        "25 other.signed.example",
    ]


def test_the_names_of_the_sni_table_are_asked_about_where_they_are_served():
    uses = (
        use("old"),
        use("old", "smtp/inet", name="a.example.org"),
        use("old", "smtp/inet", name="A.example.org"),
        use("old", "submission/inet", name="b.example.org"),
        use("old", "smtp/unix", client=True, name="client.example.org"),
        use("old", "smtp/inet", client=True, name="client.example.org"),
        use("old", "smtp/inet", name=".below.example.org"),
    )
    assert asked("submission/inet", "smtp/inet", uses=uses) == [
        f"25 {HOST}",
        "25 a.example.org",
        f"587 {HOST}",
        "587 b.example.org",
    ]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "mx..example.org",
        "mx.example.org..",
        "mx example.org",
        "mx.exämple.org",
        "mx.example.org\n",
        "mx\\.example.org",
        "*.example.org",
        f"{'a' * 64}.example.org",
        ".".join(["a" * 49] * 5),
    ],
)
def test_what_is_no_name_of_a_host_is_not_asked_about(host):
    assert asked(host=host) == []


def test_names_as_long_as_they_may_be():
    host = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 51])
    assert asked(host=host) == [f"25 {host}"]
    assert asked(host=f"{host}e") == []


def test_there_is_a_bound_and_port_25_is_within_it():
    uses = [
        use("old", service, name=f"n{number}.example.org")
        for service in ("submission/inet", "smtp/inet")
        for number in range(MOST_QUESTIONS)
    ]
    found = asked("submission/inet", "smtp/inet", uses=uses)
    assert len(found) == MOST_QUESTIONS
    assert all(one.startswith("25 ") for one in found)


def is_disputed(records, *uses, services=("smtp/inet", "submission/inet"), unread=""):
    tlsa = Tlsa(records={one: (record(text),) for one, text in records.items()})
    return disputed(tlsa, instance(*services), certificates(*uses, unread=unread))


def test_a_chain_that_does_not_fit_is_disputed():
    assert not is_disputed({("25", HOST): OLD}, use("old"))
    assert is_disputed({("25", HOST): OLD}, use("new"))
    assert not is_disputed({("25", HOST): OLD}, use("new"), unread="new")
    assert not is_disputed({("25", HOST): OLD})
    assert not is_disputed({("25", HOST): OLD}, use("new", client=True))
    assert not is_disputed({}, use("new"))


def test_it_is_the_chain_of_that_port():
    uses = (use("old"), use("new", "submission/inet"))
    assert not is_disputed({("25", HOST): OLD, ("587", HOST): NEW}, *uses)
    assert is_disputed({("25", HOST): OLD, ("587", HOST): OLD}, *uses)
    assert not is_disputed({("25", HOST): OLD, ("465", HOST): OLD}, *uses)


def test_it_is_the_chain_of_that_name():
    name, below = "b.example.org", ".example.org"
    exact = use("new", name=name)
    assert is_disputed({("25", name): OLD}, use("old"), exact)
    assert not is_disputed({("25", name): NEW, ("25", HOST): OLD}, use("old"), exact)
    assert is_disputed({("25", name): OLD}, use("old"), use("new", name=below))
    assert not is_disputed({("25", name): OLD}, use("old", name=name), use("new", name=below))
    assert not is_disputed({("25", "b.example.net"): OLD}, use("old"), use("new", name=below))
