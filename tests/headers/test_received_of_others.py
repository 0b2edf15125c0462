"""The form for servers that are not known: RFC 5321's words and TLS as many write it."""

import pytest

from postkeel.headers.forms.generic import read
from postkeel.headers.received import read_hop
from postkeel.headers.tokens import parts_of
from postkeel.headers.values import Verdict


@pytest.mark.parametrize(
    ("comment", "protocol", "cipher", "bits"),
    [
        ("(using TLSv1.2 with cipher AES256-SHA (256/256 bits))", "TLSv1.2", "AES256-SHA", 256),
        ("(using TLSv1.3 with cipher X)", "TLSv1.3", "X", 0),
        ("(version=TLS1_2 cipher=AES128-SHA bits=128/128)", "TLSv1.2", "AES128-SHA", 128),
        ("(version=TLS1_2, cipher=TLS_RSA_WITH_AES_128_CBC_SHA)", "TLSv1.2", "AES128-SHA", 0),
        ("(no client certificate, version: TLSv1.3 cipher: X bits: 256)", "TLSv1.3", "X", 256),
        ("(TLSv1.2:AES256-SHA:256)", "TLSv1.2", "AES256-SHA", 256),
        ("(TLS1.2:RSA_AES_256_CBC_SHA1:256)", "TLSv1.2", "AES256-SHA", 256),
        ("(TLSv1.3:X CN=a)", "TLSv1.3", "X", 0),
        ("(TLS1.3)", "TLSv1.3", "", 0),
    ],
)
@pytest.mark.parametrize("place", ["from a {} by b with ESMTPS", "from a by b with ESMTPS {} id c"])
def test_habits(place, comment, protocol, cipher, bits):
    tls = read(parts_of(place.format(comment))).tls
    assert (tls.protocol, tls.cipher, tls.bits) == (protocol, cipher, bits)


def test_the_clauses_of_rfc_8314():
    tls = read(parts_of("from a by b with ESMTPS tls TLS_AES_128_GCM_SHA256 group x25519; x")).tls
    assert (tls.protocol, tls.cipher) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert tls.key_exchange == "X25519"
    tls = read(parts_of("by b tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (TLSv1.2)")).tls
    assert (tls.protocol, tls.cipher) == ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
    tls = read(parts_of("by b tls TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")).tls
    assert (tls.protocol, tls.cipher) == ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
    assert read(parts_of("by b tls TLS_RSA_WITH_AES_128_CBC_SHA")).tls.protocol == ""


@pytest.mark.parametrize(
    ("line", "name", "address"),
    [
        ("from h (a.example [192.0.2.1]) by b", "a.example", "192.0.2.1"),
        ("from h (a.example [192.0.2.1]:25) by b", "a.example", "192.0.2.1"),
        ("from h ([IPv6:2001:db8::1]) by b", "", "2001:db8::1"),
        ("from h (unknown [2001:db8::1]) by b", "", "2001:db8::1"),
        ("from h (192.0.2.1) by b", "", "192.0.2.1"),
        # What the client says of itself comes first, and is no address.
        ("from h (HELO [127.0.0.1]) (192.0.2.1) by b", "", "192.0.2.1"),
        ("from [127.0.0.1] (127.0.0.1) (a.example [192.0.2.1]) by b", "a.example", "192.0.2.1"),
        ("from [127.0.0.1] by b", "", ""),
        ("from h (HELO 127.0.0.1) by b", "", ""),
        ("from h (a.example [none]) by b", "", ""),
    ],
)
def test_clients(line, name, address):
    said = read(parts_of(line))
    assert (said.name, said.address) == (name, address)


@pytest.mark.parametrize(
    ("line", "verdict", "protocol"),
    [
        ("from a ([192.0.2.1]) by b with ESMTP id c", Verdict.UNKNOWN, "ESMTP"),
        ("from a ([192.0.2.1]) by b with esmtps id c", Verdict.UNKNOWN, "ESMTPS"),
        ("from a ([192.0.2.1]) by b with Our SMTP Server id c", Verdict.UNKNOWN, "SMTP"),
        ("from a ([192.0.2.1]) by b with carrier pigeon", Verdict.UNKNOWN, "CARRIER"),
        ("from a ([127.0.0.1]) by b with LMTP id c", Verdict.LOCAL, "LMTP"),
        # Dovecot behind a socket says no address, and its own name twice.
        ("from b by b with LMTP id c", Verdict.LOCAL, "LMTP"),
        ("from a by b with LMTP id c", Verdict.UNKNOWN, "LMTP"),
        ("by b with local id c", Verdict.LOCAL, "LOCAL"),
        ("from a ([127.0.0.1]) (TLSv1.2:RC4-SHA:128) by b with ESMTPS", Verdict.WEAKLY, "ESMTPS"),
        ("by b", Verdict.UNKNOWN, ""),
        ("", Verdict.UNKNOWN, ""),
    ],
)
def test_verdicts(line, verdict, protocol):
    hop = read_hop(line)
    assert (hop.verdict, hop.protocol, hop.mta) == (verdict, protocol, "")
    assert hop.reason


@pytest.mark.parametrize(
    ("protocol", "login"),
    [("ESMTPSA", True), ("esmtpa", True), ("LMTPA", True), ("UTF8SMTPSA", True), ("ESMTPS", False)],
)
def test_logins(protocol, login):
    assert read_hop(f"from a ([192.0.2.1]) by b with {protocol}").authenticated is login


def test_words_without_brackets():
    hop = read_hop("from a by b.example. with SMTP id <c> for <d@e>")
    assert (hop.by, hop.identity, hop.recipient) == ("b.example.", "c", "d@e")
    assert read_hop("by b for d@e").recipient == "d@e"


@pytest.mark.parametrize(
    "recipient", ['"a b"@c', '"a> by x; with (\\"y"@c', '"; by evil.example"@c', '"a', "a@c", '"']
)
def test_recipients(recipient):
    hop = read_hop(f"from a (a [192.0.2.1]) by b (Postfix) with SMTP id 1 for <{recipient}>; x")
    assert (hop.recipient, hop.by) == (recipient, "b")
