"""Signatures by each algorithm, right, wrong, and not known."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from forged_certificates import element
from postkeel.certificates.der import DerError, first
from postkeel.certificates.signatures import Algorithm, Verdict, algorithm, verdict

DATA = b"what is signed"
SHA256, SHA512 = hashes.SHA256(), hashes.SHA512()


def named(octets, parameters=b"\x05\x00"):
    return first(element(0x30, element(6, bytes.fromhex(octets)) + parameters))


def pss(digest):
    hashed = element(0xA0, element(0x30, element(6, bytes.fromhex(digest))))
    return named("2a864886f70d01010a", element(0x30, hashed))


RSA_SHA256, RSA_SHA512 = named("2a864886f70d01010b"), named("2a864886f70d01010d")
EC_SHA256, EC_SHA512 = named("2a8648ce3d040302", b""), named("2a8648ce3d040304", b"")
PSS_SHA256 = pss("608648016503040201")
ED25519, ED448 = named("2b6570", b""), named("2b6571", b"")


@pytest.fixture(scope="module")
def keys():
    return {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
        "dsa": dsa.generate_private_key(2048),
    }


def public(key):
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, info)


MASK = padding.PSS(padding.MGF1(SHA256), 32)


@pytest.mark.parametrize(
    ("key", "made", "how", "another"),
    [
        ("rsa", RSA_SHA256, (padding.PKCS1v15(), SHA256), RSA_SHA512),
        ("rsa", RSA_SHA512, (padding.PKCS1v15(), SHA512), PSS_SHA256),
        ("rsa", PSS_SHA256, (MASK, SHA256), RSA_SHA256),
        ("ec", EC_SHA256, (ec.ECDSA(SHA256),), EC_SHA512),
        ("ec", EC_SHA512, (ec.ECDSA(SHA512),), EC_SHA256),
        ("ed25519", ED25519, (), None),
        ("ed448", ED448, (), None),
    ],
)
def test_right_and_wrong(keys, key, made, how, another):
    signature = keys[key].sign(DATA, *how)
    assert verdict(made, public(keys[key]), signature, DATA) is Verdict.RIGHT
    assert verdict(made, public(keys[key]), signature, DATA + b".") is Verdict.WRONG
    odd = signature[:9] + bytes((signature[9] ^ 1,)) + signature[10:]
    assert verdict(made, public(keys[key]), odd, DATA) is Verdict.WRONG
    if another:
        assert verdict(another, public(keys[key]), signature, DATA) is Verdict.WRONG


def test_what_is_not_known_here(keys):
    signature = keys["dsa"].sign(DATA, SHA256)
    dsa_sha256 = named("608648016503040302", b"")
    for made, key in (
        (dsa_sha256, public(keys["dsa"])),
        (named("2a03"), public(keys["rsa"])),
        (named("2a03"), public(keys["ec"])),
        (RSA_SHA256, b"no key"),
        (first(b"\x30\x00"), public(keys["rsa"])),
    ):
        assert verdict(made, key, signature, DATA) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("made", "name", "digest"),
    [
        (RSA_SHA256, "sha256WithRSAEncryption", "sha256"),
        (EC_SHA512, "ecdsa-with-SHA512", "sha512"),
        (ED25519, "Ed25519", ""),
        (PSS_SHA256, "RSASSA-PSS", "sha256"),
        (pss("608648016503040203"), "RSASSA-PSS", "sha512"),
        (pss("2a03"), "RSASSA-PSS", ""),
        (named("2a864886f70d01010a", b""), "RSASSA-PSS", "sha1"),
        (named("2a864886f70d01010a", b"\x30\x00"), "RSASSA-PSS", "sha1"),
        (named("2a864886f70d01010a", element(0x30, element(0xA2, b""))), "RSASSA-PSS", "sha1"),
        (named("2a864886f70d01010a", bytes.fromhex("3004a0023000")), "RSASSA-PSS", ""),
        (named("2a03"), "1.2.3", ""),
    ],
)
def test_names_and_digests(made, name, digest):
    assert algorithm(made) == Algorithm(name=name, digest=digest)


def test_what_names_no_algorithm():
    with pytest.raises(DerError):
        algorithm(first(b"\x30\x00"))
