"""What the running Postfix serves, held against what its files say.

Files that are right prove nothing of a Postfix that was not reloaded, or whose
key cannot be read. There is no remedy here: what helps is a reload, or to read
the mail log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postkeel.contract import Depth, Finding, Handshake, Rule, Severity
from postkeel.postfix.instance import Instance, parse_version
from postkeel.postfix.levels import security_level
from postkeel.postfix.protocols import NEWEST, rank, resulting_protocols

SERVED_TLS = Rule(
    id="served-tls",
    why="Postfix serves what it read when it was last reloaded. What is weaker on the wire than in"
    " the files was not reloaded, or does not work: `postfix reload`, then look at the mail log.",
    references=(
        "RFC 3207, section 4 (STARTTLS)",
        "RFC 8996 (TLS 1.0 and 1.1 must not be used)",
        "Postfix TLS_README, section 'Server-side certificate and private key configuration'",
        "postfix(1), reload",
    ),
)


def observed(instance: Instance, handshakes: Iterable[Handshake]) -> Iterator[Finding]:
    """A finding for each handshake that shows less than the files promise."""
    for shown in handshakes:
        found = _too_old(instance, shown) if shown.below else _too_little(instance, shown)
        if found is not None:
            yield found


def _too_old(instance: Instance, shown: Handshake) -> Finding | None:
    """Only what is older than the files let through was offered: it should be refused."""
    if shown.refused:
        return None
    return _finding(
        instance,
        shown,
        parameter=_protocols_parameter(instance, shown),
        severity=Severity.ERROR if shown.protocol else Severity.INFO,
        effective=shown.protocol or "not known",
        wanted=f"nothing older than {shown.below}",
    )


def _too_little(instance: Instance, shown: Handshake) -> Finding | None:
    """Everything was offered: TLS should come about, with the newest protocol of the files."""
    if not shown.protocol:
        return _finding(
            instance,
            shown,
            parameter="smtpd_tls_security_level",
            severity=Severity.ERROR,
            effective="no TLS",
            wanted="a TLS handshake",
        )
    parameter = _protocols_parameter(instance, shown)
    service = instance.service(shown.endpoint.service)
    text = instance.effective(parameter, service).value
    promised = resulting_protocols(text, parse_version(instance.version)) or frozenset()
    # Only the newest is sure to be offered from here: older ones may be switched off in OpenSSL.
    if NEWEST not in promised or rank(shown.protocol) >= rank(NEWEST):
        return None
    return _finding(
        instance,
        shown,
        parameter=parameter,
        severity=Severity.WARNING,
        effective=shown.protocol,
        wanted=NEWEST,
    )


def _protocols_parameter(instance: Instance, shown: Handshake) -> str:
    """The protocol list that counts for the service."""
    service = instance.service(shown.endpoint.service)
    mandatory = security_level(instance, "smtpd", service) == "encrypt"
    return "smtpd_tls_mandatory_protocols" if mandatory else "smtpd_tls_protocols"


def _finding(
    instance: Instance,
    shown: Handshake,
    *,
    parameter: str,
    severity: Severity,
    effective: str,
    wanted: str,
) -> Finding:
    return Finding(
        rule=SERVED_TLS.id,
        severity=severity,
        depth=Depth.OBSERVED,
        parameter=parameter,
        where=instance.where(parameter, instance.service(shown.endpoint.service)),
        effective=effective,
        wanted=wanted,
        why=f"{shown}. {SERVED_TLS.why}",
        service=shown.endpoint.service,
    )
