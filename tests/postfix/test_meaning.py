"""What the settings of a service come to, over levels and strengths."""

from __future__ import annotations

import pytest

from postkeel.core.model import Absent
from postkeel.postfix.instance import Instance, Parameter, Role, Service, Suite
from postkeel.postfix.meaning import tls_meaning

DEFAULTS = {
    "mail_version": "3.7.11",
    "smtpd_tls_protocols": ">=TLSv1",
    "smtpd_tls_mandatory_protocols": ">=TLSv1.2",
    "smtp_tls_protocols": ">=TLSv1",
    "smtp_tls_mandatory_protocols": ">=TLSv1",
    "smtpd_tls_ciphers": "medium",
    "smtpd_tls_mandatory_ciphers": "high",
    "smtp_tls_ciphers": "medium",
    "smtp_tls_mandatory_ciphers": "medium",
    "tls_medium_cipherlist": "MEDIUM",
    "tls_high_cipherlist": "HIGH",
}
SUITE = Suite(
    name="ECDHE-RSA-AES128-GCM-SHA256",
    protocol="TLSv1.2",
    key_exchange="ECDH",
    authentication="RSA",
    encryption="AESGCM(128)",
    mac="AEAD",
)


def service(role, command="smtpd", **overrides):
    return Service(
        name="x/inet",
        command=command,
        where="master.cf:1",
        role=role,
        overrides={
            name: Parameter(value=one, where="master.cf:2") for name, one in overrides.items()
        },
    )


def meaning(one, **parameters):
    instance = Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="",
        map_types=(),
        parameters={
            name: Parameter(value=each, where="main.cf:1") for name, each in parameters.items()
        },
        defaults=DEFAULTS,
        services=(one,),
        suites={"MEDIUM": (SUITE,), "HIGH": (SUITE,)},
    )
    return tls_meaning(instance, one)


@pytest.mark.parametrize(
    ("one", "parameters", "expected"),
    [
        (service(Role.MX), {}, []),
        (
            service(Role.MX),
            {"smtpd_tls_security_level": "may"},
            [("opportunistic", "may", 4, "MEDIUM")],
        ),
        (
            service(Role.SUBMISSION, smtpd_tls_security_level="encrypt"),
            {"smtpd_tls_security_level": "may"},
            [("mandatory", "encrypt", 2, "HIGH")],
        ),
        (
            service(Role.MX),
            {"smtpd_tls_security_level": "may", "smtpd_tls_protocols": "nonsense"},
            [("opportunistic", "may", 0, "MEDIUM")],
        ),
        (service(Role.OTHER, "cleanup"), {"smtpd_tls_security_level": "may"}, []),
    ],
)
def test_level_protocols_and_cipher_list(one, parameters, expected):
    found = meaning(one, **parameters)
    assert [(m.strength, m.level, len(m.protocols), m.cipher_string) for m in found] == expected


def test_a_client_has_both_strengths():
    found = meaning(service(Role.SMTP_CLIENT, "smtp"), smtp_tls_security_level="may")
    assert [one.strength for one in found] == ["opportunistic", "mandatory"]


def test_a_grade_that_postfix_refuses_has_no_suites():
    (found,) = meaning(
        service(Role.MX), smtpd_tls_security_level="may", smtpd_tls_ciphers="strongest"
    )
    assert found.cipher_string is None
    assert isinstance(found.suites, Absent)


def test_the_suites_are_openssls():
    (found,) = meaning(service(Role.MX), smtpd_tls_security_level="may")
    assert found.suites == (SUITE,)
