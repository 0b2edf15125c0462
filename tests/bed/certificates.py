"""Certificates for a private Postfix, made in memory: self-signed, or by an authority of ours."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_HASH = hashes.SHA256()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its key, as PEM text."""

    certificate: str
    key: str


@functools.cache  # an RSA key takes a quarter of a second
def _key(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if kind != "rsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_certificate(kind: str, *, host: str, address: str, days: int = 60) -> Certificate:
    """A self-signed certificate of kind "rsa" or "ecdsa" for a host name and an address.

    `days` is how long it is valid from now; a negative number makes an expired one.
    """
    key = _key(kind)
    return _with_key(
        _builder(key, host, address, days).issuer_name(_name(host)).sign(key, _HASH), key
    )


def signed_certificate(
    kind: str, *, host: str, address: str, days: int = 60, also: tuple[str, ...] = ()
) -> Certificate:
    """The same, signed by the authority of this process; also: more host names."""
    key, authority = _key(kind), _authority()
    builder = _builder(key, host, address, days, also).issuer_name(authority.subject)
    return _with_key(builder.sign(_key("authority"), _HASH), key)


def authority_of_all() -> str:
    """The authority's own certificate, as PEM text."""
    return _authority().public_bytes(serialization.Encoding.PEM).decode()


@functools.cache
def _authority() -> x509.Certificate:
    key, now = _key("authority"), dt.datetime.now(dt.UTC)
    name = _name("authority of the tests")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, _HASH)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    host: str,
    address: str,
    days: int,
    also: tuple[str, ...] = (),
) -> x509.CertificateBuilder:
    """All but the issuer."""
    now = dt.datetime.now(dt.UTC)
    end = now + dt.timedelta(days=days)
    names: list[x509.GeneralName] = [
        *(x509.DNSName(one) for one in (host, *also)),
        x509.IPAddress(ipaddress.ip_address(address)),
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(host))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - dt.timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def _with_key(
    signed: x509.Certificate, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> Certificate:
    return Certificate(
        certificate=signed.public_bytes(serialization.Encoding.PEM).decode(),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
