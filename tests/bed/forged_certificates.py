"""Certificates and keys made by hand: each field as one wants it, signed all the same.

issued("mail.example.test", "Root"), rebuilt(certificate, {1: element(2, b"\\xff")})
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postkeel.certificates.der import Element, first, parts

HOST = "mail.example.test"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)

Private = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_SHA256 = hashes.SHA256()


@functools.cache
def key_of(whose: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key_of(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: Private) -> bytes:
    """The private key, not encrypted."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption())


def issued(
    subject: str = HOST,
    issuer: str = "Intermediate",
    key: Private | None = None,
    *,
    authority: bool = False,
    begins: dt.datetime = NOW - DAY,
    ends: dt.datetime = NOW + 60 * DAY,
    names: tuple[str, ...] = (HOST,),
    common_name: str = "",
) -> bytes:
    """A certificate in PEM; `subject` and `issuer` choose keys, and are common names."""
    public = (key or key_of(subject)).public_key()
    built = (
        x509.CertificateBuilder()
        .subject_name(name_of(common_name or subject))
        .issuer_name(name_of(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if not authority:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        built = built.add_extension(alternatives, False).add_extension(purposes, False)
    signed = built.sign(key_of(issuer), hashes.SHA256())
    return signed.public_bytes(_PEM)


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def rebuilt(
    certificate: bytes,
    fields: Mapping[int, bytes],
    algorithm: bytes = b"",
    digest: hashes.HashAlgorithm = _SHA256,
) -> bytes:
    """The certificate with fields of what is signed replaced, by index, and signed again.

    1 is the serial, 4 the validity, 5 the subject, 6 the key, 7 the extensions. algorithm: the
    AlgorithmIdentifier to name instead of that of the signature.
    """
    signed, named_algorithm, _ = parts(first(der_of(certificate)).content)
    old = {index: one.whole for index, one in enumerate(parts(signed.content))}
    if algorithm:
        old[2] = algorithm
    body = element(0x30, b"".join((old | dict(fields)).values()))
    signature = key_of("Intermediate").sign(body, ec.ECDSA(digest))
    made = algorithm or named_algorithm.whole
    return block("CERTIFICATE", element(0x30, body + made + element(3, b"\0" + signature)))


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    octets = size.to_bytes(3, "big").lstrip(b"\0")
    head = bytes((tag, size)) if size < 128 else bytes((tag, 128 + len(octets))) + octets
    return head + content


def block(label: str, data: bytes) -> bytes:
    text = base64.encodebytes(data).decode().replace("\n", "")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    body = "\n".join(lines)
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


def der_of(text: bytes) -> bytes:
    return x509.load_pem_x509_certificate(text).public_bytes(_DER)


def extensions_of(certificate: bytes) -> list[Element]:
    """Its extensions, to be changed and put back."""
    signed = parts(first(der_of(certificate)).content)[0]
    return parts(first(parts(signed.content)[7].content).content)


def with_extension(certificate: bytes, identifier: str, value: bytes) -> bytes:
    """The certificate with one more extension, or this one's value instead of what it has."""
    kind = bytes.fromhex(identifier)
    kept = [one.whole for one in extensions_of(certificate) if kind not in one.whole]
    added = element(0x30, kind + element(4, value))
    return rebuilt(certificate, {7: element(0xA3, element(0x30, b"".join((*kept, added))))})
