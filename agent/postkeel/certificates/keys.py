"""Public and private keys: of which kind and size, and which belong together.

Compared by what is written in them, without arithmetic: to check 500 RSA keys takes `cryptography`
of Debian 12 longer than all the rest.
"""

from __future__ import annotations

from typing import Final

from postkeel.certificates.der import (
    BIT_STRING,
    IDENTIFIER,
    OCTET_STRING,
    DerError,
    Element,
    bits,
    content,
    first,
    identifier,
    inside,
    number,
)
from postkeel.certificates.values import Key
from postkeel.core.frozen import frozen

RSA: Final = "1.2.840.113549.1.1.1"
RSA_PSS: Final = "1.2.840.113549.1.1.10"
DSA: Final = "1.2.840.10040.4.1"
EC: Final = "1.2.840.10045.2.1"
ED25519: Final = "1.3.101.112"
ED448: Final = "1.3.101.113"

ALGORITHMS: Final = {
    RSA: "RSA",
    RSA_PSS: "RSA-PSS",
    DSA: "DSA",
    EC: "EC",
    ED25519: "Ed25519",
    ED448: "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
"""Keys that OpenSSL can use in TLS; those of ML-DSA from version 3.5 on."""

NEW: Final = "ML-DSA"

_EDWARDS_BITS: Final = {ED25519: 256, ED448: 456}
_CURVES: Final = {
    "1.2.840.10045.3.1.1": ("secp192r1", 192),
    "1.2.840.10045.3.1.7": ("secp256r1", 256),
    "1.3.132.0.10": ("secp256k1", 256),
    "1.3.132.0.33": ("secp224r1", 224),
    "1.3.132.0.34": ("secp384r1", 384),
    "1.3.132.0.35": ("secp521r1", 521),
    "1.3.36.3.3.2.8.1.1.7": ("brainpoolP256r1", 256),
    "1.3.36.3.3.2.8.1.1.11": ("brainpoolP384r1", 384),
    "1.3.36.3.3.2.8.1.1.13": ("brainpoolP512r1", 512),
}
_BARE: Final = {"RSA PRIVATE KEY": RSA, "EC PRIVATE KEY": EC}
_RSA_NUMBERS: Final = 9
_UNCOMPRESSED: Final = 4
_PUBLIC_KEY: Final = 0xA1
_PARAMETERS: Final = 0xA0


@frozen
class Sort:
    """What `PublicKey` and `PrivateKey` say of their algorithm: its identifier, and the curve's."""

    algorithm: str
    curve: str = ""

    @property
    def name(self) -> str:
        """The algorithm's name; "" for one that OpenSSL does not use in TLS."""
        return ALGORITHMS.get(self.algorithm, "")


@frozen
class Half:
    """One half of a key pair. public: what the two halves share; None where that is not known."""

    sort: Sort
    public: object


def public_key(info: Element) -> tuple[Half, Key]:
    """A SubjectPublicKeyInfo. A DerError when it is none."""
    algorithm, key = _two(inside(info))
    sort = _sort(algorithm)
    public = _public(sort, bits(key))
    return Half(sort=sort, public=public), _described(sort, public)


def private_key(label: str, data: bytes) -> Half:
    """The private key of a PEM block with this label. A DerError when it is none.

    "EC PRIVATE KEY" and the like hold what "PRIVATE KEY" wraps with the algorithm's name.
    """
    fields = inside(first(data))
    if label == "DSA PRIVATE KEY":
        return Half(sort=Sort(algorithm=DSA), public=None)
    if label in _BARE:
        return _half(Sort(algorithm=_BARE[label]), data)
    if len(fields) < 3:  # noqa: PLR2004  a version, an algorithm and the key
        raise DerError("it has no algorithm or no key")
    return _half(_sort(fields[1]), content(fields[2], OCTET_STRING))


def _half(sort: Sort, inner: bytes) -> Half:
    if sort.algorithm in (RSA, RSA_PSS):
        return _rsa(sort, inside(first(inner)))
    if sort.algorithm == EC:
        return _ec(sort, inside(first(inner)))
    if sort.algorithm in _EDWARDS_BITS:
        return Half(sort=sort, public=_edwards(sort.algorithm, content(first(inner), OCTET_STRING)))
    return Half(sort=sort, public=None)


def belong_together(public: Half, private: Half) -> bool:
    """Whether the halves are of one key pair; where that is not known, whether they can be."""
    if public.sort.algorithm != private.sort.algorithm:
        return False
    return private.public is None or public.public == private.public


def _two(found: list[Element]) -> tuple[Element, Element]:
    if len(found) != 2:  # noqa: PLR2004  an algorithm and a key
        raise DerError("it is not an algorithm and a key")
    return found[0], found[1]


def _sort(algorithm: Element) -> Sort:
    found = inside(algorithm)
    if not found:
        raise DerError("it names no algorithm")
    named = len(found) > 1 and found[1].tag == IDENTIFIER
    return Sort(algorithm=identifier(found[0]), curve=identifier(found[1]) if named else "")


def _public(sort: Sort, data: bytes) -> object:
    if sort.algorithm in (RSA, RSA_PSS):
        modulus, exponent = _two(inside(first(data)))
        return number(modulus), number(exponent)
    return _point(data) if sort.algorithm == EC else data


def _described(sort: Sort, public: object) -> Key:
    curve, bits_ = _CURVES.get(sort.curve, (sort.curve, 0))
    if isinstance(public, tuple) and sort.algorithm in (RSA, RSA_PSS):
        bits_ = public[0].bit_length()
    return Key(
        algorithm=sort.name,
        bits=_EDWARDS_BITS.get(sort.algorithm, bits_),
        curve=curve if sort.algorithm == EC else "",
    )


def _rsa(sort: Sort, fields: list[Element]) -> Half:
    if len(fields) < _RSA_NUMBERS:
        raise DerError("an RSA key lacks some of its numbers")
    numbers = [number(one) for one in fields[:_RSA_NUMBERS]]
    return Half(sort=sort, public=(numbers[1], numbers[2]))


def _ec(sort: Sort, fields: list[Element]) -> Half:
    """An ECPrivateKey (RFC 5915): the public half is in most, and can be had from the others."""
    if len(fields) < 2:  # noqa: PLR2004  a version and the key
        raise DerError("an EC key has no number")
    secret, curve, point = content(fields[1], OCTET_STRING), sort.curve, None
    for one in fields[2:]:
        if one.tag == _PARAMETERS and first(one.content).tag == IDENTIFIER:
            curve = curve or identifier(first(one.content))
        if one.tag == _PUBLIC_KEY and first(one.content).tag == BIT_STRING:
            point = _point(bits(first(one.content)))
    return Half(sort=Sort(algorithm=EC, curve=curve), public=point or _derived(curve, secret))


def _point(data: bytes) -> tuple[bytes, int]:
    """A point of a curve by its x and whether its y is odd, however it is written."""
    if not data:
        raise DerError("an EC key has no point")
    if data[0] == _UNCOMPRESSED:
        return data[1 : 1 + len(data) // 2], data[-1] & 1
    return data[1:], data[0] & 1


def _derived(curve: str, secret: bytes) -> tuple[bytes, int] | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    kind = getattr(ec, _CURVES.get(curve, ("", 0))[0].upper(), None)
    if kind is None:
        return None
    try:
        derived = ec.derive_private_key(int.from_bytes(secret, "big"), kind())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return _point(derived.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _edwards(algorithm: str, secret: bytes) -> bytes | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        if algorithm == ED25519:
            public = ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key()
            return public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        other = ed448.Ed448PrivateKey.from_private_bytes(secret).public_key()
        return other.public_bytes(Encoding.Raw, PublicFormat.Raw)
    except UnsupportedAlgorithm:
        return None
    except ValueError as error:
        raise DerError("an Edwards key is not as long as it must be") from error
