"""What one look at an instance's certificates came to, put together by certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from postkeel.certificates.tlsa import fits, matches
from postkeel.certificates.values import (
    Certificate,
    Certificates,
    Chain,
    Credential,
    Fault,
    Joined,
    Kind,
    Loaded,
    Served,
    Tlsa,
    TlsaRecord,
    Use,
)
from postkeel.contract import Handshake, Judged, Outcome, Severity
from postkeel.core.frozen import frozen


@frozen
class Look:
    """One instance as it was looked at.

    served, tlsa: None when they were not looked at. judged: of the plugin certificate_watcher,
    `unjudged` says why there is none. ports: of the services that offer TLS. given: files of the
    command line are judged, not those in use. closed: files that this user may not read.
    """

    directory: str
    at: datetime
    certificates: Certificates
    served: Served | None = None
    tlsa: Tlsa | None = None
    judged: tuple[Judged, ...] = ()
    unjudged: str = ""
    ports: Mapping[str, str] = field(default_factory=dict)
    given: bool = False
    closed: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@frozen
class Answer:
    """The TLSA records of one port and name, each with whether it is of this certificate.

    matches: whether who goes by them accepts it; None without records, or when nobody can say.
    """

    port: str
    name: str
    records: tuple[tuple[TlsaRecord, bool | None], ...]
    matches: bool | None = None


@frozen
class Entry:
    """One certificate with its key as it is used: everything that is known of it.

    chain: None when none could be read. offered: not used yet, and could be.
    """

    credential: Credential
    uses: tuple[Use, ...]
    loaded: Loaded
    chain: Chain | None
    judged: tuple[Judged, ...] = ()
    handshakes: tuple[Handshake, ...] = ()
    answers: tuple[Answer, ...] = ()
    since: datetime | None = None
    joined: Joined | None = None
    offered: bool = False

    @property
    def leaf(self) -> Certificate | None:
        return self.chain.leaf if self.chain else None

    @property
    def worst(self) -> Severity | None:
        """Of what somebody has to do; None when that is nothing."""
        open_ones = {one.finding.severity for one in self.judged if is_open(one)}
        return next((one for one in Severity if one in open_ones), None)

    @property
    def path(self) -> str:
        """The file that the certificate is in, as configured."""
        return self.leaf.file if self.leaf and self.leaf.file else self.credential.files[0]

    @property
    def untold(self) -> tuple[Fault, ...]:
        """Faults that no finding speaks of: nobody judged, or they are waited for."""
        told = "\n".join(_said(one) for one in self.judged)
        return tuple(one for one in self.loaded.faults if one.what not in told)


def _said(judged: Judged) -> str:
    finding = judged.finding
    return f"{finding.effective}\n{finding.wanted}\n{finding.why}"


def is_open(judged: Judged) -> bool:
    """Whether it is an error or warning that nobody waived."""
    return judged.outcome is not Outcome.WAIVED and judged.finding.severity is not Severity.INFO


def entries(look: Look) -> list[Entry]:
    """One for each chain of each credential, those that end first before the others.

    What cannot be read stands before all.
    """
    found = list(_Entries(look))
    ends = {id(one): one.leaf.ends.timestamp() if one.leaf else float("-inf") for one in found}
    return sorted(found, key=lambda one: (ends[id(one)], one.path))


def general(look: Look, shown: Sequence[Entry]) -> tuple[Judged, ...]:
    """The findings that are of none of these certificates."""
    told = {one.finding.subject for entry in shown for one in entry.judged}
    return tuple(one for one in look.judged if one.finding.subject not in told)


def asks(use: Use, handshake: Handshake) -> bool:
    """Whether this is what a client of the use sees: its service, and its name by SNI."""
    unknown = use.table and not use.name
    if use.client or unknown or handshake.endpoint.service not in use.services:
        return False
    if use.name.startswith("."):
        return handshake.name.endswith(use.name)
    return handshake.name == use.name


def is_same(entry: Entry, handshake: Handshake) -> bool | None:
    """Whether it showed what the file has; None when one of them has nothing to compare."""
    leaves = {one.leaf.sha256 for one in entry.loaded.chains}
    if not handshake.certificate_sha256 or not leaves:
        return None
    return handshake.certificate_sha256 in leaves


class _Entries:
    """Brings together what is about one credential; many are no reason to be slow."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._facts = look.certificates
        self._uses: dict[Credential, list[Use]] = {}
        for use in self._facts.uses:
            self._uses.setdefault(use.credential, []).append(use)
        self._used = {use.parameter for use in self._facts.uses}
        self._judged: dict[str, list[Judged]] = {}
        for one in look.judged:
            self._judged.setdefault(one.finding.file, []).append(one)
        self._handshakes: dict[str, list[Handshake]] = {}
        for handshake in look.served.handshakes if look.served else ():
            self._handshakes.setdefault(handshake.name, []).append(handshake)

    def __iter__(self) -> Iterator[Entry]:
        for credential, uses in self._uses.items():
            yield from self._of(credential, tuple(uses))
        for joined in self._facts.offered:
            credential = Credential(kind=Kind.PAIR, files=(joined.certificate, joined.key))
            if credential not in self._uses:
                yield from self._of(credential, (), joined)

    def _of(
        self, credential: Credential, uses: tuple[Use, ...], offered: Joined | None = None
    ) -> Iterator[Entry]:
        loaded = self._facts.loaded.get(credential, Loaded())
        ours = (one for one in self._facts.joined if one.path in credential.files)
        joined = offered or next(ours, None)
        judged = self._about(credential, joined, uses)
        handshakes = [one for use in uses for one in self._shown(use)]
        since = self._look.served.since if self._look.served else {}
        for chain in loaded.chains or (None,):
            yield Entry(
                credential=credential,
                uses=uses,
                loaded=loaded,
                chain=chain,
                judged=judged,
                handshakes=tuple(one for one in handshakes if _is_of(one, loaded, chain)),
                answers=tuple(self._answers(uses, chain)),
                since=since.get(chain.leaf.sha256) if chain else None,
                joined=joined,
                offered=offered is not None,
            )

    def _about(
        self, credential: Credential, joined: Joined | None, uses: tuple[Use, ...]
    ) -> tuple[Judged, ...]:
        """The findings about its files; where several parameters name one, those of ours."""
        tables = credential.files[:1] if credential.kind is Kind.TABLE else ()
        files = [*credential.files, *(one.partition(":")[2] for one in tables)]
        if joined:
            files += [joined.path, joined.certificate, joined.key]
        others = self._used - {use.parameter for use in uses}
        found = [one for file in dict.fromkeys(files) for one in self._judged.get(file, ())]
        return tuple(one for one in found if one.finding.parameter not in others)

    def _shown(self, use: Use) -> Iterator[Handshake]:
        """The handshakes of one use; of a name that begins with a dot any below it."""
        if use.name.startswith("."):
            possible = [one for many in self._handshakes.values() for one in many]
        else:
            possible = self._handshakes.get(use.name, [])
        return (one for one in possible if asks(use, one))

    def _answers(self, uses: tuple[Use, ...], chain: Chain | None) -> Iterator[Answer]:
        look = self._look
        if chain is None or look.tlsa is None:
            return
        places = {
            (look.ports[service], name)
            for use in uses
            for service in use.services
            for name in ([use.name] if use.table else self._facts.names)
            if service in look.ports and not use.client
        }
        for port, name in sorted(places & look.tlsa.records.keys()):
            records = look.tlsa.records[port, name]
            yield Answer(
                port=port,
                name=name,
                records=tuple((one, matches(one, chain)) for one in records),
                matches=fits(records, chain) if records else None,
            )


def _is_of(handshake: Handshake, loaded: Loaded, chain: Chain | None) -> bool:
    """Whether the handshake was to show this credential, and with a key of the chain's kind."""
    leaves = {one.leaf.sha256 for one in loaded.chains}
    about_it = not handshake.expected or not leaves.isdisjoint(handshake.expected)
    return about_it and handshake.algorithm in ("", chain.leaf.key.algorithm if chain else "")
