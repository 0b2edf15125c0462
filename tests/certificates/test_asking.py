"""What is asked of a Postfix to see whether it shows its files' certificates, as data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postkeel.certificates.asking import (
    Ask,
    asked_name,
    asks_of,
    proof_of,
)
from postkeel.certificates.names import is_host_name
from postkeel.certificates.values import (
    Certificate,
    Certificates,
    Chain,
    Credential,
    Fault,
    FaultKind,
    Key,
    Kind,
    Loaded,
    Trust,
    Use,
)
from postkeel.core.model import Absent
from postkeel.postfix.ciphers import cipher_string
from postkeel.postfix.instance import Instance, Parameter, Role, Service, Suite

MX, SUBMISSION = "smtp/inet", "submission/inet"
MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
BROKEN = Fault(kind=FaultKind.KEY, file="/x", line=0, what="another key")
TOLERABLE = Fault(kind=FaultKind.ORDER, file="/x", line=0, what="doubled", breaks=False)


def instance(*services: str, suites=None, **settings: str) -> Instance:
    made = Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="3.0.17",
        map_types=(),
        parameters={
            name: Parameter(value=value, where="main.cf:1") for name, value in settings.items()
        },
        defaults={
            "inet_interfaces": "192.0.2.1",
            "inet_protocols": "all",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": "/rsa.pem",
            "smtpd_tls_protocols": ">=TLSv1.2",
            "smtpd_tls_ciphers": "medium",
            "tls_medium_cipherlist": "aNULL:-aNULL:HIGH",
        },
        services=tuple(
            Service(name=name, command="smtpd", where="master.cf:1", role=Role.MX)
            for name in services or (MX,)
        ),
    )
    if suites is None:
        return made
    string = cipher_string(made, "smtpd", made.services[0], "may")
    known = suites if isinstance(suites, Absent) else tuple(map(suite, suites))
    return Instance(
        **{
            **{name: getattr(made, name) for name in made.__dataclass_fields__},
            "suites": {string: known},
        }
    )


def suite(authentication: str) -> Suite:
    return Suite(
        name=authentication,
        protocol="TLSv1.2",
        key_exchange="ECDH",
        authentication=authentication,
        encryption="AESGCM(128)",
        mac="AEAD",
    )


def chain(shown: str) -> Chain:
    """ "RSA one" is an RSA certificate with the sha256 "one"; "" a chain without any."""
    algorithm, _, digest = shown.partition(" ")
    leaf = Certificate(
        subject="CN=x",
        issuer="CN=y",
        serial="1",
        begins=MOMENT,
        ends=MOMENT,
        key=Key(algorithm=algorithm),
        signature="",
        digest="",
        sha256=digest,
        key_sha256="",
        file="/x",
        line=1,
    )
    return Chain(certificates=(leaf,) if shown else (), trust=Trust.COMPLETE)


def facts(*rows) -> Certificates:
    """Uses with what their credentials hold: (services, name, table, leaves, faults, client)."""
    uses, loaded = [], {}
    for number, row in enumerate(rows):
        services, name, table, leaves, *more = row
        faults, client = (*more, *((), False)[len(more) :])
        credential = Credential(kind=Kind.CHAIN, files=(f"/{number}.pem",))
        uses.append(
            Use(
                credential=credential,
                services=services,
                parameter="smtpd_tls_chain_files",
                where="main.cf:1",
                client=client,
                table=table,
                name=name,
            )
        )
        if leaves is not None:
            loaded[credential] = Loaded(chains=tuple(map(chain, leaves)), faults=faults)
    return Certificates(uses=tuple(uses), loaded=loaded)


def told(asks) -> list[str]:
    """As "PORT name algorithm = expected"."""
    return [
        " ".join(
            filter(None, (one.endpoint.port, one.name, one.algorithm, "=", ",".join(one.expected)))
        )
        for one in asks
    ]


HASH, OTHER = "hash:/sni", "inline:{x}"
CASES = {
    "nothing known": ([], ["25 ="]),
    "one certificate": ([((MX,), "", "", ["RSA a"])], ["25 = a"]),
    "one of another service": ([((SUBMISSION,), "", "", ["RSA a"])], ["25 ="]),
    "a client's": ([((MX,), "", "", ["RSA a"], (), True)], ["25 ="]),
    "not loaded": ([((MX,), "", "", None)], ["25 ="]),
    "breaks": ([((MX,), "", "", ["RSA a"], (BROKEN,))], ["25 ="]),
    "tolerable": ([((MX,), "", "", ["RSA a"], (TOLERABLE,))], ["25 = a"]),
    "without a leaf": ([((MX,), "", "", [""])], ["25 ="]),
    "RSA and EC in one file": (
        [((MX,), "", "", ["RSA a", "EC b"])],
        ["25 = a,b", "25 RSA = a", "25 EC = b"],
    ),
    "RSA and EC in files": (
        [((MX,), "", "", ["RSA a"]), ((MX,), "", "", ["EC b"])],
        ["25 = a,b", "25 RSA = a", "25 EC = b"],
    ),
    "one of two breaks": (
        [((MX,), "", "", ["RSA a"], (BROKEN,)), ((MX,), "", "", ["EC b"])],
        ["25 ="],
    ),
    "EC and Ed25519 cannot be told apart": (
        [((MX,), "", "", ["EC a", "Ed25519 b"])],
        ["25 = a,b"],
    ),
    "what has no suites": ([((MX,), "", "", ["RSA a", "DSA b"])], ["25 = a,b", "25 RSA = a"]),
    "the same twice": ([((MX,), "", "", ["RSA a", "RSA a"])], ["25 = a"]),
    "a name": (
        [((MX,), "", "", ["RSA a"]), ((MX,), "MX.example.org", HASH, ["EC b"])],
        ["25 = a", "25 mx.example.org = b"],
    ),
    "a name with two algorithms": (
        [((MX,), "mx.example.org", HASH, ["RSA a", "EC b"])],
        [
            "25 =",
            "25 mx.example.org = a,b",
            "25 mx.example.org RSA = a",
            "25 mx.example.org EC = b",
        ],
    ),
    "a name of two tables": (
        [((MX,), "mx.test", HASH, ["RSA a"]), ((MX,), "mx.test", OTHER, ["RSA b"])],
        ["25 =", "25 mx.test = a"],
    ),
    "a name that breaks": (
        [((MX,), "mx.test", HASH, ["RSA a"], (BROKEN,))],
        ["25 =", "25 mx.test ="],
    ),
    "all below a name": ([((MX,), ".test", HASH, ["RSA a"])], ["25 =", "25 postkeel.test = a"]),
    "the sample is an entry": (
        [((MX,), ".test", HASH, ["RSA a"]), ((MX,), "postkeel.test", HASH, ["RSA b"])],
        ["25 =", "25 postkeel.test = b"],
    ),
    "names that cannot be told": ([((MX,), "", "pcre:/sni", ["RSA a"])], ["25 ="]),
    "no host name": ([((MX,), "mx..test", HASH, ["RSA a"])], ["25 ="]),
}


@pytest.mark.parametrize(("rows", "wanted"), CASES.values(), ids=CASES)
def test_asks(rows, wanted):
    assert told(asks_of(instance(), facts(*rows))) == wanted


BOTH = facts(((MX, SUBMISSION), "", "", ["RSA a", "EC b"]))
APART = {
    "not known": ({}, ["25 = a,b", "25 RSA = a", "25 EC = b"]),
    "no answer of OpenSSL": (
        {"suites": Absent(reason="x")},
        ["25 = a,b", "25 RSA = a", "25 EC = b"],
    ),
    "suites for both": (
        {"suites": ["ECDSA", "RSA"]},
        ["25 = a,b", "25 RSA = a", "25 EC = b"],
    ),
    "suites for RSA alone": ({"suites": ["RSA", "any"]}, ["25 = a,b", "25 RSA = a"]),
    "only TLS 1.3": ({"smtpd_tls_protocols": ">=TLSv1.3"}, ["25 = a,b"]),
    "no protocol": ({"smtpd_tls_protocols": "!TLSv1.2, no such list"}, ["25 = a,b"]),
}


@pytest.mark.parametrize(("settings", "wanted"), APART.values(), ids=APART)
def test_algorithms_are_asked_for_where_a_suite_can_name_them(settings, wanted):
    assert told(asks_of(instance(**settings), BOTH)) == wanted


def test_each_endpoint_is_asked():
    wanted = ["25 = a", "25 mx.test = b", "587 = a", "587 mx.test = b"]
    known = facts(
        ((MX, SUBMISSION), "", "", ["RSA a"]), ((MX, SUBMISSION), "mx.test", HASH, ["RSA b"])
    )
    ports = {"known_tcp_ports": "smtp=25, submission=587"}
    assert told(asks_of(instance(MX, SUBMISSION, **ports), known)) == wanted


def test_a_service_without_tls_is_not_asked():
    none = instance(smtpd_tls_security_level="none")
    assert asks_of(none, BOTH) == ()
    assert proof_of(none) == ()


@pytest.mark.parametrize(
    ("protocols", "below"), [(">=TLSv1.2", ["", "TLSv1.2"]), (">=TLSv1", [""]), ("?", [""])]
)
def test_a_proof_tries_what_is_older(protocols, below):
    proof = proof_of(instance(smtpd_tls_protocols=protocols))
    assert [one.below for one in proof] == below
    assert not any(one.expected for one in proof)


def test_a_proof_with_asks():
    known = facts(((MX,), "", "", ["RSA a", "EC b"]), ((MX,), "mx.test", HASH, ["RSA c"]))
    asks = asks_of(instance(), known)
    elsewhere = Ask(endpoint=asks_of(instance("26/inet"), known)[0].endpoint)
    shown = proof_of(instance(), (*reversed(asks), elsewhere))
    assert [(one.below, one.name, one.algorithm, one.expected) for one in shown] == [
        ("", "", "", ("a", "b")),
        ("TLSv1.2", "", "", ()),
        ("", "mx.test", "", ("c",)),
        ("", "", "EC", ("b",)),
        ("", "", "RSA", ("a",)),
    ]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mx.example.org", True),
        ("mx", True),
        ("xn--mx-example-4zb.test", True),
        ("_dmarc.example.org", True),
        ("1.example.org", True),
        ("a" * 63 + ".test", True),
        (".".join(["a" * 60] * 4), True),
        ("a" * 64 + ".test", False),
        (".".join(["a" * 63] * 4), False),
        ("192.0.2.1", False),
        ("", False),
        (".test", False),
        ("test.", False),
        ("a..test", False),
        ("-a.test", False),
        ("a-.test", False),
        ("a b.test", False),
        ("a\n.test", False),
        ("m\u00e4x.test", False),
        ("\u0661.test", False),
        ("MX.test", False),
        ("*.test", False),
        ("::1", False),
    ],
)
def test_host_names(name, wanted):
    assert is_host_name(name) is wanted


@pytest.mark.parametrize(("name", "asked"), [("MX.test", "mx.test"), (".Test", "postkeel.test")])
def test_asked_names(name, asked):
    assert asked_name(name) == asked
