"""What the commands start from: configuration, profiles, registry, instances."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from postkeel.contract import Absent, Event, EventKind, Need
from postkeel.core.configuration import Configuration
from postkeel.core.errors import ConfigurationError, PostfixError, PostkeelError, Problem
from postkeel.core.frozen import frozen
from postkeel.discovery import find_plugins, own_plugins
from postkeel.registry import Registry
from postkeel.shell.documents import Profiles, load_configuration
from postkeel.shell.looking import Seen
from postkeel.shell.round import Round

if TYPE_CHECKING:
    from postkeel.shell.served import KeptServed
    from postkeel.shell.suites import KeptSuites

T = TypeVar("T")


@frozen
class Opened:
    """A checked configuration with its profiles and plugins.

    served: for who corrects, what was last seen of the certificates that are served.
    """

    configuration: Configuration
    profiles: Profiles
    registry: Registry
    served: KeptServed | None = None


def open_configuration(arguments: Namespace) -> tuple[Configuration, Profiles]:
    """The configuration as the command line changes it; every profile it names is read.

    Errors: ConfigurationError with file and line.
    """
    configuration = load_configuration(arguments.config)
    profiles = Profiles(arguments.config)
    if arguments.profile:
        instances = {name: _without_profile(one) for name, one in configuration.instances.items()}
        configuration = replace(configuration, profile=arguments.profile, instances=instances)
    problems = [
        configuration.problem(_unknown(name, profiles), *keys)
        for name, keys in _named_profiles(configuration)
        if name not in profiles.documents
    ]
    if problems and arguments.profile:
        problems = [Problem(file="--profile", line=0, message=one.message) for one in problems[:1]]
    if problems:
        raise ConfigurationError(*problems)
    for name, _ in _named_profiles(configuration):
        profiles.get(name)
    return configuration, profiles


def _without_profile(settings: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in settings.items() if key != "profile"}


def _named_profiles(configuration: Configuration) -> list[tuple[str, tuple[str, ...]]]:
    own = [
        (settings["profile"], ("instance", name, "profile"))
        for name, settings in configuration.instances.items()
        if "profile" in settings
    ]
    return [(configuration.profile, ("profile",)), *own]


def _unknown(name: str, profiles: Profiles) -> str:
    return f"unknown profile {name!r}; known are: {', '.join(sorted(profiles.documents))}"


def open_all(
    arguments: Namespace,
    suites: KeptSuites | None = None,
    *,
    acting: bool = False,
) -> Opened:
    """Configuration, profiles and a registry with every plugin that could be loaded.

    suites: of an agent, see `gather_instance`. acting: for rounds that may correct.
    """
    from postkeel.shell.own_facts import OwnFacts

    configuration, profiles = open_configuration(arguments)
    served = None
    if acting:
        from postkeel.shell.served import KeptServed

        served = KeptServed(configuration.state_directory)
    own = OwnFacts(
        configuration,
        profiles,
        arguments.defaults,
        suites,
        served=served,
        early=getattr(arguments, "early", None),
    )
    found = [*own_plugins({own.name: own}), *find_plugins(configuration)]
    return Opened(
        configuration=configuration,
        profiles=profiles,
        registry=Registry(found, configuration),
        served=served,
    )


def instances(arguments: Namespace) -> tuple[str, ...]:
    """The configuration directories to look at, absolute.

    Errors: PostfixError when there is no Postfix, or no such directory.
    """
    if arguments.config_directory is None:
        from postkeel.shell.postfix_facts import discover_instances

        return discover_instances()
    directory = os.path.abspath(arguments.config_directory)
    if not os.path.isdir(directory):
        raise PostfixError(
            f"{directory}: no such directory; -c takes Postfix's configuration directory"
        )
    return (directory,)


def of_each(directories: Iterable[str], look: Callable[[str], T]) -> tuple[list[T], str]:
    """What `look` gives of each instance, and what those say that cannot be read.

    Errors: PostkeelError when none can: then there is nothing to show.
    """
    found: list[T] = []
    complaints: list[str] = []
    for directory in directories:
        try:
            found.append(look(directory))
        except PostkeelError as error:
            complaints.append(str(error))
    if complaints and not found:
        raise PostkeelError("\n".join(complaints))
    return found, "\n".join(complaints)


def finish(complaint: str, status: int) -> int:
    """The command's exit status. Errors: PostkeelError for what could not be shown."""
    if complaint:
        sys.stdout.flush()
        raise PostkeelError(complaint)
    return status


def requested(directory: str, *detail: str) -> Event:
    """The event of a command that somebody typed."""
    now = datetime.now(UTC)
    return Event(kind=EventKind.REQUESTED, instance=directory, time=now, detail=detail)


def looking_round(opened: Opened, directory: str) -> Round:
    """A round that only looks: it remembers nothing and asks nothing of earlier rounds."""
    return Round(
        event=requested(directory),
        registry=opened.registry,
        configuration=opened.configuration,
    )


def deciding_round(opened: Opened, directory: str) -> Round:
    """A round that says what one that writes would do: it asks what Postfix serves."""
    return replace(looking_round(opened, directory), deciding=True)


def acting_round(opened: Opened, directory: str) -> Round:
    """A round that writes, with the hold, the history and the originals of this host."""
    from postkeel.shell.memory import HostMemory

    memory = HostMemory(opened.configuration)
    return replace(deciding_round(opened, directory), memory=memory, served=opened.served)


def looked(round_: Round, *, live: bool = False) -> Seen:
    """One look; PostfixError with the reason when the instance itself cannot be read."""
    seen = round_.look(live=live)
    for kind in ("postfix", "profile"):
        fact = seen.facts.get(Need(kind=kind, subject=round_.directory))
        if isinstance(fact, Absent):
            raise PostkeelError(fact.reason)
    return seen
