"""What smtpd writes of TLS, read back from delivered mail, against what the client knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from delivered_mail import DOMAIN, HOST
from far_side import CLIENT
from postkeel.contract import Probed, Target
from postkeel.headers.trust import own_of
from postkeel.headers.values import Certificate, Tls, Verdict
from postkeel.headers.way import read_way
from postkeel.maillog.one_session import read_session
from postkeel_plugins.header_checker import witnesses
from postkeel_plugins.header_checker.witnesses import Account, Witness
from tls_combinations import combinations

pytestmark = pytest.mark.live

OWN = own_of((HOST,))


def hop_of(mail):
    way = read_way(mail.header, OWN)
    assert way.problems == ()
    assert way.believed == len(way.hops) == 1
    return way.hops[0]


@pytest.fixture(scope="module")
def sessions(mail_office):
    """Each combination and the message that came over it."""
    late = mail_office.is_recent
    made = [
        (one, mail_office.send(one.service, tls=one.options)) for one in combinations(late=late)
    ]
    assert len(made) > 80
    return made


def test_what_was_agreed_is_read(sessions):
    wrong = []
    for truth, mail in sessions:
        tls = hop_of(mail).tls
        if tls is None or tls.bits not in truth.bits or replace(tls, bits=0) != truth.tls:
            wrong.append((truth, tls))
    assert wrong == []


def test_what_was_agreed_is_judged(sessions):
    verdicts = [(truth, hop_of(mail)) for truth, mail in sessions]
    wrong = [
        (truth, hop)
        for truth, hop in verdicts
        if hop.verdict is not truth.verdict
        and (truth.verdict is not None or hop.verdict not in (Verdict.WELL, Verdict.WEAKLY))
    ]
    assert wrong == []


def test_the_line_is_of_the_session(sessions):
    for _, mail in sessions:
        hop = hop_of(mail)
        assert (hop.mta, hop.by, hop.protocol) == ("Postfix", HOST, "ESMTPS")
        assert (hop.helo, hop.address, hop.name) == (CLIENT, "127.84.0.1", "")
        assert (hop.identity, hop.recipient) == (mail.queue_id, f"somebody@{DOMAIN}")
        assert mail.after <= hop.time <= mail.before


def test_three_witnesses_agree(mail_office, sessions):
    """The client, the Received line and the mail log, whatever is agreed."""
    for truth, mail in sessions:
        lines = mail_office.lines_of(mail)
        told = witnesses.testimony(probed(truth.tls, mail, lines), proxied=False)
        handshake = Witness(
            account=Account.TLS, protocol=truth.tls.protocol, cipher=truth.tls.cipher
        )
        assert (told.handshake, told.header, told.log) == (handshake,) * 3
        assert not told.contradicted


def test_header_and_log_say_the_same(mail_office, sessions):
    """They have one source; what is read of them has two."""
    for truth, mail in sessions:
        name, session = read_session(mail_office.lines_of(mail))
        tls = hop_of(mail).tls
        assert name == ("postfix/every/smtpd" if truth.service == "every" else "postfix/smtpd")
        assert (session.protocol, session.cipher, session.bits) == (
            tls.protocol,
            tls.cipher,
            tls.bits,
        )
        assert (session.key_exchange, session.signature) == (tls.key_exchange, tls.signature)


@pytest.mark.parametrize(
    ("service", "tls", "header", "log"),
    [
        ("unsaid", (), Account.UNTOLD, Account.TLS),
        ("silent", (), Account.TLS, Account.UNTOLD),
        ("every", None, Account.CLEAR, Account.CLEAR),
        ("unsaid", None, Account.CLEAR, Account.CLEAR),
    ],
)
def test_a_witness_that_says_less(mail_office, service, tls, header, log):
    """The handshake is the one that a probe would have had; in clear both others contradict."""
    mail = mail_office.send(service, tls=tls)
    agreed = Tls(protocol="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    told = witnesses.testimony(probed(agreed, mail, mail_office.lines_of(mail)), proxied=False)
    assert (told.header.account, told.log.account) == (header, log)
    assert told.contradicted == (tls is None)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("service", ["every", "asks"])
def test_resumed_sessions(mail_office, tmp_path, version, service):
    """The server signs nothing then: Postfix leaves the digest out, newer ones the signature."""
    shown = mail_office.authority.issue("resumed", CLIENT)
    options = (version, "-cert", shown.certificate, "-key", shown.key)
    ticket = str(tmp_path / "ticket")
    first, again = (
        mail_office.send(service, tls=(*options, option, ticket))
        for option in ("-sess_out", "-sess_in")
    )
    if version == "-tls1_3":
        assert b"server-digest" in first.header
        assert b"server-digest" not in again.header
    before, tls = hop_of(first).tls, hop_of(again).tls
    assert tls in (before, replace(before, signature=""))
    _, session = read_session(mail_office.lines_of(again))
    assert (session.protocol, session.cipher) == (tls.protocol, tls.cipher)
    assert (session.key_exchange, session.signature) == (tls.key_exchange, tls.signature)


def test_a_message_without_the_line(mail_office):
    """As header checks leave it that take all trace lines away."""
    mail = mail_office.send("stripped", tls=())
    way = read_way(mail.header, OWN)
    assert (way.hops, way.believed) == ((), 0)
    agreed = Tls(protocol="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    told = witnesses.testimony(probed(agreed, mail, mail_office.lines_of(mail)), proxied=False)
    assert (told.header.account, told.log.account) == (Account.SILENT, Account.TLS)


def test_a_switched_off_header_is_tls_of_unknown_kind(mail_office):
    hop = hop_of(mail_office.send("unsaid", tls=()))
    assert (hop.verdict, hop.protocol, hop.tls) == (Verdict.UNKNOWN, "ESMTPS", None)
    assert "smtpd_tls_received_header" in hop.reason


def test_hidden_is_not_in_clear(mail_office):
    if not mail_office.is_recent:
        pytest.skip("smtpd_hide_client_session came with Postfix 3.10")
    for recipients in ((f"a@{DOMAIN}",), (f"a@{DOMAIN}", f"b@{DOMAIN}")):
        mail = mail_office.send("hidden", tls=(), recipients=recipients)
        hop = hop_of(mail)
        assert (hop.verdict, hop.tls, hop.address) == (Verdict.HIDDEN, None, "")
        assert (hop.by, hop.identity, hop.mta) == (HOST, mail.queue_id, "Postfix")
        told = witnesses.testimony(
            probed(Tls(protocol="TLSv1.3"), mail, mail_office.lines_of(mail)), proxied=False
        )
        assert told.header.account is Account.HIDDEN
        assert not told.contradicts(told.header)


def test_raw_keys(mail_office, tmp_path):
    if not mail_office.is_recent:
        pytest.skip("Postfix knows raw public keys since 3.9, OpenSSL since 3.2")
    options = ("-enable_client_rpk", "-enable_server_rpk")
    tls = hop_of(mail_office.send("raw", tls=options)).tls
    assert (tls.signature, tls.certificate) == (
        "ECDSA raw public key",
        Certificate.NOT_PRESENTED,
    )
    own = mail_office.authority.issue("raw", CLIENT)
    shown = (*options, "-cert", own.certificate, "-key", own.key)
    mail = mail_office.send("raw", tls=shown)
    tls = hop_of(mail).tls
    digest = own.spki_sha256()
    assert tls.subject.replace(":", "").lower() == digest
    assert tls.certificate is Certificate.NOT_VERIFIED
    _, session = read_session(mail_office.lines_of(mail))
    assert session.signature == tls.signature


def probed(agreed, mail, lines):
    """What a probe would have handed on, had it sent this."""
    return Probed(
        target=Target(service="smtp/inet", host="127.0.0.1", port="25"),
        protocol=agreed.protocol,
        cipher=agreed.cipher,
        queue_id=mail.queue_id,
        header=mail.header,
        lines=lines,
    )
