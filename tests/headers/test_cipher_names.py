"""Names of GnuTLS and the IANA as OpenSSL's; OpenSSL itself is the judge."""

import subprocess

import pytest

from postkeel.headers import cipher_names
from postkeel.headers.cipher_names import Suite, protocol_name, read_suite


def suites_of_openssl():
    command = ["openssl", "ciphers", "-stdname", "-v", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        standard, _, name, *_ = line.split()
        if "PSK" not in name and "SRP" not in name:  # mail servers share no secrets
            yield standard, name


def test_every_suite_of_openssl():
    suites = dict(suites_of_openssl())
    assert len(suites) > 60
    assert {standard: read_suite(standard).cipher for standard in suites} == suites
    assert {name: read_suite(name).cipher for name in suites.values()} == {
        name: name for name in suites.values()
    }


@pytest.mark.parametrize(
    ("name", "protocol", "suite"),
    [
        # Exim of Debian 10 and later.
        (
            "ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM",
            "TLSv1.3",
            Suite("TLS_AES_256_GCM_SHA384", "X25519", "RSA-PSS"),
        ),
        (
            "ECDHE_SECP256R1__ECDSA_SECP256R1_SHA256__AES_128_GCM",
            "TLSv1.3",
            Suite("TLS_AES_128_GCM_SHA256", "secp256r1", "ECDSA"),
        ),
        (
            "ECDHE_X25519__RSA_SHA256__CHACHA20_POLY1305",
            "TLSv1.2",
            Suite("ECDHE-RSA-CHACHA20-POLY1305", "X25519", "RSA"),
        ),
        (
            "DHE_FFDHE2048__RSA_SHA256__AES_256_GCM",
            "TLSv1.2",
            Suite("DHE-RSA-AES256-GCM-SHA384", "ffdhe2048", "RSA"),
        ),
        # Older GnuTLS.
        ("ECDHE_RSA_AES_256_GCM_SHA384", "TLSv1.2", Suite("ECDHE-RSA-AES256-GCM-SHA384")),
        ("RSA_AES_256_CBC_SHA1", "TLSv1", Suite("AES256-SHA")),
        ("RSA_ARCFOUR_128_SHA1", "TLSv1", Suite("RC4-SHA")),
        ("AES_256_GCM_SHA384", "TLSv1.3", Suite("TLS_AES_256_GCM_SHA384")),
        # Not known: as it is written.
        ("ECDHE_X25519__RSA_SHA256__NEW_CIPHER", "TLSv1.3", None),
        ("ECDHE_X25519__RSA_SHA256__NEW_CIPHER", "TLSv1.2", None),
        ("TLS_RSA_WITH_NEW_CIPHER", "", None),
        ("", "", None),
        ("ECDHE-RSA-AES256-GCM-SHA384", "", None),
        ("TLS_RSA_WITH_" + "A" * 100_000, "", None),
    ],
)
def test_names(name, protocol, suite):
    found = read_suite(name, protocol)
    assert found.cipher == (suite.cipher if suite else name)
    assert suite is None or found == suite


def test_what_is_no_name_takes_no_room():
    before = cipher_names._read.cache_info().currsize
    for number in range(20):
        read_suite("TLS_" + str(number) * 200)
    assert cipher_names._read.cache_info().currsize == before


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("TLS1_3", "TLSv1.3"),
        ("TLS1.2", "TLSv1.2"),
        ("tlsv1.1", "TLSv1.1"),
        ("TLS1_0", "TLSv1"),
        ("TLS1", "TLSv1"),
        ("Tls12", "TLSv1.2"),
        ("TLS v1.2", "TLSv1.2"),
        ("SSLv3", "SSLv3"),
        ("SSL 3.0", "SSLv3"),
        ("TLSv1/SSLv3", "TLSv1/SSLv3"),
        ("", ""),
        ("TLS", "TLS"),
    ],
)
def test_protocols(word, name):
    assert protocol_name(word) == name
