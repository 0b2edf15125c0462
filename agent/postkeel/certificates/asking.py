"""What to ask a running Postfix for, to see whether it shows the certificates of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from postkeel.certificates.names import is_host_name
from postkeel.certificates.values import Certificate, Certificates, Credential
from postkeel.core.frozen import frozen
from postkeel.core.model import Absent
from postkeel.postfix.handshake import Endpoint, Handshake, endpoints
from postkeel.postfix.instance import Instance
from postkeel.postfix.meaning import tls_meaning

SAMPLE_LABEL: Final = "postkeel"
"""What is asked for of an entry ".example.org": the name of this label below it."""

_AUTHENTICATION: Final = {"RSA": "RSA", "EC": "ECDSA"}
"""What OpenSSL calls it in the suites of TLS 1.2."""

_ASKED_AS: Final = {"RSA": "RSA", "EC": "EC", "Ed25519": "EC", "Ed448": "EC"}
"""Cipher suites tell no more apart: those for ECDSA serve Edwards curves, too (RFC 8422)."""

_LEFT_OUT: Final = ("", "TLSv1.3")
"""Floors with which no client can say which algorithm it wants: TLS 1.3 has no suites for that."""

_FLOORS: Final = ("TLSv1.1", "TLSv1.2", "TLSv1.3")
"""Those below which a client has something to offer."""


@frozen
class Ask:
    """One handshake to make. Its fields are those of `Handshake`, where they say what is meant."""

    endpoint: Endpoint
    name: str = ""
    algorithm: str = ""
    expected: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """Each round looks up what is kept of thousands; these tell nearly all apart."""
        return hash((self.name, self.algorithm, self.endpoint.port))

    def blank(self) -> Handshake:
        """The handshake, not yet made."""
        return Handshake(
            endpoint=self.endpoint,
            name=self.name,
            algorithm=self.algorithm,
            expected=self.expected,
        )


def asks_of(instance: Instance, certificates: Certificates) -> tuple[Ask, ...]:
    """Every handshake that shows a certificate; of each endpoint the one without SNI comes first.

    Then those for one algorithm, where a service has certificates of several, and those for
    each name of its SNI table. Nothing is expected where the files hold nothing that could be
    served. Left out: names that no client can send, and of ".example.org" the sample, where the
    table has that name itself.
    """
    return tuple(
        ask for endpoint in endpoints(instance) for ask in _asks(instance, certificates, endpoint)
    )


def proof_of(instance: Instance, asks: Iterable[Ask] = ()) -> tuple[Handshake, ...]:
    """The handshakes, not yet made, that prove an instance and answer `asks` of its endpoints.

    With each endpoint one that offers everything, and where the configuration sets a floor one
    that offers only what is older and wants to be refused; then what else is asked of it.
    """
    of_each: dict[Endpoint, list[Ask]] = {one: [] for one in endpoints(instance)}
    for ask in asks:
        if ask.endpoint in of_each:
            of_each[ask.endpoint].append(ask)
    return tuple(one for endpoint in of_each for one in _proof(endpoint, of_each[endpoint]))


def asked_name(name: str) -> str:
    """What a client asks for to be shown an entry of an SNI table: itself, or a name below it."""
    lower = name.lower()
    return f"{SAMPLE_LABEL}{lower}" if lower.startswith(".") else lower


def _proof(endpoint: Endpoint, asks: Sequence[Ask]) -> Iterator[Handshake]:
    plain = [one for one in asks if not (one.name or one.algorithm)]
    yield (plain[0] if plain else Ask(endpoint=endpoint)).blank()
    if endpoint.floor in _FLOORS:
        yield Handshake(endpoint=endpoint, below=endpoint.floor)
    yield from (one.blank() for one in asks if one.name or one.algorithm)


def _asks(instance: Instance, certificates: Certificates, endpoint: Endpoint) -> Iterator[Ask]:
    told_apart = _told_apart(instance, endpoint)
    for name, credentials in _credentials(certificates, endpoint.service):
        leaves = _leaves(certificates, credentials)
        every = tuple(dict.fromkeys(one.sha256 for one in leaves))
        yield Ask(endpoint=endpoint, name=name, expected=every)
        for algorithm, expected in _by_algorithm(leaves).items():
            if algorithm in told_apart and expected != every:
                yield Ask(endpoint=endpoint, name=name, algorithm=algorithm, expected=expected)


def _credentials(
    certificates: Certificates, service: str
) -> Iterator[tuple[str, list[Credential]]]:
    """For each name that can be asked for, "" first, what the service loads for it.

    Of several tables the first counts that has the name.
    """
    found: dict[str, tuple[str, list[Credential]]] = {"": ("", [])}
    for use in certificates.uses:
        if use.client or service not in use.services or (use.table and not use.name):
            continue
        table, credentials = found.setdefault(use.name.lower(), (use.table, []))
        if table == use.table:
            credentials.append(use.credential)
    for name, (_, credentials) in found.items():
        asked = asked_name(name)
        if not name or (is_host_name(asked) and (asked == name or asked not in found)):
            yield asked, credentials


def _leaves(certificates: Certificates, credentials: Iterable[Credential]) -> list[Certificate]:
    """The certificates that Postfix has to show; one credential that breaks leaves it none."""
    leaves: list[Certificate] = []
    for credential in credentials:
        loaded = certificates.loaded.get(credential)
        if loaded is None or any(one.breaks for one in loaded.faults):
            return []
        leaves += [chain.leaf for chain in loaded.chains if chain.certificates]
    return leaves


def _by_algorithm(leaves: Iterable[Certificate]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for leaf in leaves:
        algorithm = _ASKED_AS.get(leaf.key.algorithm, "")
        if leaf.sha256 not in found.get(algorithm, ()):
            found[algorithm] = (*found.get(algorithm, ()), leaf.sha256)
    return found


def _told_apart(instance: Instance, endpoint: Endpoint) -> frozenset[str]:
    """The algorithms for which the endpoint has cipher suites, as far as they are known."""
    if endpoint.floor in _LEFT_OUT:
        return frozenset()
    service = instance.service(endpoint.service)
    for meaning in tls_meaning(instance, service) if service else ():
        if not isinstance(meaning.suites, Absent):
            kinds = {one.authentication for one in meaning.suites}
            return frozenset(one for one, kind in _AUTHENTICATION.items() if kind in kinds)
    return frozenset(_AUTHENTICATION)
