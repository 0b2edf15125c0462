"""What the two sides of an agent share: the loop, what is loaded, and where reports go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from postkeel.contract import Report
from postkeel.core.configuration import Configuration
from postkeel.core.frozen import frozen
from postkeel.registry import Registry
from postkeel.shell.loop import Loop
from postkeel.shell.notify import Notifier

if TYPE_CHECKING:
    from postkeel.shell.served import KeptServed

ASKED_APART_SECONDS = 60.0
"""The monitors may ask for a check so often, whatever strangers write into a log."""


@frozen
class Guarding:
    """What the agent works with until the next reload, built whole or not at all."""

    configuration: Configuration
    registry: Registry
    instances: tuple[str, ...]
    served: KeptServed | None = None


def packages_file(guarding: Guarding) -> str:
    """Touched by dpkg's trigger when packages that matter have come or gone."""
    return f"{guarding.configuration.runtime_directory}/packages"


class Office(Protocol):
    """An agent, as its sides see it."""

    loop: Loop
    notifier: Notifier
    guarding: Guarding

    def deliver(self, report: Report) -> object:
        """Hand the report to the reporters, now or as soon as they can take it."""

    def refresh(self) -> object:
        """Tell what is guarded and followed now, for `postkeel status` and systemd."""

    def is_outdated(self) -> bool:
        """Whether Python was replaced: the agent ends then, and is started anew."""

    def leave(self, reason: str) -> object:
        """End the process: only a new one can go on."""

    def complain(self, error: Exception, before: str = "") -> object:
        """Say on standard error what failed."""
