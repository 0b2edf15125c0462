"""A host as values: an instance with services that offer TLS, and what their files hold."""

from __future__ import annotations

import datetime as dt
import hashlib

from postkeel.certificates.values import (
    Certificate,
    Certificates,
    Chain,
    Credential,
    Key,
    Kind,
    Loaded,
    TlsaRecord,
    Trust,
    Use,
)
from postkeel.postfix.instance import Instance, Parameter, Role, Service

HOST = "mx.signed.example"
_FILE = "/etc/postfix/server.pem"
_WHEN = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
_DEFAULTS = {
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "known_tcp_ports": "lmtp=24, smtp=25, smtps=submissions=465, submission=587",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_chain_files": _FILE,
    "smtpd_tls_protocols": ">=TLSv1.2",
    "smtpd_tls_mandatory_protocols": ">=TLSv1.2",
}


def instance(
    *services: str,
    host: str = HOST,
    own: dict[str, str] | None = None,
    directory: str = "/etc/postfix",
) -> Instance:
    """These services ("smtp/inet"); `own` is what some of them call themselves."""
    return Instance(
        config_directory=directory,
        version="3.10.5",
        openssl="3.5.0",
        map_types=(),
        parameters={},
        defaults={**_DEFAULTS, "myhostname": host},
        services=tuple(_service(one, (own or {}).get(one)) for one in services or ("smtp/inet",)),
    )


def _service(name: str, own: str | None) -> Service:
    named = {} if own is None else {"myhostname": Parameter(value=own, where="master.cf:13")}
    return Service(name=name, command="smtpd", where="master.cf:12", role=Role.MX, overrides=named)


def whole(seed: str) -> bytes:
    """What stands for a certificate in DER."""
    return b"certificate " + seed.encode()


def key(seed: str) -> bytes:
    """What stands for its public key."""
    return b"key " + seed.encode()


def certificate(seed: str, *, with_sha512: bool = True) -> Certificate:
    return Certificate(
        subject=f"CN={seed}",
        issuer="CN=issuer",
        serial="1",
        begins=_WHEN,
        ends=_WHEN + dt.timedelta(days=90),
        key=Key(algorithm="EC", bits=256, curve="secp256r1"),
        signature="ecdsa-with-SHA256",
        digest="sha256",
        sha256=hashlib.sha256(whole(seed)).hexdigest(),
        key_sha256=hashlib.sha256(key(seed)).hexdigest(),
        sha512=hashlib.sha512(whole(seed)).hexdigest() if with_sha512 else "",
        key_sha512=hashlib.sha512(key(seed)).hexdigest() if with_sha512 else "",
        file=_FILE,
        line=1,
    )


def chain(*seeds: str, with_sha512: bool = True) -> Chain:
    """The leaf first."""
    made = tuple(certificate(one, with_sha512=with_sha512) for one in seeds)
    return Chain(certificates=made, trust=Trust.COMPLETE)


def record(text: str) -> TlsaRecord:
    """The record as a zone file has it: "3 1 1 HEX"."""
    usage, selector, matching, data = (text + " ").split(" ")[:4]
    return TlsaRecord(usage=int(usage), selector=int(selector), matching=int(matching), data=data)


def use(seed: str, *services: str, name: str = "", client: bool = False) -> Use:
    """A use of the credential that `certificates` gives a chain of this seed."""
    return Use(
        credential=_credential(seed),
        services=services or ("smtp/inet",),
        parameter="tls_server_sni_maps" if name else "smtpd_tls_chain_files",
        where="main.cf:12",
        client=client,
        name=name,
    )


def _credential(seed: str) -> Credential:
    return Credential(kind=Kind.CHAIN, files=(f"/etc/postfix/{seed}.pem",))


def certificates(*uses: Use, unread: str = "") -> Certificates:
    """Each credential of these uses holds a chain of its seed, but for the one that is unread."""
    loaded = {
        one.credential: Loaded(chains=(chain(one.credential.files[0][13:-4], "issuer"),))
        for one in uses
        if one.credential != _credential(unread)
    }
    return Certificates(uses=uses, loaded=loaded)
