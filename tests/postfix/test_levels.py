"""Effective security levels; test_meaning_live.py holds smtpd's against the real one."""

import pytest

from postkeel.postfix.instance import Instance, Parameter, Role, Service
from postkeel.postfix.levels import RANKS, has_certificate, level_parameter, security_level

# parameters, family, level
CASES = [
    ({}, "smtpd", "none"),
    ({"smtpd_tls_security_level": "may"}, "smtpd", "may"),
    ({"smtpd_tls_security_level": "Encrypt"}, "smtpd", "encrypt"),
    ({"smtpd_tls_security_level": "secure"}, "smtpd", "encrypt"),
    ({"smtpd_tls_security_level": "dane"}, "smtpd", None),
    ({"smtpd_tls_security_level": "halfdane"}, "smtpd", None),
    ({"smtpd_tls_security_level": "bogus"}, "smtpd", None),
    ({"smtpd_use_tls": "yes"}, "smtpd", "may"),
    ({"smtpd_enforce_tls": "YES"}, "smtpd", "encrypt"),
    ({"smtpd_enforce_tls": "yes", "smtpd_tls_security_level": "none"}, "smtpd", "none"),
    ({"smtpd_tls_wrappermode": "yes", "smtpd_tls_security_level": "none"}, "smtpd", "encrypt"),
    ({"smtpd_tls_wrappermode": "yes", "smtpd_tls_security_level": "bogus"}, "smtpd", "encrypt"),
    ({}, "smtp", "none"),
    ({"smtp_tls_security_level": "dane-only"}, "smtp", "dane-only"),
    ({"smtp_tls_security_level": "fingerprint"}, "smtp", "fingerprint"),
    ({"smtp_tls_security_level": "bogus"}, "smtp", None),
    ({"smtp_use_tls": "yes"}, "smtp", "may"),
    ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "yes"}, "smtp", "verify"),
    ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}, "smtp", "encrypt"),
    ({"lmtp_tls_security_level": "may"}, "lmtp", "may"),
    ({"lmtp_tls_security_level": "may"}, "smtp", "none"),
    ({"smtpd_tls_security_level": "may"}, "postscreen", "none"),
    ({"postscreen_tls_security_level": "encrypt"}, "postscreen", "encrypt"),
    ({"tlsproxy_tls_security_level": "may"}, "tlsproxy", "may"),
]


def instance(parameters, overrides=None):
    def table(values, where):
        return {name: Parameter(value=value, where=where) for name, value in values.items()}

    service = Service(
        name="x/inet",
        command="smtpd",
        where="master.cf:1",
        role=Role.MX,
        overrides=table(overrides or {}, "master.cf:2"),
    )
    return Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="",
        map_types=(),
        parameters=table(parameters, "main.cf:1"),
        defaults={},
        services=(service,),
    )


@pytest.mark.parametrize(("parameters", "family", "level"), CASES)
def test_level(parameters, family, level):
    assert security_level(instance(parameters), family) == level


@pytest.mark.parametrize(("parameters", "family", "level"), CASES)
def test_the_same_by_override(parameters, family, level):
    here = instance(dict.fromkeys(parameters, "overridden"), parameters)
    assert security_level(here, family, here.services[0]) == level


def test_order():
    assert sorted(RANKS, key=RANKS.__getitem__)[:3] == ["none", "may", "encrypt"]
    assert {RANKS[one] for one in ("dane", "dane-only", "fingerprint", "verify", "secure")} == {3}


@pytest.mark.parametrize("family", ["smtpd", "smtp", "lmtp", "postscreen"])
def test_parameter(family):
    assert level_parameter(family) == f"{family}_tls_security_level"


@pytest.mark.parametrize(
    ("parameters", "has"),
    [
        ({}, False),
        ({"smtpd_tls_cert_file": "none"}, False),
        ({"smtpd_tls_cert_file": "/c.pem"}, True),
        ({"smtpd_tls_eccert_file": "/c.pem"}, True),
        ({"smtpd_tls_chain_files": "/c.pem"}, True),
    ],
)
def test_certificate(parameters, has):
    assert has_certificate(instance(parameters)) is has
