"""The facts of a host's certificates, made of few words: what a case leaves out is right.

A case is a table of these keys, all of which may be missing:

    credential   list of tables: kind ("chain"), files, chain, fault, seen, use (see below)
    handshake    list: service ("smtp/inet"), shown, and what else a `Handshake` has; port
    table        list: name, indexed, source, held, problem
    joined, offered   lists: path, certificate, key, contents, current
    tlsa         {"25 mx.example.test" = ["3 1 1 HEX"]}
    roots        [file, number]
    main_cf, master_cf, postfix   as `make_instance` has them
    profile      its name; none when left out

Of a credential: `chain` is a list of {leaf, above, trust, missing}, certificates being tables of
the fields of `Certificate` with `begins` and `ends` in days from now; `seen` a list of {path,
mode, owner, age in seconds, problem}; `use` a list of the fields of `Use`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

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
from postkeel.postfix.handshake import Endpoint, Handshake

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FILE: Final = "/etc/ssl/mx.pem"
NAME: Final = "mx.example.test"

Words = Mapping[str, Any]


def certificates_of(case: Words) -> Certificates:
    """The fact "certificates"; one right chain file where the case names no credential."""
    loaded: dict[Credential, Loaded] = {}
    uses: list[Use] = []
    for one in case.get("credential", [{}]):
        credential = Credential(
            kind=Kind(one.get("kind", "chain")), files=tuple(one.get("files", [FILE]))
        )
        loaded[credential] = _loaded(one, credential)
        uses += [_use(words, credential) for words in one.get("use", [{}])]
    return Certificates(
        uses=tuple(uses),
        loaded=loaded,
        tables={one["name"]: _table(one) for one in case.get("table", [])},
        joined=tuple(Joined(**one) for one in case.get("joined", [])),
        offered=tuple(Joined(**one) for one in case.get("offered", [])),
        names=(NAME,),
        roots=tuple(case.get("roots", ["/etc/ssl/certs/ca-certificates.crt", 140])),
        watched=(FILE,),
    )


def served_of(case: Words) -> Served | None:
    """The fact "served"; None where the case has no handshakes."""
    shown = case.get("handshake")
    return None if shown is None else Served(handshakes=tuple(map(_handshake, shown)))


def tlsa_of(case: Words) -> Tlsa | None:
    found: dict[tuple[str, str], tuple[TlsaRecord, ...]] = {}
    for place, records in case.get("tlsa", {}).items():
        port, _, name = place.partition(" ")
        found[port, name] = tuple(map(_record, records))
    return Tlsa(records=found, resolver="127.0.0.1:53") if found else None


def certificate(words: Words | None = None, file: str = FILE) -> Certificate:
    """A right leaf of ninety days, a month old, but for what these words say."""
    given = dict(words or {})
    key = Key(**given.pop("key", {"algorithm": "EC", "bits": 256, "curve": "secp256r1"}))
    begins, ends = (_moment(given.pop(one, days)) for one, days in (("begins", -30), ("ends", 60)))
    several: dict[str, Any] = {
        one: tuple(given.pop(one)) for one in ("names", "problems") if one in given
    }
    purposes = given.pop("purposes", ["serverAuth"])
    plain = {
        "subject": f"CN={NAME}",
        "issuer": "CN=Authority",
        "serial": "1",
        "signature": "sha256WithRSAEncryption",
        "digest": "sha256",
        "sha256": "aaaa",
        "key_sha256": "bbbb",
        "file": file,
        "line": 6,
        "names": (NAME,),
    }
    return Certificate(
        **{**plain, **given, **several},
        key=key,
        begins=begins,
        ends=ends,
        purposes=None if purposes == "none" else tuple(purposes),
    )


def _loaded(words: Words, credential: Credential) -> Loaded:
    file = credential.files[0]
    return Loaded(
        chains=tuple(_chain(one, file) for one in words.get("chain", [{}])),
        faults=tuple(_fault(one, file) for one in words.get("fault", [])),
        files=tuple(
            map(_seen, words.get("seen", [{"path": one} for one in credential.files if one]))
        ),
    )


def _chain(words: Words, file: str) -> Chain:
    above: Sequence[Words] = words.get("above", [{"subject": "CN=Authority", "line": 20}])
    upper = (
        {"authority": True, "names": [], "sha256": "cccc", "ends": 900, **one} for one in above
    )
    return Chain(
        certificates=(
            certificate(words.get("leaf"), file),
            *(certificate(one, file) for one in upper),
        ),
        trust=Trust(words.get("trust", "complete")),
        missing=words.get("missing", ""),
    )


def _fault(words: Words, file: str) -> Fault:
    plain = {"kind": "content", "file": file, "line": 1, "what": "no certificate in it"}
    given = {**plain, **words}
    return Fault(**{**given, "kind": FaultKind(given["kind"])})


def _seen(words: Words) -> FileSeen:
    given = {"mode": 0o600, "age": 3600.0, **words}
    age = given.pop("age")
    changed = None if age == "gone" else NOW - timedelta(seconds=age)
    return FileSeen(**given, changed=changed)


def _use(words: Words, credential: Credential) -> Use:
    given = {
        "services": ["smtp/inet"],
        "parameter": "smtpd_tls_chain_files",
        "where": "main.cf:1",
        **words,
    }
    return Use(**{**given, "services": tuple(given["services"])}, credential=credential)


def _table(words: Words) -> Table:
    held = {name: tuple(leaves) for name, leaves in words.get("held", {}).items()}
    return Table(**{"indexed": True, "source": "/etc/postfix/sni", **words, "held": held})


def _handshake(words: Words) -> Handshake:
    given = {"expected": ["aaaa"], "protocol": "TLSv1.3", **words}
    endpoint = Endpoint(
        service=given.pop("service", "smtp/inet"),
        host="127.0.0.1",
        port=given.pop("port", "25"),
        direct=False,
        floor="TLSv1.2",
    )
    shown = given.pop("shown", "aaaa")
    return Handshake(
        **{**given, "expected": tuple(given["expected"])},
        endpoint=endpoint,
        certificate_sha256=shown if given["protocol"] else "",
    )


def _record(text: str) -> TlsaRecord:
    usage, selector, matching, data = text.split()
    return TlsaRecord(usage=int(usage), selector=int(selector), matching=int(matching), data=data)


def _moment(days: float) -> datetime:
    return NOW + timedelta(days=days)
