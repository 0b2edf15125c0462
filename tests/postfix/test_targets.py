"""Where probes are handed in: services, families of addresses and logins, as data."""

from __future__ import annotations

import pytest

from postkeel.postfix.instance import Instance, Parameter, Role, Service
from postkeel.postfix.targets import targets

DEFAULTS = {
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_cert_file": "/cert.pem",
    "smtpd_tls_protocols": ">=TLSv1",
    "smtpd_tls_mandatory_protocols": ">=TLSv1.2",
}
WRAPPED = {"smtpd_tls_wrappermode": Parameter(value="yes", where="master.cf:9")}


def found(*services: tuple[str, Role], credentials: bool = False, **settings: str) -> str:
    """The targets as text."""
    made = tuple(
        Service(
            name=name,
            command="smtpd",
            where="master.cf:1",
            role=role,
            overrides=WRAPPED if role is Role.SUBMISSIONS else {},
        )
        for name, role in services
    )
    instance = Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="3.0.17",
        map_types=(),
        parameters={
            name: Parameter(value=value, where="main.cf:1") for name, value in settings.items()
        },
        defaults=DEFAULTS,
        services=made,
    )
    return "; ".join(
        f"{one}{' direct' * one.direct}{' login' * one.login}"
        for one in targets(instance, credentials=credentials)
    )


MX = ("smtp/inet", Role.MX)
SERVER = (MX, ("submission/inet", Role.SUBMISSION), ("submissions/inet", Role.SUBMISSIONS))

CASES = [
    # inet_interfaces, inet_protocols, what is found
    ("all", "all", "127.0.0.1 [::1]"),
    ("loopback-only", "all", "127.0.0.1 [::1]"),
    ("all", "ipv4", "127.0.0.1"),
    ("all", "ipv6", "[::1]"),
    ("all", "ipv4, ipv6", "127.0.0.1 [::1]"),
    ("192.0.2.1, 127.0.0.2, 2001:db8::1", "all", "127.0.0.2 [2001:db8::1]"),
    ("192.0.2.1 192.0.2.2", "all", "192.0.2.1"),
    ("[2001:db8::1], ::1", "all", "[::1]"),
    ("mx.example.org, 192.0.2.1", "all", "192.0.2.1"),
    ("mx.example.org mail.example.org", "all", "mx.example.org"),
    ("192.0.2.1", "ipv6", "127.0.0.1"),
]


@pytest.mark.parametrize(("interfaces", "protocols", "hosts"), CASES)
def test_once_for_each_family(interfaces, protocols, hosts):
    wanted = "; ".join(f"smtp/inet on {host}:25" for host in hosts.split())
    assert found(MX, inet_interfaces=interfaces, inet_protocols=protocols) == wanted


@pytest.mark.parametrize(
    ("service", "where"), [("192.0.2.7:smtp/inet", "192.0.2.7:25"), ("[::1]:25/inet", "[::1]:25")]
)
def test_a_service_that_is_bound_to_a_host_is_asked_there(service, where):
    assert found((service, Role.MX)) == f"{service} on {where}"


def test_a_login_needs_credentials():
    assert found(*SERVER, inet_protocols="ipv4") == "smtp/inet on 127.0.0.1:25"
    assert found(*SERVER, inet_protocols="ipv4", credentials=True) == (
        "smtp/inet on 127.0.0.1:25; submission/inet on 127.0.0.1:587 login;"
        " submissions/inet on 127.0.0.1:465 direct login"
    )


@pytest.mark.parametrize("role", list(Role))
def test_only_services_that_take_mail_from_anybody_are_asked_without(role):
    taken = role in {Role.MX, Role.POSTSCREEN}
    assert bool(found(("smtp/inet", role))) == taken


def test_without_tls_there_is_nothing_to_ask():
    assert not found(MX, smtpd_tls_security_level="none")
    assert not found()
