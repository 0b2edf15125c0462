"""A certificate authority of one's own, and what it signs for collectors and senders.

    authority = Authority(directory)
    pair = authority.issue("log1.example.org")
    authority.file, pair.certificate, pair.key

An expired certificate is `issue(..., days=-1)`, one of another name is issued for
another name, and one that nobody trusts is issued by a second `Authority`.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

COLLECTOR = "log1.example.org"
SENDER = "mx1.example.org"
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Files in PEM: a certificate and its key."""

    certificate: Path
    key: Path


@functools.cache  # one a name is enough for a whole run
def _key(whose: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Signs with a key of its own; its files lie in `directory`."""

    def __init__(self, directory: Path, name: str = "Authority of a test") -> None:
        self.directory = directory
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        directory.mkdir(parents=True, exist_ok=True)
        now = dt.datetime.now(dt.UTC)
        built = (
            self._built(name, self._key, now, now + dt.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
        )
        self.file = directory / "ca.pem"
        self.file.write_bytes(built.sign(self._key, hashes.SHA256()).public_bytes(_PEM))

    def issue(
        self,
        host: str = COLLECTOR,
        *,
        addresses: tuple[str, ...] = (),
        days: int = 60,
        file: str = "",
    ) -> Pair:
        """A certificate for a host name, and addresses, for servers and clients alike.

        days: how long it is valid from now; negative: since when it is not. file: the
        files' name without suffix; by default the host's. One that is there is replaced.
        """
        key = _key(host)
        now = dt.datetime.now(dt.UTC)
        end = now + dt.timedelta(days=days)
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        built = (
            self._built(host, key, min(now, end), end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        stem = file or host
        pair = Pair(certificate=self.directory / f"{stem}.pem", key=self.directory / f"{stem}.key")
        pair.certificate.write_bytes(built.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        pair.key.write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        pair.key.chmod(0o600)
        return pair

    def _built(
        self, name: str, key: ec.EllipticCurvePrivateKey, start: dt.datetime, end: dt.datetime
    ) -> x509.CertificateBuilder:
        issuer = self._key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - dt.timedelta(days=1))
            .not_valid_after(end)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
        )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
