"""A certificate authority of one's own, for peers that are trusted, foreign, expired or hostile."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Files of a certificate and its key."""

    certificate: str
    key: str

    def spki_sha256(self) -> str:
        """What a TLSA record 3 1 1 says of the certificate, in hexadecimal digits."""
        read = x509.load_pem_x509_certificate(Path(self.certificate).read_bytes())
        key = read.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(key).hexdigest()

    def server_context(self) -> ssl.SSLContext:
        """For a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates and puts them into a directory; `file` is its own."""

    def __init__(self, directory: Path, file: str, name: str = "") -> None:
        self._directory = directory
        self._name = _name(name or file)
        self._key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=None)
        mine = self._unsigned(self._name, self._key, 3650).add_extension(basic, critical=True)
        self.file = directory / f"{file}.pem"
        self.file.write_bytes(_pem(mine.sign(self._key, hashes.SHA256())))

    def issue(
        self, file: str, common_name: str, *, hosts: tuple[str, ...] = (), days: int = 60
    ) -> Credentials:
        """A certificate in `file`; a negative number of days makes an expired one."""
        key = ec.generate_private_key(ec.SECP256R1())
        wanted = self._unsigned(_name(common_name), key, days)
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(one) for one in hosts])
            wanted = wanted.add_extension(names, critical=False)
        return self._written(file, wanted.sign(self._key, hashes.SHA256()), key)

    def self_signed(self, file: str) -> Credentials:
        """The authority's own certificate, shown by a server."""
        return self._written(
            file, x509.load_pem_x509_certificate(self.file.read_bytes()), self._key
        )

    def _unsigned(self, subject: x509.Name, key: PrivateKey, days: int) -> x509.CertificateBuilder:
        end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - dt.timedelta(days=abs(days) + 1))
            .not_valid_after(end)
        )

    def _written(self, file: str, signed: x509.Certificate, key: PrivateKey) -> Credentials:
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certificate, kept = self._directory / f"{file}.pem", self._directory / f"{file}.key"
        kept.touch(mode=0o600)
        kept.write_bytes(secret)
        certificate.write_bytes(_pem(signed))
        return Credentials(certificate=str(certificate), key=str(kept))


def _name(common_name: str) -> x509.Name:
    """Of any length: strangers' certificates do not keep to 64 characters (RFC 5280)."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
