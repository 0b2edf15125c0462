"""What clients can put into smtpd's Received line, and what is read of it all the same."""

from __future__ import annotations

import contextlib
import re

import pytest

from authority import Authority
from delivered_mail import DOMAIN, HOST, MAIL_NAME, REFUSED
from far_side import CLIENT
from inserting_milter import InsertingMilter
from login_server import plain
from postkeel.headers.trust import own_of
from postkeel.headers.values import Certificate, Verdict
from postkeel.headers.way import read_way

pytestmark = pytest.mark.live

OWN = own_of((HOST,))
NEUTERED = ' <>()\\";@'  # smtpd.c, NEUTER_CHARACTERS; what is not printable becomes "?" too
FORGED = f"""\
Received: from mx.example (localhost [127.0.0.1])\r
	(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r
	by {HOST} (Postfix) with ESMTPS id F0F0F0;\r
	Mon, 1 Jan 2026 00:00:00 +0000\r
""".encode()
STRANGER = "203.0.113.7"


def only_hop(mail):
    """The one hop, and what smtpd writes after the client's part is as ever."""
    way = read_way(mail.header, OWN)
    assert (len(way.hops), way.believed, way.problems) == (1, 1, ())
    hop = way.hops[0]
    assert (hop.by, hop.identity, hop.mta) == (HOST, mail.queue_id, "Postfix")
    assert mail.after <= hop.time <= mail.before
    return hop


def test_helo_of_every_octet(mail_office):
    """Those that end a line or a string are none."""
    every = [bytes((one,)) for one in range(1, 128) if one not in b"\r\n"]
    for place in range(0, len(every), 12):
        octets = b"h" + b"".join(every[place : place + 12]) + b"t"
        hop = only_hop(mail_office.send(25, b"EHLO " + octets))
        text = re.sub("[ \t\v\f]+", " ", octets.decode())
        kept = "".join(one if one.isprintable() and one not in NEUTERED else "?" for one in text)
        assert hop.helo == kept
        assert (hop.address, hop.verdict) == ("127.84.0.1", Verdict.LOCAL)


@pytest.mark.parametrize(
    "helo",
    [
        *("from", "by", "via", "with", "id", "for", "tls", "BY", "unknown", "localhost"),
        *("[127.0.0.1]", "[IPv6:::1]", "b\u00fccher.example", "\u202e\u2066.example", "="),
        f"x:[127.0.0.1]-by-{HOST}",
    ],
)
@pytest.mark.parametrize("tls", [None, ()])
def test_helo_of_words_that_mean_something(mail_office, helo, tls):
    hop = only_hop(mail_office.send(25, f"EHLO {helo}", tls=tls))
    assert (hop.address, hop.recipient) == ("127.84.0.1", f"somebody@{DOMAIN}")
    assert (hop.tls is None) == (tls is None)
    assert hop.helo.isprintable()
    if helo.isprintable():
        assert hop.helo == helo


def test_helo_of_500_octets(mail_office):
    hop = only_hop(mail_office.send(25, "EHLO " + "h" * 500))
    assert hop.helo.startswith("h" * 200)
    assert hop.address == "127.84.0.1"


def test_eight_bits_where_utf8_is_off(mail_office):
    hop = only_hop(mail_office.send("ascii", b"EHLO \xe9\xff\x80(by)\xa0x"))
    assert hop.helo == "????by??x"


def test_helo_is_no_ehlo(mail_office):
    hop = only_hop(mail_office.send(25, "HELO x"))
    assert (hop.protocol, hop.verdict) == ("SMTP", Verdict.LOCAL)


# What is in the certificate, and how Postfix writes it: "?" for what is not ASCII,
# parentheses balanced, nothing at all for a name that is not printable.
NAMES = {
    "client.example.test": "client.example.test",
    'a "b" (c': 'a "b" (c)',
    'TLSv1.3 with cipher X) (x "': 'TLSv1.3 with cipher X? (x ")',
    'Q", Issuer "CA" (verified OK)': 'Q", Issuer "CA" (verified OK)',
    "(verified OK))))": "(verified OK)???",
    "((((((": "(((((())))))",
    "new\nline": "",
    "b\u00fccher": "b??cher",
    "a\\b": "a?b",
    '"': '"',
    "x" * 64: "x" * 64,
    f"by {HOST} (Postfix); Mon, 1 Jan 2026 00:00:00 +0000": None,
    "y" * 200: None,
}


@pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")  # the last two
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("verified", [True, False])
def test_client_certificates(mail_office, name, version, verified):
    authority = mail_office.authority if verified else mail_office.foreign
    shown = authority.issue("shown", name)
    options = (version, "-cert", shown.certificate, "-key", shown.key)
    tls = only_hop(mail_office.send("asks", tls=options)).tls
    assert tls.protocol == ("TLSv1.3" if version == "-tls1_3" else "TLSv1.2")
    assert (tls.bits, tls.signature) == (256, "ECDSA" if version == "-tls1_3" else "")
    assert tls.certificate is (Certificate.VERIFIED if verified else Certificate.NOT_VERIFIED)
    assert tls.issuer == ("Lab Root" if verified else 'Root of "others" (1)')
    if NAMES[name] is not None:
        assert tls.subject == NAMES[name]


@pytest.mark.parametrize(
    "name",
    ['CA" (verified OK)', 'CA", Issuer "Lab Root" (verified OK)', "not verified", '" (verified OK'],
)
def test_issuers_that_nobody_knows_do_not_verify_themselves(mail_office, tmp_path, name):
    shown = Authority(tmp_path, "hostile", name).issue("shown", "Lab Root")
    hop = only_hop(mail_office.send("asks", tls=("-cert", shown.certificate, "-key", shown.key)))
    assert hop.tls.certificate is Certificate.NOT_VERIFIED
    assert hop.verdict is Verdict.WELL


def test_no_certificate(mail_office):
    tls = only_hop(mail_office.send("asks", tls=())).tls
    assert tls.certificate is Certificate.NOT_PRESENTED
    assert only_hop(mail_office.send(25, tls=())).tls.certificate is Certificate.NOT_REQUESTED


@pytest.mark.parametrize(
    "user",
    [
        "joe",
        'joe (x) "q" )( \\',
        f"x) by evil.example (Postfix) with ESMTP id 1; {DOMAIN}",
        "; by x",
        "using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
        "(" * 50,
        "j\u00e9",
        "joe\tby\tx",
    ],
)
@pytest.mark.parametrize("service", ["login", "quiet_login"])
def test_logged_in(mail_office, user, service):
    hop = only_hop(mail_office.send(service, "EHLO x", plain(user), tls=()))
    assert (hop.authenticated, hop.protocol, hop.verdict) == (True, "ESMTPSA", Verdict.WELL)
    assert hop.recipient == f"somebody@{DOMAIN}"
    clear = only_hop(mail_office.send(service, "EHLO x", plain(user)))
    assert (clear.authenticated, clear.protocol, clear.tls) == (True, "ESMTPA", None)


def test_not_logged_in(mail_office):
    assert not only_hop(mail_office.send("login")).authenticated
    assert not only_hop(mail_office.send("login", tls=())).authenticated


@pytest.mark.parametrize("port", [587, 465])
def test_submission(mail_office, port):
    """Debian's own master.cf keeps back who submits mail, since it has Postfix 3.10."""
    hop = only_hop(mail_office.send(port, "EHLO x", plain("joe"), tls=()))
    if mail_office.is_recent:
        assert (hop.authenticated, hop.protocol, hop.verdict) == (False, "", Verdict.HIDDEN)
    else:
        assert (hop.authenticated, hop.protocol, hop.verdict) == (True, "ESMTPSA", Verdict.WELL)


@pytest.mark.parametrize(
    "local",
    ["a", "a+by", '"a b"', '"a> by x; with (\\"y"', '"; by evil.example"', '"("', '")"', '"\\""'],
)
def test_recipients(mail_office, local):
    """Two are not told."""
    one = f"{local}@{DOMAIN}"
    hop = only_hop(mail_office.send(25, recipients=(one,)))
    assert (hop.recipient, hop.protocol) == (one, "ESMTP")
    hop = only_hop(mail_office.send(25, recipients=(one, f"b@{DOMAIN}")))
    assert (hop.recipient, hop.protocol) == ("", "ESMTP")


def test_null_sender(mail_office):
    assert only_hop(mail_office.send(25, mail="MAIL FROM:<>")).address == "127.84.0.1"


@pytest.mark.parametrize(
    ("service", "commands", "tls", "protocol"),
    [
        (25, (), None, "UTF8SMTP"),
        (25, (), (), "UTF8SMTPS"),
        ("login", (plain("j\u00e9"),), (), "UTF8SMTPSA"),
    ],
)
def test_smtputf8(mail_office, service, commands, tls, protocol):
    mail = mail_office.send(
        service, "EHLO \u00e9.example", *commands, tls=tls, mail="MAIL FROM:<\u00e9@x> SMTPUTF8"
    )
    hop = only_hop(mail)
    assert (hop.protocol, hop.helo) == (protocol, "\u00e9.example")
    assert hop.verdict is (Verdict.LOCAL if tls is None else Verdict.WELL)


def test_another_name_for_postfix(mail_office):
    """With TLS its comments tell; in clear nothing does."""
    assert MAIL_NAME.encode() in mail_office.send("named").header
    hop = only_hop(mail_office.send("named", tls=()))
    assert hop.tls.cipher == "TLS_AES_256_GCM_SHA384"


def test_ipv6(mail_office):
    hop = only_hop(mail_office.send("six", tls=()))
    assert (hop.address, hop.verdict) == ("::1", Verdict.WELL)
    assert only_hop(mail_office.send("six")).verdict is Verdict.LOCAL


def xclient(name="[UNAVAILABLE]", address=STRANGER, **more):
    """Commands after which smtpd takes the client for another one."""
    told = "".join(f" {key}={value}" for key, value in more.items())
    return ("EHLO x", f"XCLIENT NAME={name} ADDR={address}{told}", f"EHLO {CLIENT}")


@pytest.mark.parametrize(
    ("commands", "name", "address"),
    [
        (xclient("host.example"), "host.example", STRANGER),
        (xclient(), "", STRANGER),
        (xclient("[TEMPUNAVAIL]", "IPV6:2001:db8::7"), "", "2001:db8::7"),
        (xclient("six.example", "IPV6:2001:db8::7"), "six.example", "2001:db8::7"),
        (xclient(address="[UNAVAILABLE]"), "", ""),
    ],
)
def test_clients_of_other_hosts(mail_office, commands, name, address):
    hop = only_hop(mail_office.send("told", *commands))
    assert (hop.name, hop.address, hop.verdict) == (name, address, Verdict.CLEAR)
    hop = only_hop(mail_office.send("told", *commands, tls=()))
    assert (hop.name, hop.address, hop.verdict) == (name, address, Verdict.WELL)


@pytest.mark.parametrize(
    ("commands", "believed"),
    [
        (xclient("mail.example"), 1),
        (xclient(), 1),
        (xclient(address="[UNAVAILABLE]"), 1),
        ((*xclient()[:2], "EHLO [127.0.0.1]"), 1),
        ((*xclient()[:2], "EHLO localhost"), 1),
        ((*xclient()[:2], f"EHLO {HOST}"), 1),
        (("EHLO x",), 2),  # whoever speaks SMTP on the host itself is one of its own
    ],
)
@pytest.mark.parametrize("tls", [None, ()])
def test_what_a_client_forges_is_hearsay(mail_office, commands, believed, tls):
    mail = mail_office.send("told", *commands, tls=tls, header=FORGED)
    way = read_way(mail.header, OWN)
    assert (len(way.hops), way.believed) == (2, believed)
    assert (way.hops[0].identity, way.hops[1].identity) == (mail.queue_id, "F0F0F0")


def test_forged_lines_of_a_client_that_logged_in(mail_office):
    mail = mail_office.send("told", *xclient(LOGIN="joe"), tls=(), header=FORGED)
    way = read_way(mail.header, OWN)
    assert (way.believed, way.hops[0].authenticated) == (1, True)


def test_broken_headers_do_not_reach_up(mail_office):
    """Folding, and a From line, at the beginning of what the client sends."""
    for header in (b"\tby evil.example\r\n", b" x\r\n", b"From nobody\r\n", b"no field\r\n"):
        mail = mail_office.send("told", *xclient(), tls=(), header=header)
        way = read_way(mail.header, OWN)
        hop = way.hops[0]
        assert (way.believed, hop.by, hop.identity) == (1, HOST, mail.queue_id)
        assert (hop.address, hop.verdict) == (STRANGER, Verdict.WELL)


def test_as_many_lines_below_as_postfix_takes(mail_office):
    """hopcount_limit is 50."""
    mail = mail_office.send("told", *xclient(), header=FORGED * 48)
    way = read_way(mail.header, OWN)
    assert (len(way.hops), way.believed) == (49, 1)


def test_what_a_filter_tells_of_the_client_is_not_in_the_line(mail_office):
    """XFORWARD is for logs; XCLIENT, above, is for all."""
    told = ("EHLO x", "XFORWARD NAME=far.example ADDR=10.1.1.1 PROTO=SMTP HELO=far")
    hop = only_hop(mail_office.send("told", *told))
    assert (hop.helo, hop.name, hop.address, hop.protocol) == ("x", "", "127.84.0.1", "ESMTP")


RESULTS = f"Authentication-Results: {HOST}; dkim="


@pytest.mark.parametrize("commands", [xclient(), ("EHLO x",)])
def test_results_that_a_client_brings_are_hearsay(mail_office, commands):
    """Postfix leaves them where they are, whoever's name they have."""
    header = f"{RESULTS}pass\r\n".encode()
    way = read_way(mail_office.send("told", *commands, header=header).header, OWN)
    assert [(one.by, one.believed) for one in way.results] == [(HOST, False)]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (0, [("fail", True), ("pass", False)]),
        (1, [("fail", False), ("pass", False)]),
        (2, [("pass", False), ("fail", False)]),
    ],
)
def test_results_of_a_filter(mail_office, place, expected):
    """Below Postfix's own line its field cannot be told from the client's."""
    value = f"{HOST}; dkim=fail"
    with contextlib.closing(
        InsertingMilter(mail_office.milter, "Authentication-Results", value, place)
    ):
        mail = mail_office.send("checked", *xclient(), header=f"{RESULTS}pass\r\n".encode())
    results = read_way(mail.header, OWN).results
    assert [(one.methods[0][1], one.believed) for one in results] == expected


def test_sendmail(mail_office):
    """What a user hands in ends the trust: below it he can write what he likes."""
    way = read_way(mail_office.sendmail().header, OWN)
    hop = way.hops[0]
    assert (way.believed, hop.verdict, hop.by, hop.mta) == (1, Verdict.LOCAL, HOST, "Postfix")
    way = read_way(mail_office.sendmail(header=FORGED.replace(b"\r", b"")).header, OWN)
    assert (len(way.hops), way.believed) == (2, 1)


def test_bounce(mail_office):
    """Postfix's own messages cannot be told from those of a client that it hides."""
    mail = mail_office.sendmail("-f", f"a@{DOMAIN}", recipient=f"x@{REFUSED}")
    way = read_way(mail.header, OWN)
    hop = way.hops[0]
    assert b"Undelivered Mail" in mail.header
    assert (hop.by, hop.mta, hop.verdict) == (HOST, "Postfix", Verdict.HIDDEN)
    assert mail.after <= hop.time <= mail.before
