"""What the judges look at: the facts of one round, arranged by credential."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property

from postkeel.certificates.asking import asked_name
from postkeel.certificates.values import (
    Certificate,
    Certificates,
    Chain,
    Credential,
    Kind,
    Loaded,
    Served,
    Tlsa,
    Use,
)
from postkeel.contract import Event, Handshake, Options, Profile, frozen
from postkeel.postfix.handshake import endpoints
from postkeel.postfix.instance import Instance, Role
from postkeel.postfix.tokens import list_words
from postkeel_plugins.certificate_watcher.options import ERROR, THRESHOLDS, WARNING, text, texts
from postkeel_plugins.certificate_watcher.thresholds import Thresholds

_LOGINS = (Role.SUBMISSION, Role.SUBMISSIONS)
_JUDGED_AS = "private-file"
"""The comparison of a profile's rule that judges the mode of keys."""


@frozen
class Case:
    """One credential: where it is used, at least once, and what its files hold."""

    credential: Credential
    uses: tuple[Use, ...]
    loaded: Loaded

    @property
    def use(self) -> Use:
        """The one that findings name."""
        return self.uses[0]

    @property
    def client(self) -> bool:
        """Whether it is shown to servers only."""
        return all(one.client for one in self.uses)

    @property
    def chains(self) -> tuple[Chain, ...]:
        return tuple(one for one in self.loaded.chains if one.certificates)

    @property
    def leaves(self) -> tuple[Certificate, ...]:
        return tuple(one.leaf for one in self.chains)

    @property
    def file(self) -> str:
        """The certificate's file, or the table."""
        return next(iter(self.credential.files), "")

    @property
    def paths(self) -> tuple[str, ...]:
        """The names of its files, as configured and as they really are."""
        seen = [one.real for one in self.loaded.files if one.real]
        return tuple(dict.fromkeys((*self.credential.files, *seen)))

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for use in self.uses for name in use.services))


class Scene:
    """The facts of a round, and the event that it is about."""

    def __init__(
        self,
        event: Event,
        instance: Instance,
        certificates: Certificates,
        *,
        served: Served | None,
        tlsa: Tlsa | None,
        profile: Profile | None,
        options: Options,
    ) -> None:
        self.event = event
        self.now: datetime = event.time
        self.instance = instance
        self.certificates = certificates
        self._handshakes: tuple[Handshake, ...] = served.handshakes if served else ()
        self.tlsa = tlsa or Tlsa()
        self.profile = profile
        self.thresholds = Thresholds(
            text(options, WARNING), text(options, ERROR), texts(options, THRESHOLDS)
        )

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every credential in use, in the order of the uses; those of servers' before clients'."""
        uses: dict[Credential, list[Use]] = {}
        for use in sorted(self.certificates.uses, key=lambda one: one.client):
            uses.setdefault(use.credential, []).append(use)
        return tuple(self.case(credential, found) for credential, found in uses.items())

    def case(self, credential: Credential, uses: Sequence[Use]) -> Case:
        loaded = self.certificates.loaded.get(credential, Loaded())
        return Case(credential=credential, uses=tuple(uses), loaded=loaded)

    @cached_property
    def _shown(self) -> dict[tuple[str, str], list[Handshake]]:
        """The handshakes with each service and name."""
        found: dict[tuple[str, str], list[Handshake]] = {}
        for one in self._handshakes:
            if not one.below:
                found.setdefault((one.endpoint.service, one.name), []).append(one)
        return found

    def shown(self, case: Case) -> Iterator[tuple[Use, Handshake]]:
        """The handshakes that are to show a credential, each with the use that it is for."""
        for use in case.uses:
            for service in () if use.client else use.services:
                for one in self._shown.get((service, asked_name(use.name)), ()):
                    yield use, one

    def beside(self, shown: Handshake) -> list[Handshake]:
        """The handshakes with the same service and name, itself among them."""
        return self._shown.get((shown.endpoint.service, shown.name), [])

    @cached_property
    def leaves(self) -> frozenset[str]:
        """The sha256 of every leaf that some file in use holds, but for clients'."""
        return frozenset(
            leaf.sha256 for case in self.cases if not case.client for leaf in case.leaves
        )

    @cached_property
    def usual(self) -> frozenset[tuple[str, str]]:
        """The services and names for which there is a certificate with an RSA or EC key."""
        return frozenset(
            (service, use.name)
            for case in self.cases
            if any(leaf.key.algorithm in ("RSA", "EC") for leaf in case.leaves)
            for use in case.uses
            for service in use.services
        )

    @cached_property
    def published(self) -> dict[Use, list[tuple[str, str]]]:
        """For each use the ports and names, of those with TLSA records, at which it is shown."""
        uses: dict[tuple[str, str], list[Use]] = {}
        for use in self.certificates.uses:
            for service in () if use.client else use.services:
                uses.setdefault((service, use.name.lower()), []).append(use)
        found: dict[Use, list[tuple[str, str]]] = {}
        for endpoint in endpoints(self.instance) if self.tlsa.records else ():
            for (port, name), records in self.tlsa.records.items():
                if records and port == endpoint.port:
                    entries = ((endpoint.service, one) for one in (name, *_above(name)))
                    known = next((one for one in entries if one in uses), (endpoint.service, ""))
                    for use in uses.get(known, ()):
                        found.setdefault(use, []).append((port, name))
        return found

    @cached_property
    def logins(self) -> frozenset[str]:
        """The services at which people log in with mail programs, which verify certificates."""
        return frozenset(one.name for one in self.instance.of_role(*_LOGINS))

    def names(self, services: Iterable[str]) -> dict[str, list[str]]:
        """What these services call themselves, and which of them do so."""
        found: dict[str, list[str]] = {}
        for service in services:
            own = self.instance.effective("myhostname", self.instance.service(service)).value
            if own:
                found.setdefault(own.lower(), []).append(service)
        return found

    def sources(self, case: Case) -> tuple[str, ...]:
        """The names of a credential's files, and of the two that postkeel joined one of."""
        joined = [
            one.certificate for one in self.certificates.joined if one.path in case.credential.files
        ]
        return (*joined, *case.paths)

    @cached_property
    def private_files(self) -> frozenset[str]:
        """The files whose mode a rule of the profile judges, so that nothing is said twice."""
        return frozenset(
            path
            for rule in (self.profile.rules if self.profile else ())
            if rule.comparison == _JUDGED_AS
            for service in self.instance.of_role(*rule.services)
            for parameter in rule.parameters
            for path in list_words(self.instance.effective(parameter, service).value)
        )

    def is_indexed(self, use: Use) -> bool:
        """Whether Postfix reads a table that was built of the files, not the files."""
        table = self.certificates.tables.get(use.table)
        return table is not None and table.indexed and use.credential.kind is not Kind.TABLE

    def is_behind(self, case: Case, use: Use) -> bool:
        """Whether the table of a use was built of other files than there are now."""
        table = self.certificates.tables.get(use.table)
        if table is None or table.problem or not table.source or not self.is_indexed(use):
            return False
        leaves = {leaf.sha256 for leaf in case.leaves}
        return bool(use.name) and leaves != {*table.held.get(use.name, ())}


def _above(name: str) -> Iterator[str]:
    """The entries by which Postfix looks for a name that is not in the table itself."""
    labels = name.split(".")
    return (f".{'.'.join(labels[count:])}" for count in range(1, len(labels)))
