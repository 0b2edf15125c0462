"""Which hosts are one's own: those of Postfix's configuration, and what an administrator says."""

from __future__ import annotations

import pytest

from postkeel.headers.hosts import own_hosts
from postkeel.headers.trust import is_own
from postkeel.postfix.instance import Instance, Parameter, Role, Service


def instance(**parameters):
    """One whose submission service has a name of its own."""
    named = {"myhostname": Parameter(value="submit.$mydomain", where="master.cf:13")}
    return Instance(
        config_directory="/etc/postfix",
        version="3.10.5",
        openssl="3.5.0",
        map_types=(),
        parameters={},
        defaults={"myhostname": "mx.example.org", "mydomain": "example.org"} | parameters,
        services=(
            Service(name="smtp/inet", command="smtpd", where="master.cf:12", role=Role.MX),
            Service(
                name="submission/inet",
                command="smtpd",
                where="master.cf:13",
                role=Role.SUBMISSION,
                overrides=named,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("mx.example.org", True),
        ("submit.example.org", True),
        ("example.org", False),
        ("other.example.org", False),
        ("localhost", True),
        ("127.0.0.7", True),
        ("::1", True),
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("198.51.100.9", True),
        ("192.0.2.2", False),
    ],
)
def test_those_of_an_instance(host, own):
    listens = {
        "inet_interfaces": "192.0.2.1, [2001:db8::1] loopback-only",
        "proxy_interfaces": "198.51.100.9",
    }
    assert is_own(host, own_hosts([instance(**listens)])) is own


def test_all_interfaces_are_no_host():
    assert own_hosts([instance(inet_interfaces="all")]) == own_hosts([instance()])


def test_words_are_added_and_what_is_no_host_is_left_out():
    own = own_hosts([instance(myhostname="no host")], ["relay.example.net", "?", "10.0.0.0/8"])
    assert is_own("relay.example.net", own)
    assert is_own("10.1.2.3", own)
    assert own.names == frozenset(("localhost", "submit.example.org", "relay.example.net"))


def test_a_host_without_postfix():
    assert own_hosts([]).names == frozenset(("localhost",))
    assert not is_own("mx.example.org", own_hosts([]))
