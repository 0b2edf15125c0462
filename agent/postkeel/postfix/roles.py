"""What a master.cf service is for: told by its command, port and own settings."""

from __future__ import annotations

from collections.abc import Callable

from postkeel.postfix.expansion import expand
from postkeel.postfix.instance import Role

Lookup = Callable[[str], str | None]

_BY_PORT = {
    "25": Role.MX,
    "smtp": Role.MX,
    "587": Role.SUBMISSION,
    "submission": Role.SUBMISSION,
    "465": Role.SUBMISSIONS,
    "submissions": Role.SUBMISSIONS,
    "smtps": Role.SUBMISSIONS,
    "ssmtp": Role.SUBMISSIONS,
    "urd": Role.SUBMISSIONS,
}
_BY_COMMAND = {
    "smtp": Role.SMTP_CLIENT,
    "lmtp": Role.LMTP_CLIENT,
    "tlsproxy": Role.TLSPROXY,
    "postscreen": Role.POSTSCREEN,
}


def role_of(service: str, command: str, own: Lookup, effective: Lookup) -> Role:
    """The role of the service that master.cf calls `service` ("submission/inet").

    own: the value of the service's own `-o`, None without one. effective: the
    unexpanded value that counts for the service, None when there is none.
    """
    name, _, kind = service.rpartition("/")
    program = command.rsplit("/", 1)[-1]
    if program != "smtpd":
        return _BY_COMMAND.get(program, Role.OTHER)
    if kind == "pass":
        return Role.MX
    if kind == "inet":
        role = _BY_PORT.get(_port(name, effective))
        if role is not None:
            return role
    if _is_yes(effective("smtpd_tls_wrappermode"), effective):
        return Role.SUBMISSIONS
    if _is_yes(own("smtpd_sasl_auth_enable"), effective):
        return Role.SUBMISSION
    return Role.OTHER_SMTPD


def _port(name: str, effective: Lookup) -> str:
    """The port of "smtp", "127.0.0.1:25" or "[::1]:$port"; a number without leading zeros."""
    port = expand(name, effective).rsplit(":", 1)[-1].strip().lower()
    return str(int(port)) if port.isascii() and port.isdigit() else port


def _is_yes(value: str | None, effective: Lookup) -> bool:
    return value is not None and expand(value, effective).strip().lower() == "yes"
