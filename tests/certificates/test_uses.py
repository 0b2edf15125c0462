"""Which certificates are used: Postfix's rules, one table of cases."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from postkeel.certificates.uses import (
    is_without_certificate,
    names_of,
    sni_tables,
    uses_of,
)
from postkeel.certificates.values import Kind
from written_instance import MASTER, written

MAY = "smtpd_tls_security_level = may"
SCREENED = (
    "smtp/inet postscreen",
    "smtpd/pass smtpd",
    "tlsproxy/unix tlsproxy",
    "submission/inet smtpd smtpd_tls_security_level=encrypt",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """used: "SERVICES PARAMETER WHERE FILES" of each, and " client" or ", TABLE NAME"."""

    name: str
    lines: tuple[str, ...] = ()
    services: tuple[str, ...] = MASTER
    tables: dict[str, tuple] = field(default_factory=dict)
    used: tuple[str, ...] = ()


CASES = [
    Case(name="nothing is configured", lines=(MAY,)),
    Case(
        name="a certificate whose file has the key too",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem"),
        used=("smtp/inet smtpd_tls_cert_file main.cf:2 /c.pem /c.pem",),
    ),
    Case(
        name="RSA, ECDSA and DSA side by side",
        lines=(
            MAY,
            "smtpd_tls_cert_file = /r.pem",
            "smtpd_tls_key_file = /r.key",
            "smtpd_tls_eccert_file = /e.pem",
            "smtpd_tls_eckey_file = /e.key",
            "smtpd_tls_dcert_file = /d.pem",
        ),
        used=(
            "smtp/inet smtpd_tls_cert_file main.cf:2 /r.pem /r.key",
            "smtp/inet smtpd_tls_eccert_file main.cf:4 /e.pem /e.key",
            "smtp/inet smtpd_tls_dcert_file main.cf:6 /d.pem /d.pem",
        ),
    ),
    Case(
        name="chain files override all pairs",
        lines=(MAY, "smtpd_tls_cert_file = /r.pem", "smtpd_tls_chain_files = /a.pem, /b.pem"),
        used=("smtp/inet smtpd_tls_chain_files main.cf:3 /a.pem /b.pem",),
    ),
    Case(
        name="none is no file, for the certificate; elsewhere it is one",
        lines=(MAY, "smtpd_tls_cert_file = None", "smtpd_tls_eccert_file = none"),
        used=(
            (
                "smtp/inet smtpd_tls_eccert_file main.cf:3"
                " /var/spool/postfix/none /var/spool/postfix/none"
            ),
        ),
    ),
    Case(
        name="a name that is not absolute is one in the queue directory",
        lines=(MAY, "smtpd_tls_cert_file = tls/c.pem"),
        used=(
            (
                "smtp/inet smtpd_tls_cert_file main.cf:2"
                " /var/spool/postfix/tls/c.pem /var/spool/postfix/tls/c.pem"
            ),
        ),
    ),
    Case(
        name="an empty name of a key stays empty",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem", "smtpd_tls_key_file ="),
        used=("smtp/inet smtpd_tls_cert_file main.cf:2 /c.pem ",),
    ),
    Case(name="no TLS, no use", lines=("smtpd_tls_cert_file = /c.pem",)),
    Case(
        name="a service without TLS does not use it, one in wrapper mode does",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem", "x = 1"),
        services=(
            "smtp/inet smtpd smtpd_tls_security_level=none",
            "465/inet smtpd smtpd_tls_wrappermode=yes smtpd_tls_security_level=none",
        ),
        used=("465/inet smtpd_tls_cert_file main.cf:2 /c.pem /c.pem",),
    ),
    Case(
        name="a service that is switched off does not use it",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem", "master_service_disable = submission/inet"),
        services=("smtp/inet smtpd", "submission/inet smtpd"),
        used=("smtp/inet smtpd_tls_cert_file main.cf:2 /c.pem /c.pem",),
    ),
    Case(
        name="services that use one by the same parameter are one use",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem"),
        services=(
            "smtp/inet smtpd",
            "submission/inet smtpd smtpd_tls_cert_file=/c.pem",
            "465/inet smtpd smtpd_tls_cert_file=/o.pem",
            "587/inet smtpd smtpd_tls_eccert_file=/c.pem",
        ),
        used=(
            "smtp/inet,submission/inet,587/inet smtpd_tls_cert_file main.cf:2 /c.pem /c.pem",
            "465/inet smtpd_tls_cert_file master.cf:3 /o.pem /o.pem",
            "587/inet smtpd_tls_eccert_file master.cf:4 /c.pem /c.pem",
        ),
    ),
    Case(
        name="postscreen's clients meet tlsproxy or the smtpd behind",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem"),
        services=SCREENED,
        used=(
            (
                "smtpd/pass,smtp/inet,submission/inet,tlsproxy/unix"
                " smtpd_tls_cert_file main.cf:2 /c.pem /c.pem"
            ),
        ),
    ),
    Case(
        name="tlsproxy with a certificate of its own",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem", "tlsproxy_tls_cert_file = /p.pem"),
        services=SCREENED[:3],
        used=(
            "smtpd/pass,smtp/inet smtpd_tls_cert_file main.cf:2 /c.pem /c.pem",
            "smtp/inet,tlsproxy/unix tlsproxy_tls_cert_file main.cf:3 /p.pem /c.pem",
        ),
    ),
    Case(
        name="postscreen without TLS does not use tlsproxy",
        lines=(MAY, "tlsproxy_tls_cert_file = /p.pem", "postscreen_tls_security_level = none"),
        services=SCREENED[:3],
    ),
    Case(
        name="tlsproxy without TLS",
        lines=(MAY, "tlsproxy_tls_cert_file = /p.pem", "tlsproxy_tls_security_level = none"),
        services=SCREENED[:3],
    ),
    Case(
        name="another smtpd behind postscreen",
        lines=(MAY, "smtpd_tls_cert_file = /c.pem", "smtpd_service_name = other"),
        services=("smtp/inet postscreen", "smtpd/pass smtpd", "other/pass smtpd"),
        used=("smtpd/pass,other/pass,smtp/inet smtpd_tls_cert_file main.cf:2 /c.pem /c.pem",),
    ),
    Case(
        name="client certificates, where there is TLS to servers",
        lines=(
            "smtp_tls_security_level = may",
            "smtp_tls_cert_file = /c.pem",
            "lmtp_tls_chain_files = /l.pem",
        ),
        services=("smtp/unix smtp", "lmtp/unix lmtp", "relay/unix smtp", "tlsproxy/unix tlsproxy"),
        used=("smtp/unix,relay/unix smtp_tls_cert_file main.cf:2 /c.pem /c.pem client",),
    ),
    Case(
        name="a policy table may ask for TLS where nothing else does",
        lines=("lmtp_tls_chain_files = /l.pem", "lmtp_tls_policy_maps = hash:/p"),
        services=("lmtp/unix lmtp",),
        used=("lmtp/unix lmtp_tls_chain_files main.cf:1 /l.pem client",),
    ),
    Case(
        name="connections that tlsproxy keeps for others",
        lines=(
            "smtp_tls_security_level = may",
            "smtp_tls_cert_file = /c.pem",
            "smtp_tls_connection_reuse = yes",
        ),
        services=("smtp/unix smtp", "tlsproxy/unix tlsproxy"),
        used=("smtp/unix,tlsproxy/unix smtp_tls_cert_file main.cf:2 /c.pem /c.pem client",),
    ),
    Case(
        name="a table by names, of files and of what it holds itself",
        lines=(MAY, "tls_server_sni_maps = hash:/etc/sni, hash:/etc/more, hash:/etc/unknown"),
        tables={
            "hash:/etc/sni": (("mx.example.org", ("/k.pem", "/c.pem")), (".example.org", ("w",))),
            "hash:/etc/more": (("held.example.org", ()),),
        },
        used=(
            "smtp/inet tls_server_sni_maps main.cf:2 /k.pem /c.pem, hash:/etc/sni mx.example.org",
            (
                "smtp/inet tls_server_sni_maps main.cf:2 /var/spool/postfix/w,"
                " hash:/etc/sni .example.org"
            ),
            (
                "smtp/inet tls_server_sni_maps main.cf:2 hash:/etc/more held.example.org,"
                " hash:/etc/more held.example.org"
            ),
        ),
    ),
]


def shown(use) -> str:
    text = f"{','.join(use.services)} {use.parameter} {use.where} {' '.join(use.credential.files)}"
    named = f", {use.table} {use.name}" if use.table else ""
    return f"{text}{' client' if use.client else ''}{named}"


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
def test_what_is_used(case):
    uses = uses_of(written(*case.lines, services=case.services), case.tables)
    assert tuple(shown(one) for one in uses) == case.used


def test_how_files_are_loaded():
    instance = written(
        MAY,
        "smtpd_tls_chain_files = /a.pem",
        "smtp_tls_security_level = may",
        "smtp_tls_cert_file = /c.pem",
        "tls_server_sni_maps = hash:/t",
        services=("smtp/inet smtpd", "smtp/unix smtp"),
    )
    uses = uses_of(instance, {"hash:/t": (("a", ("/f",)), ("b", ()))})
    assert [one.credential.kind for one in uses] == [
        Kind.CHAIN,
        Kind.CHAIN,
        Kind.TABLE,
        Kind.PAIR,
    ]


def test_tables_of_services_that_have_tls():
    instance = written(
        MAY,
        "tls_server_sni_maps = hash:/a, inline:{ {x = /y, /z} }",
        services=(
            "smtp/inet smtpd",
            "submission/inet smtpd tls_server_sni_maps=cdb:/b",
            "465/inet smtpd tls_server_sni_maps=cdb:/c smtpd_tls_security_level=none",
            "lmtp/unix lmtp tls_server_sni_maps=cdb:/d",
        ),
    )
    assert sni_tables(instance) == ("hash:/a", "inline:{ {x = /y, /z} }", "cdb:/b")


def test_names_are_those_of_main_cf_and_of_services_with_clients():
    services = (
        "smtp/inet smtpd",
        "submission/inet smtpd myhostname=Mail.Example.org",
        "465/inet smtpd myhostname=",
        "smtp/unix smtp myhostname=client.example.org",
    )
    assert names_of(written(services=services)) == ("mx.example.org", "mail.example.org")


@pytest.mark.parametrize(
    ("lines", "services", "without"),
    [
        ((), MASTER, True),
        (("smtpd_tls_cert_file =",), MASTER, True),
        (("smtpd_tls_cert_file = /c",), MASTER, False),
        (("smtpd_tls_cert_file = none",), MASTER, False),
        ((), ("smtp/inet smtpd smtpd_tls_chain_files=/c", "587/inet smtpd"), False),
        ((), ("smtp/unix smtp",), False),
        (("master_service_disable = inet",), MASTER, False),
        ((), SCREENED, True),
    ],
)
def test_whether_a_certificate_is_missing(lines, services, without):
    assert is_without_certificate(written(*lines, services=services)) is without
