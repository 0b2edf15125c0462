"""What the TLS settings of a service come to: level, protocols, cipher suites."""

from __future__ import annotations

from postkeel.core.frozen import frozen
from postkeel.core.model import Absent
from postkeel.postfix.ciphers import (
    cipher_string,
    family_of_service,
    levels_in_use,
    resulting_suites,
)
from postkeel.postfix.instance import Instance, Service, Suite, parse_version
from postkeel.postfix.levels import security_level
from postkeel.postfix.protocols import PROTOCOLS, resulting_protocols


@frozen
class TlsMeaning:
    """One service at one strength, "opportunistic" or "mandatory".

    `level` is None, and `protocols` empty, where Postfix rejects the value.
    """

    strength: str
    level: str | None
    protocols: tuple[str, ...]
    cipher_string: str | None
    suites: tuple[Suite, ...] | Absent


def tls_meaning(instance: Instance, service: Service) -> tuple[TlsMeaning, ...]:
    """What TLS a service offers or asks for; nothing where it never uses TLS.

    A server has one strength. A client has both: its policy may ask for more
    towards some destinations.
    """
    family = family_of_service(service)
    if family is None:
        return ()
    found: dict[str, TlsMeaning] = {}
    for level in levels_in_use(instance, family, service):
        strength = "opportunistic" if level == "may" else "mandatory"
        if strength not in found:
            found[strength] = _at(instance, family, service, level, strength)
    return tuple(found.values())


def _at(instance: Instance, family: str, service: Service, level: str, strength: str) -> TlsMeaning:
    mandatory = "mandatory_" if strength == "mandatory" else ""
    text = instance.effective(f"{family}_tls_{mandatory}protocols", service).value
    protocols = resulting_protocols(text, parse_version(instance.version)) or frozenset()
    string = cipher_string(instance, family, service, level)
    return TlsMeaning(
        strength=strength,
        level=security_level(instance, family, service),
        protocols=tuple(one for one in PROTOCOLS if one in protocols),
        cipher_string=string,
        suites=Absent(reason="Postfix refuses this grade or exclusion")
        if string is None
        else resulting_suites(instance, string),
    )
