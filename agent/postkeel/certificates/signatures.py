"""Signatures of certificates: which algorithm made one, and whether it is right."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from postkeel.certificates.der import DerError, Element, first, identifier, inside
from postkeel.core.frozen import frozen

_PSS: Final = "1.2.840.113549.1.1.10"
_HASHES: Final = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
}
_KNOWN: Final = {
    "1.2.840.113549.1.1.4": ("md5WithRSAEncryption", "md5"),
    "1.2.840.113549.1.1.5": ("sha1WithRSAEncryption", "sha1"),
    "1.2.840.113549.1.1.11": ("sha256WithRSAEncryption", "sha256"),
    "1.2.840.113549.1.1.12": ("sha384WithRSAEncryption", "sha384"),
    "1.2.840.113549.1.1.13": ("sha512WithRSAEncryption", "sha512"),
    "1.2.840.113549.1.1.14": ("sha224WithRSAEncryption", "sha224"),
    "1.2.840.10045.4.1": ("ecdsa-with-SHA1", "sha1"),
    "1.2.840.10045.4.3.1": ("ecdsa-with-SHA224", "sha224"),
    "1.2.840.10045.4.3.2": ("ecdsa-with-SHA256", "sha256"),
    "1.2.840.10045.4.3.3": ("ecdsa-with-SHA384", "sha384"),
    "1.2.840.10045.4.3.4": ("ecdsa-with-SHA512", "sha512"),
    "1.2.840.10040.4.3": ("dsa-with-SHA1", "sha1"),
    "2.16.840.1.101.3.4.3.1": ("dsa-with-SHA224", "sha224"),
    "2.16.840.1.101.3.4.3.2": ("dsa-with-SHA256", "sha256"),
    "1.3.101.112": ("Ed25519", ""),
    "1.3.101.113": ("Ed448", ""),
    "2.16.840.1.101.3.4.3.17": ("ML-DSA-44", ""),
    "2.16.840.1.101.3.4.3.18": ("ML-DSA-65", ""),
    "2.16.840.1.101.3.4.3.19": ("ML-DSA-87", ""),
}
_PSS_NAME: Final = "RSASSA-PSS"
_SHA1: Final = "sha1"


@frozen
class Algorithm:
    """What made a signature. name: its identifier's digits where it has none here. digest: the
    hash, "" without one, or where that is not known."""

    name: str
    digest: str


class Verdict(Enum):
    """What a check of a signature gave; UNKNOWN: the algorithm or the key is not known here."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"


def algorithm(element: Element) -> Algorithm:
    """An AlgorithmIdentifier of a signature. A DerError when it is none."""
    found = inside(element)
    if not found:
        raise DerError("a signature names no algorithm")
    kind = identifier(found[0])
    if kind == _PSS:
        return Algorithm(name=_PSS_NAME, digest=_pss_digest(found[1:]))
    name, digest = _KNOWN.get(kind, (kind, ""))
    return Algorithm(name=name, digest=digest)


def verdict(made: Element, key: bytes, signature: bytes, signed: bytes) -> Verdict:
    """Whether the key, a SubjectPublicKeyInfo, made the signature, by this AlgorithmIdentifier.

    Security: only with the algorithm that the certificate names, and on a key of its kind.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        loaded = load_der_public_key(key)
        ways = _ways(algorithm(made), loaded)
        if ways is None:
            return Verdict.UNKNOWN
        loaded.verify(signature, signed, *ways)  # type: ignore[union-attr]  # `_ways` looked
    except InvalidSignature:
        return Verdict.WRONG
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Verdict.UNKNOWN
    return Verdict.RIGHT


def _ways(algorithm: Algorithm, key: Any) -> tuple[Any, ...] | None:
    """What `verify` of the key wants beside signature and data; None: it cannot."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import (
        ec,
        ed448,
        ed25519,
        padding,
        rsa,
    )

    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return ()
    made = getattr(hashes, algorithm.digest.upper(), None)
    if made is None:
        return None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return (ec.ECDSA(made()),)
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    if algorithm.name == _PSS_NAME:
        return padding.PSS(padding.MGF1(made()), padding.PSS.AUTO), made()
    return padding.PKCS1v15(), made()


def _pss_digest(parameters: list[Element]) -> str:
    """The hash of RSASSA-PSS-params (RFC 4055): field [0], SHA-1 where it is left out."""
    fields = inside(parameters[0]) if parameters else []
    if not fields or fields[0].tag != 0xA0:  # noqa: PLR2004  [0] hashAlgorithm
        return _SHA1
    named = inside(first(fields[0].content))
    return _HASHES.get(identifier(named[0]), "") if named else ""
