"""What a certificate says, field by field; a field that cannot be read costs no other."""

from __future__ import annotations

import datetime as dt
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from forged_certificates import HOST, element, issued, key_of, pem, rebuilt, with_extension
from hostile_certificates import named
from postkeel.certificates import pem as pem_blocks
from postkeel.certificates.certificate import (
    MOST_NAMES,
    authority_key,
    described,
    encoded,
    odd_extension,
    subject_key,
)
from postkeel.certificates.der import DerError
from postkeel.certificates.values import Key

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FEATURE = "06082b06010505070118"


def encoding(text):
    return next(pem_blocks.blocks(text)).data


def read(text):
    return described(encoded(encoding(text)), "/c", 7)


def leaf(name):
    return read(named(name).files[0])


def test_each_field_beside_what_cryptography_says():
    text = issued()
    one, other = read(text), x509.load_pem_x509_certificate(text)
    info = other.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for digest, whole, key in (
        (hashes.SHA256(), one.sha256, one.key_sha256),
        (hashes.SHA512(), one.sha512, one.key_sha512),
    ):
        hashed = hashes.Hash(digest)
        hashed.update(info)
        assert (whole, key) == (other.fingerprint(digest).hex(), hashed.finalize().hex())
    assert (one.subject, one.issuer) == (f"CN={HOST}", "CN=Intermediate")
    assert one.serial == f"{other.serial_number:x}"
    assert (one.names, one.purposes) == ((HOST,), ("serverAuth",))
    assert one.key == Key(algorithm="EC", bits=256, curve="secp256r1")
    assert (one.signature, one.digest) == ("ecdsa-with-SHA256", "sha256")
    assert (one.file, one.line, one.problems) == ("/c", 7, ())
    assert (one.authority, one.self_issued, one.must_staple) == (False, False, False)
    assert one.begins.tzinfo is dt.UTC


def test_the_roots_of_this_system_beside_what_cryptography_says():
    """One name, date or number that is read otherwise would show in 140 of them."""
    with open(SYSTEM, "rb") as file:
        text = file.read()
    for block in pem_blocks.blocks(text):
        one = described(encoded(block.data), SYSTEM, block.line)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # naive moments, and serials below one
            other = x509.load_der_x509_certificate(block.data)
            moments = other.not_valid_before, other.not_valid_after
            assert one.serial == f"{other.serial_number:x}"
            held = {known.oid.dotted_string: known.value for known in other.extensions}
        assert (one.begins.replace(tzinfo=None), one.ends.replace(tzinfo=None)) == moments
        assert one.authority
        assert one.problems == ()
        key = held.get("2.5.29.14")
        assert subject_key(encoded(block.data)) == (key.digest if key else b"")


@pytest.mark.parametrize(
    ("name", "serial"),
    [("negative-serial", "-fefe"), ("zero-serial", "0"), ("huge-serial", "7f" * 37 + "7[...]")],
)
def test_serials(name, serial):
    assert leaf(name).serial == serial


def test_moments():
    def moments(*made):
        one = read(rebuilt(issued(), {4: element(0x30, b"".join(made))}))
        return one.begins, one.ends, one.problems

    def at(*when):
        return dt.datetime(*when, tzinfo=dt.UTC)

    found = moments(element(0x17, b"491231235959Z"), element(0x18, b"20500101000000Z"))
    assert found == (at(2049, 12, 31, 23, 59, 59), at(2050, 1, 1), ())
    assert moments(element(0x17, b"500101000000Z"), element(0x18, b"99991231235959Z"))[:2] == (
        at(1950, 1, 1),
        at(9999, 12, 31, 23, 59, 59),
    )
    for odd in (
        element(0x17, b"260230120000Z"),
        element(0x17, b"2602281200Z"),
        element(0x17, b"260228120000+0100"),
        element(0x17, b"260228120000"),
        element(0x17, b"\xff"),
        element(0x17, b""),
        element(0x18, b"00000101000000Z"),
        element(0x18, b"20260101000000.5Z"),
        element(0x0C, b"20260101000000Z"),
    ):
        begins, ends, problems = moments(odd, odd)
        assert (begins, ends) == (EPOCH, EPOCH)
        assert [one.partition(":")[0] for one in problems] == [
            "the beginning of its validity cannot be read",
            "the end of its validity cannot be read",
        ]
    assert len(moments(element(0x17, b"500101000000Z"))[2]) == 2


def test_far_moments_are_read():
    assert leaf("year-9999").ends.year == 9999
    assert leaf("no-moments").ends == EPOCH


def test_names_of_strangers():
    assert leaf("control-characters").subject == "CN=mx\\x1b[2J\\r\\nFAKE\\x00\\u202e"
    assert leaf("non-ascii").subject == "CN=Müller & Söhne 郵便"
    assert leaf("hostile-name").names == ("mx\\x00.test\\x1b[2j",)


def test_names_that_are_not_ascii_are_shown_by_their_octets():
    value = element(0x30, element(0x82, "Bücher.test".encode()) + element(0x87, b"\1\2\3\4"))
    one = read(with_extension(issued(), "0603551d11", value))
    assert one.names == ("b\\xc3\\xbccher.test",)


def test_many_names():
    one = leaf("a-thousand-names")
    assert len(one.names) == MOST_NAMES
    assert one.problems == (f"of its 1000 names the first {MOST_NAMES} are looked at",)


def test_purposes():
    clients = element(6, bytes.fromhex("2b06010505070302"))
    value = element(0x30, clients + element(6, bytes.fromhex("2a03")))
    one = read(with_extension(issued(), "0603551d25", value))
    assert one.purposes == ("clientAuth", "1.2.3")
    assert read(issued("Root", "Root", authority=True)).purposes is None


@pytest.mark.parametrize(
    ("value", "authority"),
    [("3000", False), ("3003010100", False), ("30030101ff", True), ("3003020101", False)],
)
def test_authority(value, authority):
    odd = with_extension(issued(), "0603551d13", bytes.fromhex(value))
    assert read(odd).authority is authority


def test_self_issued():
    assert read(issued("Root", "Root", authority=True)).self_issued


@pytest.mark.parametrize(
    ("value", "staple"), [("3003020105", True), ("3003020111", True), ("3003020101", False)]
)
def test_must_staple(value, staple):
    assert read(with_extension(issued(), FEATURE, bytes.fromhex(value))).must_staple is staple


def test_an_extension_that_cannot_be_read_costs_no_other():
    one = leaf("unreadable-names")
    assert one.names == ()
    assert one.purposes == ("serverAuth",)
    assert one.problems[0].startswith("the extension subjectAltName cannot be read: ")


def test_an_extension_that_openssl_does_not_read_is_not_refused():
    odd = encoded(encoding(named("unreadable-feature").files[0]))
    assert odd_extension(odd) == ""
    assert described(odd, "/c", 1).problems


def test_extensions_that_stand_twice():
    one = leaf("extensions-twice")
    assert one.names == (HOST,)
    assert "there are several extensions subjectAltName" in one.problems


def test_signatures_without_an_algorithm():
    one = read(rebuilt(issued(), {}, b"\x30\x00"))
    assert (one.signature, one.digest) == ("", "")
    assert one.problems[0].startswith("the signature's algorithm cannot be read")


def test_an_algorithm_that_nobody_knows():
    assert leaf("unknown-algorithm").key == Key(algorithm="")
    one = leaf("unknown-signature")
    assert (one.signature, one.digest) == ("1.3.6.1.4.1.16255.1", "")


def test_key_identifiers():
    middle = encoded(encoding(issued("Intermediate", "Root", authority=True)))
    assert len(subject_key(middle)) == 20
    assert authority_key(middle) == b""
    named_key = element(0x30, element(0x80, b"12345") + element(0x82, b"\1"))
    one = encoded(encoding(with_extension(issued(), "0603551d23", named_key)))
    assert authority_key(one) == b"12345"
    nothing = encoded(encoding(with_extension(issued(), "0603551d23", b"\x30\x00")))
    assert authority_key(nothing) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30\x00",
        element(0x30, b"\x30\x00" * 3),
        encoding(rebuilt(issued(), {1: b"\x04\x00"})),
        encoding(rebuilt(issued(), {1: b"\x02\x00"})),
        encoding(rebuilt(issued(), {4: b"\x31\x00"})),
        encoding(rebuilt(issued(), {7: element(0xA3, b"")})),
        encoding(rebuilt(issued(), {7: element(0xA3, element(0x30, b"\x30\x00"))})),
        encoding(pem(key_of(HOST))),
    ],
)
def test_what_is_no_certificate(data):
    with pytest.raises(DerError):
        encoded(data)
