"""A renewer that takes milliseconds: certificates made in this process, in certbot's layout.

    authority = Issuer(directory)
    lineage = Lineage(directory / "letsencrypt", "mail.example.test", authority)
    leaf = lineage.renew(kind="rsa", new_key=True)
    lineage.fullchain, lineage.privkey, authority.roots

For the many renewals of a soak or of a figure; real renewers are in `acme`.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_KEPT_RSA = 4
"""RSA keys take a quarter of a second each; those that are made are taken in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate, what signed it, and its key, in PEM; `leaf` is its sha256."""

    certificate: bytes
    chain: bytes
    key: bytes

    @property
    def fullchain(self) -> bytes:
        return self.certificate + self.chain

    @property
    def leaf(self) -> str:
        return fingerprint(self.certificate)


def fingerprint(pem: bytes) -> str:
    """The sha256 of the first certificate, in hexadecimal."""
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).hexdigest()


@functools.cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """One of a few RSA keys."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """A root, in the file `roots`, and an intermediate that signs what is issued."""

    def __init__(self, directory: Path, name: str = "Tests") -> None:
        root = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"{name} Intermediate")
        self._made = 0
        directory.mkdir(parents=True, exist_ok=True)
        self.roots = directory / "roots.pem"
        own = _authority(_named(f"{name} Root"), root, _named(f"{name} Root"), root)
        self.roots.write_bytes(own.public_bytes(_PEM))
        mine = _authority(self._name, self._key, _named(f"{name} Root"), root)
        self._chain = mine.public_bytes(_PEM)

    def key(self, kind: str) -> PrivateKey:
        """A key of kind "ecdsa" or "rsa", other than the last one."""
        if kind == "ecdsa":
            return ec.generate_private_key(ec.SECP256R1())
        self._made += 1
        return rsa_key(self._made % _KEPT_RSA)

    def issue(
        self,
        *names: str,
        kind: str = "ecdsa",
        key: PrivateKey | None = None,
        lifetime: dt.timedelta = dt.timedelta(days=90),
    ) -> Issued:
        """A certificate for these names, valid since an hour ago; a negative lifetime is over."""
        key = key or self.key(kind)
        begins = dt.datetime.now(dt.UTC) - max(-lifetime * 2, dt.timedelta(hours=1))
        ends = dt.datetime.now(dt.UTC) + lifetime
        others = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        signed = (
            _unsigned(_named(names[0]), key, self._name, self._key, begins, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(others, critical=False)
            .add_extension(purpose, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Issued(certificate=signed.public_bytes(_PEM), chain=self._chain, key=secret)


class Lineage:
    """certbot's four links in live/NAME, and what they lead to in archive/NAME.

    As certbot does it: the new files are written beside the old ones, a key that is kept is
    a link to the old one's file; then one link after the other is taken away and made anew.
    """

    _ORDER = ("cert", "privkey", "chain", "fullchain")

    def __init__(self, directory: Path, name: str, authority: Issuer, *more: str) -> None:
        self.names = (name, *more)
        self.live = directory / "live" / name
        self.fullchain = self.live / "fullchain.pem"
        self.privkey = self.live / "privkey.pem"
        self._archive = directory / "archive" / name
        self._authority = authority
        self._number = 0
        self._key: PrivateKey | None = None
        for one in (self.live, self._archive):
            one.mkdir(parents=True)
        for one in (self.live.parent, self._archive.parent):
            one.chmod(0o700)

    def renew(self, *, kind: str = "ecdsa", new_key: bool = True) -> str:
        """The next certificate, in the files; its sha256."""
        issued = self.issued(kind=kind, new_key=new_key)
        self.write(issued, kept_key=not new_key)
        return issued.leaf

    def issued(self, *, kind: str = "ecdsa", new_key: bool = True) -> Issued:
        """The next certificate, not yet in the files. kind: of a new key; one that is kept is
        what it is."""
        if new_key or self._key is None:
            self._key = self._authority.key(kind)
        return self._authority.issue(*self.names, key=self._key)

    def write(self, issued: Issued, *, kept_key: bool = False) -> None:
        """Put it into the archive, then lead the links to it."""
        self._number += 1
        if kept_key and self._number > 1:
            before = self._archive / f"privkey{self._number - 1}.pem"
            (self._archive / f"privkey{self._number}.pem").symlink_to(before.resolve().name)
        else:
            self._put("privkey", issued.key, 0o600)
        self._put("cert", issued.certificate)
        self._put("chain", issued.chain)
        self._put("fullchain", issued.fullchain)
        for one in self._ORDER:
            link = self.live / f"{one}.pem"
            link.unlink(missing_ok=True)
            link.symlink_to(f"../../archive/{self.live.name}/{one}{self._number}.pem")

    def _put(self, name: str, pem: bytes, mode: int = 0o644) -> None:
        path = self._archive / f"{name}{self._number}.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(pem)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _authority(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    begins, ends = now - dt.timedelta(days=1), now + dt.timedelta(days=3650)
    return (
        _unsigned(name, key, issuer, signer, begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _unsigned(
    subject: x509.Name,
    key: PrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    begins: dt.datetime,
    ends: dt.datetime,
) -> x509.CertificateBuilder:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(own, critical=False)
        .add_extension(above, critical=False)
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
