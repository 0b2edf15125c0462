"""The facts that the agent itself knows: of the instance, its profile, TLS and certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postkeel.contract import Absent, Card, Need, Side, hookimpl
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.postfix.instance import Instance
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.documents import Profiles
from postkeel.shell.postfix_facts import gather_instance

if TYPE_CHECKING:
    from postkeel.certificates.values import Certificates, Served, Tlsa
    from postkeel.shell.certificate_facts import KeptCertificates
    from postkeel.shell.early_look import EarlyLook
    from postkeel.shell.served import KeptServed
    from postkeel.shell.suites import KeptSuites
    from postkeel.shell.tlsa import KeptTlsa


class OwnFacts:
    """A fact provider like any plugin's; a fact that cannot be had is `Absent`."""

    name = "postfix_facts"

    def __init__(
        self,
        configuration: Configuration,
        profiles: Profiles,
        defaults: DefaultsCache,
        suites: KeptSuites | None = None,
        served: KeptServed | None = None,
        early: EarlyLook | None = None,
    ) -> None:
        self._configuration = configuration
        self._profiles = profiles
        self._defaults = defaults
        self._suites = suites
        self._certificates_kept: KeptCertificates | None = None
        self._early = early
        self._certificates_seen: dict[str, Certificates] = {}
        self._served_kept = served
        self._tlsa_kept: KeptTlsa | None = None
        self._gathered: dict[str, Instance] = {}

    @hookimpl
    def keel_card(self) -> Card:
        return Card(
            name=self.name,
            summary="facts of each Postfix instance, its profile, and live handshakes",
            side=Side.ROOT,
        )

    @hookimpl
    def keel_gather(self, need: Need) -> object | None:
        answer = {
            "postfix": self._postfix,
            "profile": self._profile,
            "handshakes": self._handshakes,
            "certificates": self._certificates,
            "served": self._served,
            "tlsa": self._tlsa,
        }.get(need.kind)
        if answer is None:
            return None
        try:
            return answer(need.subject)
        except PostkeelError as error:
            return Absent(reason=str(error))

    def _postfix(self, directory: str) -> Instance:
        self._gathered[directory] = gather_instance(
            directory, defaults=self._defaults, suites=self._suites
        )
        return self._gathered[directory]

    def _certificates(self, directory: str) -> Certificates:
        if self._certificates_kept is None:
            from postkeel.shell.certificate_facts import KeptCertificates

            sources = self._configuration.certificates
            self._certificates_kept = KeptCertificates(sources, early=self._early)
        instance = self._gathered.get(directory) or self._postfix(directory)
        self._certificates_seen[directory] = self._certificates_kept.of(instance)
        return self._certificates_seen[directory]

    def _served(self, directory: str) -> Served:
        if self._served_kept is None:
            from postkeel.shell.served import KeptServed

            self._served_kept = KeptServed(self._configuration.state_directory, write=False)
        return self._served_kept.of(*self._known(directory))

    def _tlsa(self, directory: str) -> Tlsa:
        if self._tlsa_kept is None:
            from postkeel.shell.tlsa import KeptTlsa

            self._tlsa_kept = KeptTlsa(self._configuration.certificates.resolver)
        return self._tlsa_kept.of(*self._known(directory))

    def _known(self, directory: str) -> tuple[Instance, Certificates]:
        """What was gathered of it in this round, or is now."""
        certificates = self._certificates_seen.get(directory) or self._certificates(directory)
        return self._gathered[directory], certificates

    def _profile(self, directory: str) -> object:
        return self._profiles.get(self._configuration.settings(directory).profile)

    def _handshakes(self, directory: str) -> object:
        from postkeel.shell.proof import prove

        instance = self._gathered.get(directory) or self._postfix(directory)
        return prove(instance) if instance.running else Absent(reason="Postfix is not running")
