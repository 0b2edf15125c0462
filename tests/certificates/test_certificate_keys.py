"""Keys: their kind and size, and which belong together."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from forged_certificates import element
from postkeel.certificates.der import DerError, first
from postkeel.certificates.keys import belong_together, private_key, public_key
from postkeel.certificates.pem import blocks
from postkeel.certificates.values import Key

PKCS8 = serialization.PrivateFormat.PKCS8
OLD_STYLE = serialization.PrivateFormat.TraditionalOpenSSL


def public(key):
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return public_key(first(key.public_key().public_bytes(serialization.Encoding.DER, info)))


def private(key, form=PKCS8):
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (block,) = blocks(text)
    return private_key(block.label, block.data)


@pytest.fixture(scope="module")
def keys():
    return {
        "RSA": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "RSA 1024": rsa.generate_private_key(public_exponent=3, key_size=1024),  # noqa: S505  that it is short is the case
        "secp256r1": ec.generate_private_key(ec.SECP256R1()),
        "secp384r1": ec.generate_private_key(ec.SECP384R1()),
        "secp521r1": ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
        "DSA": dsa.generate_private_key(1024),  # noqa: S505  and this is quick
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("RSA", Key(algorithm="RSA", bits=2048)),
        ("RSA 1024", Key(algorithm="RSA", bits=1024)),
        ("secp256r1", Key(algorithm="EC", bits=256, curve="secp256r1")),
        ("secp384r1", Key(algorithm="EC", bits=384, curve="secp384r1")),
        ("secp521r1", Key(algorithm="EC", bits=521, curve="secp521r1")),
        ("secp256k1", Key(algorithm="EC", bits=256, curve="secp256k1")),
        ("brainpool", Key(algorithm="EC", bits=256, curve="brainpoolP256r1")),
        ("Ed25519", Key(algorithm="Ed25519", bits=256)),
        ("Ed448", Key(algorithm="Ed448", bits=456)),
        ("DSA", Key(algorithm="DSA")),
    ],
)
def test_what_a_public_key_is(keys, name, key):
    assert public(keys[name])[1] == key


def test_each_belongs_to_its_own_only(keys):
    halves = {name: public(key)[0] for name, key in keys.items()}
    for name, key in keys.items():
        fitting = [one for one, half in halves.items() if belong_together(half, private(key))]
        assert fitting == [name]


@pytest.mark.parametrize("name", ["RSA", "secp256r1", "secp521r1"])
def test_the_older_form_of_a_private_key(keys, name):
    assert belong_together(public(keys[name])[0], private(keys[name], OLD_STYLE))
    other = {"RSA": "RSA 1024", "secp256r1": "secp384r1", "secp521r1": "secp256k1"}[name]
    assert not belong_together(public(keys[other])[0], private(keys[name], OLD_STYLE))


def test_the_older_form_of_dsa_is_not_compared(keys):
    assert belong_together(public(keys["DSA"])[0], private(keys["DSA"], OLD_STYLE))


def ec_key(key, curve, *more):
    secret = key.private_numbers().private_value.to_bytes(key.key_size // 8, "big")
    fields = element(2, b"\1") + element(4, secret) + element(0xA0, element(6, curve))
    return private_key("EC PRIVATE KEY", element(0x30, fields + b"".join(more)))


P256, BRAINPOOL = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2b2403030208010107")


def test_the_public_half_is_derived_where_it_is_left_out(keys):
    right, wrong = keys["secp256r1"], ec.generate_private_key(ec.SECP256R1())
    assert belong_together(public(right)[0], ec_key(right, P256))
    assert not belong_together(public(wrong)[0], ec_key(right, P256))


def test_on_a_curve_where_it_cannot_be_it_is_not_compared(keys):
    assert ec_key(keys["brainpool"], BRAINPOOL).public is None


def test_a_secret_that_is_out_of_range_is_not_compared():
    fields = element(2, b"\1") + element(4, bytes(32)) + element(0xA0, element(6, P256))
    assert private_key("EC PRIVATE KEY", element(0x30, fields)).public is None


def test_points_are_compared_however_they_are_written(keys):
    key = keys["secp256r1"]
    form = serialization.PublicFormat.CompressedPoint
    compressed = key.public_key().public_bytes(serialization.Encoding.X962, form)
    algorithm = element(0x30, bytes.fromhex("06072a8648ce3d0201") + element(6, P256))
    half, _ = public_key(first(element(0x30, algorithm + element(3, b"\0" + compressed))))
    assert belong_together(half, private(key))


def test_a_curve_by_its_parameters_has_no_name(keys):
    """And the parameters of an ECPrivateKey that are no name are passed over."""
    parameters = element(0x30, element(2, b"\1"))
    algorithm = element(0x30, bytes.fromhex("06072a8648ce3d0201") + parameters)
    point = element(3, b"\0\4" + bytes(64))
    _, key = public_key(first(element(0x30, algorithm + point)))
    assert key == Key(algorithm="EC")
    fields = element(2, b"\1") + element(4, bytes(32)) + element(0xA0, parameters)
    half = private_key("EC PRIVATE KEY", element(0x30, fields + element(0xA1, b"\4\0")))
    assert half.public is None


ED25519 = element(0x30, bytes.fromhex("06032b6570"))


@pytest.mark.parametrize(
    ("label", "data"),
    [
        ("PRIVATE KEY", b""),
        ("PRIVATE KEY", b"\x30\x00"),
        ("PRIVATE KEY", element(0x30, element(2, b"\0") + b"\x30\x00" + element(4, b""))),
        ("PRIVATE KEY", element(0x30, element(2, b"\0") + ED25519 + element(4, element(4, b"x")))),
        ("RSA PRIVATE KEY", element(0x30, element(2, b"\0") * 8)),
        ("EC PRIVATE KEY", element(0x30, element(2, b"\1"))),
        ("EC PRIVATE KEY", element(0x30, element(2, b"\1") * 2)),
        (
            "EC PRIVATE KEY",
            element(0x30, element(2, b"\1") + element(4, b"1") + element(0xA1, element(3, b"\0"))),
        ),
        ("DSA PRIVATE KEY", b"\x31\x00"),
    ],
)
def test_what_is_no_private_key(label, data):
    with pytest.raises(DerError):
        private_key(label, data)


@pytest.mark.parametrize("data", [b"\x30\x00", element(0x30, ED25519 * 2), b"\x31\x00"])
def test_what_is_no_public_key(data):
    with pytest.raises(DerError):
        public_key(first(data))


def test_an_edwards_curve_that_openssl_does_not_have_here(keys, monkeypatch):
    """As on a machine that allows approved algorithms only."""
    from cryptography.exceptions import UnsupportedAlgorithm

    def refuse(_):
        raise UnsupportedAlgorithm("not here")

    monkeypatch.setattr(ed25519.Ed25519PrivateKey, "from_private_bytes", refuse)
    half = private(keys["Ed25519"])
    assert half.public is None
    assert belong_together(public(keys["Ed25519"])[0], half)
