"""Lines as Postfix writes them, from the format strings of src/smtpd/smtpd.c and recorded ones."""

import pytest

from postkeel.headers.received import LONGEST_TEXT, read_hop
from postkeel.headers.values import Certificate, Tls, Verdict

CLIENT = "from mail.example.org (mail.example.org [192.0.2.1])"
TLS13 = (
    "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
    "  key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)"
)
TLS12 = "(using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits))"
NO_CERTIFICATE = "(No client certificate requested)"
BY = "by mx.example.net (Postfix) with"
END = "id 3856A2AC9A1 for <b@example.net>; Sun, 22 Nov 2026 13:09:25 +0000 (UTC)"


def test_all_that_a_line_says():
    hop = read_hop(f"{CLIENT} {TLS13} {NO_CERTIFICATE} {BY} ESMTPS {END}")
    assert (hop.verdict, hop.reason) == (Verdict.WELL, "TLSv1.3 with TLS_AES_256_GCM_SHA384")
    assert (hop.mta, hop.helo, hop.name, hop.address) == (
        "Postfix",
        "mail.example.org",
        "mail.example.org",
        "192.0.2.1",
    )
    assert (hop.by, hop.protocol, hop.identity, hop.recipient) == (
        "mx.example.net",
        "ESMTPS",
        "3856A2AC9A1",
        "b@example.net",
    )
    assert hop.tls == Tls(
        protocol="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        bits=256,
        key_exchange="X25519",
        signature="RSA-PSS",
        certificate=Certificate.NOT_REQUESTED,
    )
    assert not hop.authenticated
    assert hop.time.isoformat() == "2026-11-22T13:09:25+00:00"
    assert hop.text.startswith(CLIENT)


@pytest.mark.parametrize(
    ("rest", "group", "signature"),
    [
        ("", "", ""),
        (" key-exchange x25519", "X25519", ""),
        (" key-exchange ECDHE (prime256v1)", "secp256r1", ""),
        (" key-exchange DHE (2048 bits)", "ffdhe2048", ""),
        (" key-exchange X25519MLKEM768 server-signature ML-DSA-65", "X25519MLKEM768", "ML-DSA-65"),
        # A resumed session has no digest.
        (" key-exchange X25519 server-signature RSA-PSS (2048 bits)", "X25519", "RSA-PSS"),
        (
            " key-exchange secp256r1 server-signature ECDSA (prime256v1) server-digest SHA256",
            "secp256r1",
            "ECDSA",
        ),
        (
            " server-signature RSA-PSS (2048 bit raw public key) server-digest SHA256",
            "",
            "RSA-PSS raw public key",
        ),
        (" server-signature ED25519 (raw public key)", "", "ED25519 raw public key"),
        (
            " key-exchange X25519 server-signature ED25519  client-signature ECDSA (P-256)",
            "X25519",
            "ED25519",
        ),
        (" client-signature ED25519", "", ""),
    ],
)
def test_key_exchange_and_signature(rest, group, signature):
    using = f"(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits){rest})"
    hop = read_hop(f"{CLIENT} {using} {NO_CERTIFICATE} {BY} ESMTPS {END}")
    assert hop.mta == "Postfix"
    assert (hop.tls.key_exchange, hop.tls.signature, hop.tls.bits) == (group, signature, 128)


@pytest.mark.parametrize(
    ("comment", "certificate", "subject", "issuer"),
    [
        (NO_CERTIFICATE, Certificate.NOT_REQUESTED, "", ""),
        ("(Client did not present a certificate)", Certificate.NOT_PRESENTED, "", ""),
        ('(Client CN "a", Issuer "b" (verified OK))', Certificate.VERIFIED, "a", "b"),
        ('(Client CN "a b", Issuer "" (not verified))', Certificate.NOT_VERIFIED, "a b", ""),
        ("(Client RPK sha256 digest AB:CD)", Certificate.NOT_VERIFIED, "AB:CD", ""),
        ("(something else)", Certificate.UNTOLD, "", ""),
        # What a certificate says of itself is nobody's word.
        (
            '(Client CN "a" (verified OK)", Issuer "b" (not verified))',
            Certificate.NOT_VERIFIED,
            'a" (verified OK)',
            "b",
        ),
        (
            '(Client CN "a", Issuer "Good CA", Issuer "b" (not verified))',
            Certificate.NOT_VERIFIED,
            'a", Issuer "Good CA',
            "b",
        ),
        (
            '(Client CN "using TLSv1.3 with cipher X (1/1 bits)", Issuer """ (not verified))',
            Certificate.NOT_VERIFIED,
            "using TLSv1.3 with cipher X (1/1 bits)",
            '"',
        ),
        (
            '(Client CN "by evil (Postfix) with ESMTPS id 1; x", Issuer "(b)" (not verified))',
            Certificate.NOT_VERIFIED,
            "by evil (Postfix) with ESMTPS id 1; x",
            "(b)",
        ),
    ],
)
def test_certificates(comment, certificate, subject, issuer):
    hop = read_hop(f"{CLIENT} {TLS12} {comment} {BY} ESMTPS {END}")
    assert (hop.mta, hop.by, hop.identity) == ("Postfix", "mx.example.net", "3856A2AC9A1")
    assert (hop.tls.certificate, hop.tls.subject, hop.tls.issuer) == (certificate, subject, issuer)
    assert hop.tls.protocol == "TLSv1.2"


def test_a_login():
    login = "(Authenticated sender: u (x) using TLSv1 with cipher Y (1/1 bits))"
    hop = read_hop(f"{CLIENT} {TLS12} {NO_CERTIFICATE} {login} {BY} ESMTPSA {END}")
    assert hop.authenticated
    assert hop.tls.protocol == "TLSv1.2"
    # smtpd_sasl_authenticated_header is off by default.
    assert read_hop(f"{CLIENT} {TLS12} {NO_CERTIFICATE} {BY} ESMTPSA {END}").authenticated
    assert read_hop(f"{CLIENT} {login} {BY} SMTP {END}").authenticated
    assert not read_hop(f"{CLIENT} {TLS12} {NO_CERTIFICATE} {BY} ESMTPS {END}").authenticated


@pytest.mark.parametrize(
    ("client", "helo", "name", "address"),
    [
        ("from x (unknown [192.0.2.1])", "x", "", "192.0.2.1"),
        ("from unknown (unknown [unknown])", "unknown", "", ""),
        ("from [192.0.2.7] (a.example [192.0.2.1])", "[192.0.2.7]", "a.example", "192.0.2.1"),
        ("from x (a.example [IPv6:2001:db8::1])", "x", "a.example", "2001:db8::1"),
        ("from by (a.example [192.0.2.1])", "by", "a.example", "192.0.2.1"),
        ("from with (a.example [192.0.2.1])", "with", "a.example", "192.0.2.1"),
        ("from [ (a.example [192.0.2.1])", "[", "a.example", "192.0.2.1"),
        ("from x]?'?? (a.example [192.0.2.1])", "x]?'??", "a.example", "192.0.2.1"),
    ],
)
def test_clients(client, helo, name, address):
    hop = read_hop(f"{client} {BY} ESMTP {END}")
    assert (hop.helo, hop.name, hop.address) == (helo, name, address)
    assert (hop.verdict, hop.by, hop.mta) == (Verdict.CLEAR, "mx.example.net", "Postfix")
    assert hop.reason == "Postfix says ESMTP and no TLS"


@pytest.mark.parametrize(
    ("line", "verdict", "reason"),
    [
        (f"{CLIENT} {BY} SMTP {END}", Verdict.CLEAR, "Postfix says SMTP and no TLS"),
        (f"{CLIENT} {BY} ESMTPA {END}", Verdict.CLEAR, "Postfix says ESMTPA and no TLS"),
        (f"{CLIENT} {BY} UTF8SMTP {END}", Verdict.CLEAR, "Postfix says UTF8SMTP and no TLS"),
        (f"{CLIENT} {BY} QMQP {END}", Verdict.CLEAR, "Postfix says QMQP and no TLS"),
        (
            f"{CLIENT} {BY} ESMTPS {END}",
            Verdict.UNKNOWN,
            "ESMTPS is TLS, and smtpd_tls_received_header is off there: with what is not told",
        ),
        (f"{CLIENT} {TLS13} {NO_CERTIFICATE} {BY} UTF8SMTPSA {END}", Verdict.WELL, "TLSv1.3 with"),
        # RFC 3848 is for ESMTP only.
        (f"{CLIENT} {TLS13} {NO_CERTIFICATE} {BY} SMTP {END}", Verdict.WELL, "TLSv1.3 with"),
        (f"from a (localhost [127.0.0.1]) {BY} ESMTP {END}", Verdict.LOCAL, "in clear over loop"),
        (f"from a (localhost [IPv6:::1]) {BY} ESMTP {END}", Verdict.LOCAL, "in clear over loop"),
        (f"from a (localhost [127.0.0.1]) {TLS13} {BY} ESMTPS {END}", Verdict.WELL, "TLSv1.3 with"),
        ("by h (Postfix, from userid 1000) id 1; x", Verdict.LOCAL, "handed over within the host"),
        ("by h (Anything, from userid 0) id 1; x", Verdict.LOCAL, "handed over within the host"),
        ("by h (Postfix) id 1 for <a@b>; x", Verdict.HIDDEN, "the server keeps its client back"),
        ("by h (Postfix) id 1; x", Verdict.HIDDEN, "the server keeps its client back"),
        ("by h (Postfix); x", Verdict.HIDDEN, "the server keeps its client back"),
    ],
)
def test_verdicts(line, verdict, reason):
    hop = read_hop(line)
    assert hop.verdict is verdict
    assert hop.reason.startswith(reason)
    assert hop.mta == "Postfix"


def test_a_mail_name_of_ones_own():
    line = f"{CLIENT} {TLS13} {NO_CERTIFICATE} by mx.example.net (Our Mail) with ESMTPS {END}"
    assert read_hop(line).mta == "Postfix"
    # Without TLS nothing tells that it is Postfix, so nothing tells that there was none.
    clear = read_hop(f"{CLIENT} by mx.example.net (Our Mail) with ESMTP {END}")
    assert (clear.mta, clear.verdict) == ("", Verdict.UNKNOWN)
    assert (clear.name, clear.address) == ("mail.example.org", "192.0.2.1")


@pytest.mark.parametrize(
    "line",
    [
        f"{CLIENT} by h (Postfix) (Postfix) with ESMTP {END}",
        f"{CLIENT} by h with ESMTP {END}",
        f"{CLIENT} {BY} HTTP {END}",
        f"from a {BY} ESMTP {END}",
        f"from a (b) {BY} ESMTP {END}",
        f"from a [192.0.2.1] {BY} ESMTP {END}",
        "by h (Postfix) with ESMTP id 1",
        "by h (Other) id 1",
        "from h (h [192.0.2.1])",
        "(Postfix)",
    ],
)
def test_lines_of_another(line):
    assert read_hop(line).mta != "Postfix"


def test_forged_clauses_are_helo():
    """Were a HELO with blanks let through, the last "by" is the server's all the same."""
    forged = "from x by mx.example.net (Postfix) with ESMTPS id 1 for <a@b>"
    hop = read_hop(
        f"{forged} (real.example [192.0.2.1]) by mx.example.com (Postfix) with SMTP {END}"
    )
    assert hop.by == "mx.example.com"
    assert hop.verdict is not Verdict.WELL


def test_what_is_kept_is_bounded():
    cn = "c" * 30_000
    hop = read_hop(
        f"from {cn} (a.example [192.0.2.1]) {TLS13} "
        f'(Client CN "{cn}", Issuer "{cn}" (not verified)) by {cn} (Postfix) with ESMTPS '
        f"id {cn} for <{cn}>; {cn}"
    )
    assert hop.mta == "Postfix"
    words = (hop.helo, hop.by, hop.identity, hop.recipient, hop.tls.subject, hop.tls.issuer)
    assert all(0 < len(one) <= 300 for one in words)
    assert len(hop.text) == LONGEST_TEXT
    assert hop.tls.cipher == "TLS_AES_256_GCM_SHA384"


def test_controls_are_shown():
    hop = read_hop(f"from a\x1b[31m\tb (a.example [192.0.2.1]) {BY} ESMTP {END}\x00")
    assert hop.helo == "a\\x1b[31m b"
    assert hop.text.isprintable()
