"""TLSA records (DANE): which to ask for, and whether they fit what is served (RFC 6698, 7672)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from postkeel.certificates.names import is_host_name
from postkeel.certificates.values import Certificate, Certificates, Chain, Tlsa, TlsaRecord, Use
from postkeel.postfix.handshake import endpoints
from postkeel.postfix.instance import Instance

PORTS: Final = ("25", "465", "587")
"""Where mail is handed over; the most important comes first."""

MOST_QUESTIONS: Final = 200

_TRUST_ANCHOR: Final = 2
_END_ENTITY: Final = 3
_WHOLE: Final = 0
_KEY: Final = 1
_FULL: Final = 0
_SHA512: Final = 2
_DIGITS: Final = {1: 64, _SHA512: 128}
"""Hexadecimal digits of the data, by matching type."""

_LONGEST_NAME: Final = 253 - len("_587._tcp.")


def questions(instance: Instance, certificates: Certificates) -> tuple[tuple[str, str], ...]:
    """The ports and names to ask about: what the server calls itself, and its names by SNI.

    At most MOST_QUESTIONS, port 25 first, on each port the server's own names first.
    Security: no name that stands in a certificate, which a stranger may have written.
    """
    asked: dict[tuple[str, str], None] = {}
    for port, services in _services(instance).items():
        names = [
            instance.effective("myhostname", service).value
            for service in instance.services
            if service.name in services
        ]
        names += [use.name for use in _server_uses(certificates, services)]
        asked |= {(port, _host(name)): None for name in names if _host(name)}
    return tuple(asked)[:MOST_QUESTIONS]


def usable(record: TlsaRecord) -> bool:
    """Whether a sending server goes by a record (RFC 7672, section 3.1).

    It does not where the usage is 0 or 1, a number has no meaning, or the data no digest's length.
    """
    if record.usage not in (_TRUST_ANCHOR, _END_ENTITY) or record.selector not in (_WHOLE, _KEY):
        return False
    if record.matching == _FULL:
        return bool(record.data)
    return len(record.data) == _DIGITS.get(record.matching)


def matches(record: TlsaRecord, chain: Chain) -> bool | None:
    """Whether a chain is what a record asks for.

    None where the record is not `usable`, and where these values cannot tell: a whole trust
    anchor may have signed a chain that it is no part of.
    """
    if not usable(record):
        return None
    if record.usage == _END_ENTITY:
        return _is_of(record, chain.leaf)
    found = [_is_of(record, one) for one in chain.certificates[1:]]
    if True in found:
        return True
    return None if None in found or record.matching == _FULL else False


def fits(records: Iterable[TlsaRecord], chain: Chain) -> bool | None:
    """Whether who goes by these records accepts a chain: one that matches is enough.

    None where no record is usable, or it is not known of one.
    """
    found = [matches(one, chain) for one in records if usable(one)]
    if True in found:
        return True
    return None if None in found or not found else False


def disputed(tlsa: Tlsa, instance: Instance, certificates: Certificates) -> bool:
    """Whether a chain in the files does not fit the records of a name that it is shown for."""
    shown = {port: _Shown(certificates, names) for port, names in _services(instance).items()}
    return any(
        fits(records, chain) is False
        for (port, name), records in tlsa.records.items()
        if port in shown
        for chain in shown[port].chains(name)
    )


def record_for(certificate: Certificate) -> str:
    """The record to publish for it: the one that renewals with the same key leave right."""
    return f"{_END_ENTITY} {_KEY} 1 {certificate.key_sha256}"


def _is_of(record: TlsaRecord, certificate: Certificate) -> bool | None:
    """Whether a usable record is that of a certificate, or of its key."""
    digest = record.data.lower()
    if record.matching == _FULL:
        from hashlib import sha256  # loads OpenSSL, and such records are rare

        digest = sha256(bytes.fromhex(record.data)).hexdigest()
    whole, key = certificate.sha256, certificate.key_sha256
    if record.matching == _SHA512:
        whole, key = certificate.sha512, certificate.key_sha512
    own = key if record.selector == _KEY else whole
    return digest == own if own else None


class _Shown:
    """What some services show, by the name that is asked for."""

    def __init__(self, certificates: Certificates, services: frozenset[str]) -> None:
        self._loaded = certificates.loaded
        self._uses: dict[str, list[Use]] = {}
        for use in _server_uses(certificates, services):
            self._uses.setdefault(use.name.lower().removesuffix("."), []).append(use)

    def chains(self, name: str) -> Iterable[Chain]:
        labels = name.split(".")
        above = [f".{'.'.join(labels[count:])}" for count in range(1, len(labels))]
        found = next((one for one in (name, *above) if one in self._uses), "")
        for use in self._uses.get(found, ()):
            if use.credential in self._loaded:
                yield from self._loaded[use.credential].chains


def _server_uses(certificates: Certificates, services: frozenset[str]) -> tuple[Use, ...]:
    return tuple(
        use for use in certificates.uses if not use.client and not services.isdisjoint(use.services)
    )


def _services(instance: Instance) -> Mapping[str, frozenset[str]]:
    """The services that offer TLS, by port."""
    there = endpoints(instance)
    return {
        port: frozenset(one.service for one in there if one.port == port)
        for port in PORTS
        if any(one.port == port for one in there)
    }


def _host(text: str) -> str:
    """A name in the one form that is asked about; "" where it is none of a host in the DNS."""
    name = text.lower().removesuffix(".")
    sound = "." in name and len(name) <= _LONGEST_NAME and is_host_name(name)
    return name if sound else ""
