"""Security levels: what smtpd and the clients do about TLS with a peer.

    none < may < encrypt < dane, dane-only, fingerprint, verify, secure

The last five rank alike: each authenticates the peer in its own way, so none
of them is a weaker form of another. `dane` is as strong as what the peer
publishes: without TLSA records it is `may`.
"""

from __future__ import annotations

from typing import Final

from postkeel.postfix.instance import Instance, Service

_AUTHENTICATED: Final = ("fingerprint", "dane", "dane-only", "verify", "secure")
RANKS: Final = {"none": 0, "may": 1, "encrypt": 2} | dict.fromkeys(_AUTHENTICATED, 3)
_SERVER_LEVELS: Final = {
    "none": "none",
    "may": "may",
    "encrypt": "encrypt",
    # smtpd warns that it does not support these, and takes "encrypt" instead.
    "fingerprint": "encrypt",
    "verify": "encrypt",
    "secure": "encrypt",
}
_PREFIXES: Final = {"tlsproxy": "tlsproxy_tls_security_level"}
_CLIENTS: Final = ("smtp", "lmtp")
_CERTIFICATES: Final = ("chain_files", "cert_file", "eccert_file", "dcert_file")


def family_of(parameter: str) -> str:
    """The program that a TLS parameter belongs to: smtpd, smtp, lmtp, tlsproxy, postscreen."""
    return parameter.split("_", 1)[0]


def level_parameter(family: str) -> str:
    return _PREFIXES.get(family, f"{family}_tls_security_level")


def switched_on(instance: Instance, name: str, service: Service | None = None) -> bool:
    """Whether a yes/no parameter is yes; Postfix refuses to run on anything else."""
    return instance.effective(name, service).value.lower() == "yes"


def security_level(instance: Instance, family: str, service: Service | None = None) -> str | None:
    """The level that counts, after the parameters that came before it.

    The value of ..._tls_security_level wins; without one the obsolete
    ..._enforce_tls and ..._use_tls count. smtpd in wrapper mode always encrypts.
    None when Postfix does not start with this value.
    """
    client = family in _CLIENTS
    if not client and switched_on(instance, f"{family}_tls_wrappermode", service):
        return "encrypt"
    value = instance.effective(level_parameter(family), service).value.lower()
    if value:
        return (value if value in RANKS else None) if client else _SERVER_LEVELS.get(value)
    return level_without_parameter(instance, family, service)


def level_without_parameter(instance: Instance, family: str, service: Service | None = None) -> str:
    """What the parameters of Postfix before 2.3 come to."""
    if switched_on(instance, f"{family}_enforce_tls", service):
        authenticates = family in _CLIENTS and switched_on(
            instance, f"{family}_tls_enforce_peername", service
        )
        return "verify" if authenticates else "encrypt"
    return "may" if switched_on(instance, f"{family}_use_tls", service) else "none"


def has_certificate(instance: Instance, service: Service | None = None) -> bool:
    """Whether smtpd has a certificate to show; without one it answers STARTTLS with 454."""
    values = (instance.effective(f"smtpd_tls_{name}", service).value for name in _CERTIFICATES)
    return any(value and value.lower() != "none" for value in values)
