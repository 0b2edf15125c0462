"""Where an instance offers TLS: addresses, ports and floors, as data."""

from __future__ import annotations

import pytest

from postkeel.postfix.handshake import Endpoint, Handshake, endpoints
from postkeel.postfix.instance import Instance, Parameter, Role, Service

DEFAULTS = {
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "known_tcp_ports": "lmtp=24, smtp=25, smtps=submissions=465, submission=587",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_cert_file": "/cert.pem",
    "smtpd_tls_protocols": ">=TLSv1",
    "smtpd_tls_mandatory_protocols": ">=TLSv1.2",
}


def found(service: str, *, overrides=None, role=Role.MX, version="3.7.11", **settings) -> str:
    """The endpoint of the one service as text: where, floor, "direct"; "" when there is none."""
    one = Service(
        name=service,
        command="smtpd",
        where="master.cf:12",
        role=role,
        overrides={
            name: Parameter(value=value, where="master.cf:13")
            for name, value in (overrides or {}).items()
        },
    )
    instance = Instance(
        config_directory="/etc/postfix",
        version=version,
        openssl="3.0.17",
        map_types=(),
        parameters={
            name: Parameter(value=value, where="main.cf:1") for name, value in settings.items()
        },
        defaults=DEFAULTS,
        services=(one,),
    )
    return "; ".join(
        f"{each} {each.floor}{' direct' if each.direct else ''}" for each in endpoints(instance)
    )


WRAPPED = {"smtpd_tls_wrappermode": "yes"}
CASES = [
    # service, settings of main.cf, -o overrides, what is found
    ("smtp/inet", {}, {}, "127.0.0.1:25 TLSv1"),
    ("25/inet", {}, {}, "127.0.0.1:25 TLSv1"),
    ("025/inet", {}, {}, "127.0.0.1:25 TLSv1"),
    ("submissions/inet", {}, WRAPPED, "127.0.0.1:465 TLSv1.2 direct"),
    ("smtps/inet", {}, WRAPPED, "127.0.0.1:465 TLSv1.2 direct"),
    ("submission/inet", {}, {"smtpd_tls_security_level": "encrypt"}, "127.0.0.1:587 TLSv1.2"),
    ("smtp/inet", {}, {"smtpd_tls_protocols": ">=TLSv1.3"}, "127.0.0.1:25 TLSv1.3"),
    ("smtp/inet", {"smtpd_tls_protocols": "TLSv1.2, TLSv1.1"}, {}, "127.0.0.1:25 TLSv1.1"),
    ("smtp/inet", {"smtpd_tls_protocols": "no such list"}, {}, "127.0.0.1:25 "),
    ("192.0.2.7:smtp/inet", {}, {}, "192.0.2.7:25 TLSv1"),
    ("[2001:db8::1]:25/inet", {}, {}, "[2001:db8::1]:25 TLSv1"),
    ("$own:$port/inet", {"own": "192.0.2.8", "port": "2525"}, {}, "192.0.2.8:2525 TLSv1"),
    ("smtp/inet", {"inet_interfaces": "loopback-only"}, {}, "127.0.0.1:25 TLSv1"),
    ("smtp/inet", {"inet_protocols": "ipv6"}, {}, "[::1]:25 TLSv1"),
    ("smtp/inet", {"inet_interfaces": "192.0.2.1, 127.9.9.9"}, {}, "127.9.9.9:25 TLSv1"),
    ("smtp/inet", {"inet_interfaces": "192.0.2.1 192.0.2.2"}, {}, "192.0.2.1:25 TLSv1"),
    ("smtp/inet", {"inet_interfaces": "[2001:db8::1]"}, {}, "[2001:db8::1]:25 TLSv1"),
    (
        "smtp/inet",
        {"inet_interfaces": "2001:db8::1, 192.0.2.3", "inet_protocols": "ipv4"},
        {},
        "192.0.2.3:25 TLSv1",
    ),
    ("smtp/inet", {"inet_interfaces": "$name", "name": "mx.test"}, {}, "mx.test:25 TLSv1"),
    ("smtp/inet", {"inet_interfaces": ""}, {}, "127.0.0.1:25 TLSv1"),
    ("mine/inet", {"known_tcp_ports": "mine=other=2000"}, {}, "127.0.0.1:2000 TLSv1"),
    # nothing to prove
    ("mine/inet", {}, {}, ""),
    ("smtp/inet", {"smtpd_tls_security_level": "none"}, {}, ""),
    ("smtp/inet", {}, {"smtpd_tls_security_level": "none"}, ""),
    ("smtp/inet", {"smtpd_tls_cert_file": ""}, {}, ""),
    ("smtpd/pass", {}, {}, ""),
    ("smtp/inet", {"master_service_disable": "smtp/inet"}, {}, ""),
    ("smtp/inet", {"master_service_disable": "fifo, inet"}, {}, ""),
    ("smtp/inet", {"master_service_disable": "smtp/unix"}, {}, "127.0.0.1:25 TLSv1"),
]


@pytest.mark.parametrize(("service", "settings", "overrides", "wanted"), CASES)
def test_endpoint(service, settings, overrides, wanted):
    assert found(service, overrides=overrides, **settings) == wanted


@pytest.mark.parametrize("role", list(Role))
def test_only_what_serves_clients_is_an_endpoint(role):
    serves = role in {
        Role.MX,
        Role.SUBMISSION,
        Role.SUBMISSIONS,
        Role.OTHER_SMTPD,
        Role.POSTSCREEN,
    }
    assert bool(found("smtp/inet", role=role)) == serves


AT = Endpoint(service="smtp/inet", host="127.0.0.1", port="25", direct=False, floor="TLSv1.2")
TLS = {"protocol": "TLSv1.1", "cipher": "AES256-SHA"}
SHOWN = [
    (TLS, True, "smtp/inet on 127.0.0.1:25: TLSv1.1 with AES256-SHA"),
    ({"problem": "no answer"}, False, "smtp/inet on 127.0.0.1:25: no answer"),
    ({"refused": True, "problem": "alert"}, False, "smtp/inet on 127.0.0.1:25: alert"),
    (
        {"below": "TLSv1.2", "refused": True, "problem": "alert"},
        True,
        "smtp/inet on 127.0.0.1:25 refuses protocols older than TLSv1.2",
    ),
    (
        {"below": "TLSv1.2", **TLS},
        False,
        "smtp/inet on 127.0.0.1:25 accepts TLSv1.1, older than TLSv1.2",
    ),
    ({"below": "TLSv1.2", "problem": "no answer"}, False, "smtp/inet on 127.0.0.1:25: no answer"),
]


@pytest.mark.parametrize(("values", "ok", "sentence"), SHOWN)
def test_what_a_handshake_says(values, ok, sentence):
    shown = Handshake(endpoint=AT, **values)
    assert (shown.ok, str(shown)) == (ok, sentence)
