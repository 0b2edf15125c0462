"""Findings on how much of TLS the configuration lets Postfix log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.contract import Depth, Finding, Severity
from postkeel.postfix.instance import Instance, Role, Service
from postkeel.postfix.levels import security_level
from postkeel_plugins.tls_log_monitor.rules import DEBUG_LOGGED, NOT_LOGGED

_FAMILIES: Final = {
    "smtpd": (Role.MX, Role.SUBMISSION, Role.SUBMISSIONS, Role.OTHER_SMTPD),
    "smtp": (Role.SMTP_CLIENT,),
    "lmtp": (Role.LMTP_CLIENT,),
}


def logged_too_little_or_much(instance: Instance) -> Iterator[Finding]:
    """One finding for each place that sets a level other than 1, of services that use TLS."""
    for family, roles in _FAMILIES.items():
        parameter = f"{family}_tls_loglevel"
        seen = set()
        for service in instance.of_role(*roles):
            place = instance.effective(parameter, service)
            if place.where in seen or security_level(instance, family, service) == "none":
                continue
            seen.add(place.where)
            own = service if parameter in service.overrides else None
            found = _finding(parameter, place.value, place.where, own)
            if found is not None:
                yield found


def _finding(parameter: str, value: str, where: str, service: Service | None) -> Finding | None:
    level = int(value) if value.isascii() and value.isdigit() else 0
    if level == 1:
        return None
    rule = DEBUG_LOGGED if level else NOT_LOGGED
    return Finding(
        rule=rule.id,
        severity=Severity.INFO,
        depth=Depth.EFFECTIVE,
        parameter=parameter,
        where=where,
        effective=value,
        wanted="1",
        why=rule.why,
        service=service.name if service else None,
    )
