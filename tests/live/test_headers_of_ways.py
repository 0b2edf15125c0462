"""Mail over several hops of real Postfixes: who is believed, and how long each took."""

from __future__ import annotations

import random
import subprocess

import pytest

import private_postfix as bed
from delivered_mail import DOMAIN, HOST
from far_side import CLIENT, clear_client
from guarded import until
from postkeel.contract import Probed, Target
from postkeel.headers.trust import own_of
from postkeel.headers.values import Own, Verdict
from postkeel.headers.way import arrival, delays, read_way
from postkeel_plugins.header_checker import witnesses
from postkeel_plugins.header_checker.witnesses import Account

pytestmark = pytest.mark.live

OWN = own_of((HOST,))
EDGE = "edge.example.test"
STRANGER = ("EHLO x", "XCLIENT NAME=[UNAVAILABLE] ADDR=203.0.113.7", f"EHLO {CLIENT}")
FORGED = b"""\
Received: from a by mail.example.test (Postfix) with ESMTPS id F0;\r
	Mon, 1 Jan 2024 00:00:00 +0000\r
"""


@pytest.mark.parametrize(
    ("service", "inner"), [("proxied", Verdict.LOCAL), ("filtered", Verdict.LOCAL)]
)
def test_trust_goes_through_a_filter(mail_office, service, inner):
    """Both lines are the host's own; the lower one is of the session with the client."""
    way = read_way(mail_office.send(service, tls=()).header, OWN)
    assert [hop.verdict for hop in way.hops] == [inner, Verdict.WELL]
    assert [hop.by for hop in way.hops] == [HOST, HOST]
    assert [hop.address for hop in way.hops] == [mail_office.address, "127.84.0.1"]
    assert way.believed == 2
    assert arrival(way) is way.hops[1]
    assert all(0 <= seconds <= 60 for seconds in delays(way.hops)[:1])


def test_a_filter_before_the_queue_leaves_no_number(mail_office):
    """The session is found in the log by the number that the filter gave."""
    mail = mail_office.send("proxied", tls=())
    way = read_way(mail.header, OWN)
    assert [hop.identity for hop in way.hops] == [mail.queue_id, ""]
    told = told_of(mail, mail_office, proxied=True)
    assert (told.header.account, told.log.account) == (Account.TLS, Account.TLS)
    assert not told.contradicted


def test_the_witnesses_of_a_message_that_a_filter_sent_back(mail_office):
    mail = mail_office.send("filtered", tls=())
    told = told_of(mail, mail_office, proxied=False)
    assert (told.header.account, told.log.account) == (Account.TLS, Account.TLS)
    assert not told.contradicted


def test_postscreen_hands_on(mail_office):
    mail = mail_office.send("screened", tls=())
    hop = read_way(mail.header, OWN).hops[0]
    assert (hop.verdict, hop.identity) == (Verdict.WELL, mail.queue_id)
    assert not told_of(mail, mail_office, proxied=False).contradicted


def told_of(mail, office, *, proxied):
    """Of a client that had TLS 1.3, as all here have."""
    told = Probed(
        target=Target(service="smtp/inet", host="127.0.0.1", port="25"),
        protocol="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        queue_id=mail.queue_id,
        header=mail.header,
        lines=office.lines_of(mail),
    )
    return witnesses.testimony(told, proxied=proxied)


@pytest.fixture(scope="module")
def outside():
    """An address that is none of loopback's, for a host to speak from; gone afterwards."""
    address = f"198.18.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311 no secret
    for verb in ("add", "del"):
        command = ["ip", "address", verb, f"{address}/32", "dev", "lo"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        if verb == "add":
            yield address


@pytest.fixture(scope="module")
def edge(mail_office, outside):
    """A second Postfix, which hands all its mail to the first over TLS."""
    parameters = {
        "myhostname": EDGE,
        "relayhost": f"[{mail_office.address}]:25",
        "smtp_tls_security_level": "encrypt",
        "smtp_bind_address": outside,
        "relay_domains": DOMAIN,
        "smtpd_tls_received_header": "yes",
        "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
        "mydestination": "",
    }
    with bed.private_postfix(parameters=parameters) as postfix:
        until(lambda: "daemon started" in postfix.log(), seconds=60)
        yield postfix


@pytest.fixture(scope="module")
def relayed(mail_office, edge):
    """A message of a stranger, who wrote a line that looks like the edge's, through both."""
    with clear_client(edge.address, 25) as client:
        for line in (*STRANGER, "MAIL FROM:<>", f"RCPT TO:<relayed@{DOMAIN}>"):
            assert client.say(line)[0] == "2"
        client.say("DATA")
        assert client.say(FORGED + b"X-Token: relayed-\r\n\r\nMail.\r\n.").startswith("250")
    return mail_office.arrived("relayed-")


@pytest.mark.parametrize(
    ("own", "believed"),
    [
        ((), 0),
        ((EDGE,), 0),
        ((HOST,), 1),
        ((HOST, EDGE), 1),  # the line names the edge by its address only: it has no name in DNS
        ((HOST, EDGE, "198.18.0.0/15"), 2),
        ((".example.test", "198.18.0.0/15"), 2),
        ((HOST, "198.18.0.0/15"), 1),
        (("127.83.0.0/16",), 0),
    ],
)
def test_two_hosts(relayed, outside, own, believed):
    way = read_way(relayed, own_of(own))
    assert [hop.by for hop in way.hops] == [HOST, EDGE, HOST]
    assert [hop.verdict for hop in way.hops[:2]] == [Verdict.WELL, Verdict.CLEAR]
    assert [hop.address for hop in way.hops] == [outside, "203.0.113.7", ""]
    assert way.hops[0].helo == EDGE
    assert way.believed == believed


@pytest.mark.parametrize(
    ("name", "helo", "believed"),
    [
        (EDGE, EDGE, 2),
        (EDGE, "other.example", 2),
        ("[UNAVAILABLE]", EDGE, 1),
        ("a.example", EDGE, 1),
    ],
)
def test_a_host_by_the_name_that_dns_has(mail_office, name, helo, believed):
    """The name is Postfix's own finding; HELO is anybody's word."""
    below = FORGED.replace(HOST.encode(), EDGE.encode())
    commands = ("EHLO x", f"XCLIENT NAME={name} ADDR=203.0.113.7", f"EHLO {helo}")
    way = read_way(mail_office.send("told", *commands, header=below).header, own_of((HOST, EDGE)))
    assert way.hops[1].by == EDGE
    assert way.believed == believed


def test_the_way_takes_time(relayed):
    way = read_way(relayed, Own())
    first, second, third = delays(way.hops)
    assert 0 <= first <= 60
    assert second > 86400 * 365  # what the stranger wrote is of 2024
    assert third is None
