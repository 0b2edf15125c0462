"""What a sender and a collector say to each other over a connection, without the connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from postkeel.contract import one_line
from postkeel_plugins.central.spool import Spooled


class LinkError(Exception):
    """A collector cannot be had, is gone, or does not keep to the protocol. A few words."""


class Conversation(Protocol):
    """Turns reports into octets, and tells which of them need not be sent again.

    Moments are those of a steady clock, in seconds. Nothing here waits.
    """

    def begin(self) -> bytes:
        """What to write before anything else."""

    def room(self) -> int:
        """How many reports can be framed now."""

    def framed(self, reports: Sequence[Spooled]) -> bytes:
        """The octets of these reports, to be written after all that came before."""

    def wrote(self, octets: int, now: float) -> None:
        """So many octets of the connection, counted from its beginning, have been written."""

    def received(self, octets: bytes, now: float) -> None:
        """The collector said this. Errors: LinkError."""

    def again(self, now: float) -> bytes:
        """What is to be written once more. Errors: LinkError for silence."""

    def settled(self, taken: int, now: float) -> list[int]:
        """The numbers of the reports that are done with; each is told once.

        taken: how many octets the collector's kernel has.
        """

    def due(self) -> float | None:
        """When something is to be done although nothing happens."""

    def complaint(self) -> str:
        """What is wrong though the conversation goes on; "" when nothing is."""

    def end(self) -> bytes:
        """What to write before the connection is closed."""


def reason_of(error: OSError) -> str:
    """What the system or OpenSSL says, for people."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, str):
        return one_line(reason.lower().replace("_", " "))
    return one_line(error.strerror or str(error))
