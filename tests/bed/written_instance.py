"""An instance as it would be gathered, from a few lines of main.cf and master.cf."""

from __future__ import annotations

from collections.abc import Mapping

from postkeel.postfix.instance import Instance, Parameter, Service
from postkeel.postfix.roles import role_of

_PAIRS = ("", "ec", "d")
_OF_SMTPD = (
    "chain_files",
    "security_level",
    *(f"{kind}{what}_file" for kind in _PAIRS for what in ("cert", "key")),
)

DEFAULTS = {
    "myhostname": "mx.example.org",
    "queue_directory": "/var/spool/postfix",
    "smtpd_service_name": "smtpd",
    "tlsproxy_service_name": "tlsproxy",
    "smtp_tls_connection_reuse": "no",
    "lmtp_tls_connection_reuse": "no",
    "postscreen_tls_security_level": "$smtpd_tls_security_level",
    **{f"tlsproxy_tls_{one}": f"$smtpd_tls_{one}" for one in _OF_SMTPD},
    **{
        f"{program}_tls_{kind}key_file": f"${program}_tls_{kind}cert_file"
        for program in ("smtpd", "smtp", "lmtp")
        for kind in _PAIRS
    },
    **{f"tlsproxy_client_{one}": f"$smtp_tls_{one}" for one in _OF_SMTPD},
}
"""What Postfix 3.4 to 3.11 have for these."""

MASTER = ("smtp/inet smtpd",)


def written(
    *lines: str,
    services: tuple[str, ...] = MASTER,
    directory: str = "/etc/postfix",
    defaults: Mapping[str, str] | None = None,
) -> Instance:
    """lines: "name = value" of main.cf. services: "submission/inet smtpd NAME=VALUE ..."."""
    parameters = {}
    for number, line in enumerate(lines, 1):
        name, _, value = line.partition("=")
        parameters[name.strip()] = Parameter(value=value.strip(), where=f"main.cf:{number}")
    built_in = {**DEFAULTS, **(defaults or {}), "config_directory": directory}

    def service(number: int, text: str) -> Service:
        name, command, *overrides = text.split()
        own = {
            one.partition("=")[0]: Parameter(
                value=one.partition("=")[2], where=f"master.cf:{number}"
            )
            for one in overrides
        }

        def own_value(wanted: str) -> str | None:
            return own[wanted].value if wanted in own else None

        def value(wanted: str) -> str | None:
            found = own.get(wanted) or parameters.get(wanted)
            return found.value if found else built_in.get(wanted)

        return Service(
            name=name,
            command=command,
            where=f"master.cf:{number}",
            role=role_of(name, command, own_value, value),
            overrides=own,
        )

    return Instance(
        config_directory=directory,
        version="3.7.11",
        openssl="OpenSSL 3.0",
        map_types=(),
        parameters=parameters,
        defaults=built_in,
        services=tuple(service(number, one) for number, one in enumerate(services, 1)),
    )
