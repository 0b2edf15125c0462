"""What the sender sees of a connection to a collector, whatever its transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from postkeel_plugins.central.spool import Spooled


class Link(Protocol):
    """A connection that stands. Every call may raise LinkError; none waits."""

    def turn(self, now: float) -> list[int]:
        """Read, then write what there is; the numbers of the reports that are done with."""

    def room(self) -> int:
        """How many reports can be taken now."""

    def take(self, reports: Sequence[Spooled]) -> None:
        """Have them written at the next turn."""

    def watched(self) -> tuple[int, int]:
        """The descriptor, and the events of it to wait for."""

    def due(self) -> float | None:
        """When the next turn is due, though nothing happens."""

    def complaint(self) -> str:
        """What is wrong though the link stands; "" when nothing is."""

    def close(self) -> None:
        """Never waits, never fails."""
