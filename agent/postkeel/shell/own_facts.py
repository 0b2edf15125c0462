"""The facts that the agent itself knows: "postfix", "profile", "handshakes"."""

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
    from postkeel.shell.suites import KeptSuites


class OwnFacts:
    """A fact provider like any plugin's; a fact that cannot be had is `Absent`."""

    name = "postfix_facts"

    def __init__(
        self,
        configuration: Configuration,
        profiles: Profiles,
        defaults: DefaultsCache,
        suites: KeptSuites | None = None,
    ) -> None:
        self._configuration = configuration
        self._profiles = profiles
        self._defaults = defaults
        self._suites = suites
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

    def _profile(self, directory: str) -> object:
        return self._profiles.get(self._configuration.settings(directory).profile)

    def _handshakes(self, directory: str) -> object:
        from postkeel.shell.proof import prove

        instance = self._gathered.get(directory) or self._postfix(directory)
        return prove(instance) if instance.running else Absent(reason="Postfix is not running")
