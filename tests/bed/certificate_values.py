"""Values of `postkeel.certificates.values` for tests that show them: a host with several."""

from __future__ import annotations

import datetime as dt
from typing import Any

from postkeel.certificates.values import (
    Certificate,
    Certificates,
    Chain,
    Credential,
    Fault,
    FaultKind,
    FileSeen,
    Joined,
    Key,
    Kind,
    Loaded,
    Served,
    Table,
    Tlsa,
    TlsaRecord,
    Trust,
    Use,
)
from postkeel.contract import Depth, Finding, Handshake, Judged, Outcome, Reload, Severity
from postkeel.postfix.handshake import Endpoint

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SERVICES = ("smtp/inet", "submission/inet", "submissions/inet")
PORTS = {"smtp/inet": "25", "submission/inet": "587", "submissions/inet": "465"}
LIVE = "/etc/letsencrypt/live"


def certificate(
    *names: str, days: int = 68, lifetime: int = 90, digest: str = "a1", **more: Any
) -> Certificate:
    """A leaf with so many days left of its lifetime; `more` replaces fields."""
    ends = NOW + dt.timedelta(days=days, seconds=30)
    given: dict[str, Any] = {
        "subject": f"CN={names[0] if names else 'leaf'}",
        "issuer": "CN=E7,O=Let's Encrypt,C=US",
        "serial": "04f1",
        "begins": ends - dt.timedelta(days=lifetime),
        "ends": ends,
        "key": Key(algorithm="EC", bits=256, curve="secp256r1"),
        "signature": "ecdsa-with-SHA384",
        "digest": "sha384",
        "sha256": digest * 32,
        "key_sha256": digest[::-1] * 32,
        "file": f"{LIVE}/{names[0] if names else 'leaf'}/fullchain.pem",
        "line": 1,
        "names": names,
    }
    return Certificate(**(given | more))


def chain(leaf: Certificate, trust: Trust = Trust.COMPLETE, missing: str = "") -> Chain:
    """The leaf and an intermediate; a self-signed one alone."""
    above = certificate(
        subject="CN=E7,O=Let's Encrypt,C=US", issuer="CN=ISRG Root X1", digest="e7", authority=True
    )
    both = (leaf,) if trust is Trust.SELF_SIGNED else (leaf, above)
    return Chain(certificates=both, trust=trust, missing=missing)


def pair(name: str) -> Credential:
    directory = f"{LIVE}/{name}"
    return Credential(
        kind=Kind.PAIR, files=(f"{directory}/fullchain.pem", f"{directory}/privkey.pem")
    )


def use(credential: Credential, **more: Any) -> Use:
    given: dict[str, Any] = {
        "services": SERVICES,
        "parameter": "smtpd_tls_cert_file",
        "where": "main.cf:28",
    }
    return Use(credential=credential, **(given | more))


def loaded(name: str, *chains: Chain, faults: tuple[Fault, ...] = ()) -> Loaded:
    """With links as certbot makes them."""
    files = tuple(
        FileSeen(path=path, real=path.replace("/live/", "/archive/").replace(".pem", "3.pem"))
        for path in pair(name).files
    )
    return Loaded(chains=chains, faults=faults, files=files)


def shown(
    service: str, sha256: str, *, name: str = "", problem: str = "", expected: str = ""
) -> Handshake:
    endpoint = Endpoint(
        service=service, host="127.0.0.1", port=PORTS[service], direct=False, floor=""
    )
    return Handshake(
        endpoint=endpoint,
        protocol="" if problem else "TLSv1.3",
        certificate_sha256="" if problem else sha256,
        problem=problem,
        name=name,
        expected=(expected or sha256,),
    )


def judged(rule: str, file: str, **more: Any) -> Judged:
    """A finding of the watcher; `outcome` and `reason` are the judgement's."""
    outcome = more.pop("outcome", Outcome.AUDITED)
    reason = more.pop("reason", "not corrected in this round")
    given: dict[str, Any] = {
        "rule": rule,
        "severity": Severity.ERROR,
        "depth": Depth.OBSERVED,
        "parameter": "smtpd_tls_cert_file",
        "where": "main.cf:28",
        "effective": "another one is served",
        "wanted": "what the file holds",
        "why": "Renewed, and clients still get the old one.",
        "file": file,
    }
    return Judged(finding=Finding(**(given | more)), outcome=outcome, reason=reason)


def host() -> dict[str, Any]:
    """A mail host as it comes: one that is not served, one that ends soon, one unreadable, ...

    The arguments of `Look`, but for its directory and moment.
    """
    mail, shop, old, client = map(pair, ("mx.example.org", "shop.example", "old.example", "out"))
    names = ("mx.example.org", "mail.example.org", "smtp.example.org", "imap.example.org")
    leaf, renewed = certificate(*names), certificate("shop.example", "*.shop.example", digest="b2")
    soon = certificate(
        "out.example.org",
        days=3,
        digest="c3",
        key=Key(algorithm="RSA", bits=2048),
        must_staple=True,
    )
    broken = Fault(
        kind=FaultKind.CONTENT,
        file=old.files[0],
        line=17,
        what="the certificate ends in the middle",
        help="copy it again",
    )
    known = {
        mail: loaded("mx.example.org", chain(leaf)),
        shop: loaded("shop.example", chain(renewed)),
        client: loaded("out", chain(soon, Trust.INCOMPLETE, "CN=Missing CA")),
        old: loaded("old.example", faults=(broken,)),
    }
    table = Table(name="hash:/etc/postfix/sni", indexed=True, source="/etc/postfix/sni")
    by_name = {"parameter": "tls_server_sni_maps", "where": "main.cf:40", "table": table.name}
    uses = (
        use(mail),
        use(shop, **by_name, name="shop.example"),
        use(shop, **by_name, name=".shop.example"),
        use(old, services=("smtp/inet",), **by_name, name="old.example"),
        use(client, services=("smtp/unix",), parameter="smtp_tls_cert_file", client=True),
    )
    served = Served(
        handshakes=(
            *(shown(service, leaf.sha256) for service in SERVICES),
            shown("smtp/inet", "d4" * 32, name="shop.example", expected=renewed.sha256),
            shown("submission/inet", renewed.sha256, name="shop.example"),
            shown("submissions/inet", renewed.sha256, name="shop.example"),
            shown("smtp/inet", "", name="a.shop.example", problem="refused", expected="b2" * 32),
        ),
        since={leaf.sha256: NOW - dt.timedelta(days=22)},
    )
    fits = TlsaRecord(usage=3, selector=1, matching=1, data=leaf.key_sha256)
    stale = TlsaRecord(usage=3, selector=1, matching=1, data="5e" * 32)
    tlsa = Tlsa(
        records={
            ("25", "mx.example.org"): (fits, stale),
            ("587", "mx.example.org"): (),
            ("25", "shop.example"): (stale,),
        },
        resolver="127.0.0.1:53",
    )
    sni = {"parameter": "tls_server_sni_maps", "where": "main.cf:40"}
    return {
        "certificates": Certificates(
            uses=uses,
            loaded=known,
            tables={table.name: table},
            names=("mx.example.org",),
            roots=("/etc/ssl/certs/ca-certificates.crt", 142),
        ),
        "served": served,
        "tlsa": tlsa,
        "ports": PORTS,
        "judged": (
            judged("certificate-served", shop.files[0], **sni, remedy=(Reload(),)),
            judged(
                "certificate-usable",
                old.files[0],
                **sni,
                effective=f"{broken.file}:17: {broken.what}; copy it again",
            ),
            judged(
                "certificate-lifetime",
                client.files[0],
                parameter="smtp_tls_cert_file",
                severity=Severity.WARNING,
                effective="3 days left of 90",
            ),
            judged(
                "certificate-stapling",
                client.files[0],
                parameter="smtp_tls_cert_file",
                severity=Severity.WARNING,
                effective="asks for stapling",
                outcome=Outcome.WAIVED,
                reason="nobody insists, says hostmaster, until 2027-01-31",
            ),
        ),
    }


def offered(name: str) -> Joined:
    certificate_file, key = pair(name).files
    return Joined(
        path="/etc/postfix/postkeel-chain.pem",
        certificate=certificate_file,
        key=key,
        contents="00" * 32,
        current=False,
    )
