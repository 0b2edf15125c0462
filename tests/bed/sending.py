"""The plugin `central` as the agent drives it, in a directory of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from postkeel.conformance import sample_event
from postkeel.contract import EventKind, Outcome, Place, Plan, Report
from postkeel_plugins.central.options import OPTIONS
from postkeel_plugins.central.plugin import Reporter

PATIENCE = 30.0


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return when it is true; AssertionError when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def numbered(number: int) -> Report:
    """A report that is told from others by its cause."""
    return Report(
        instance="/etc/postfix",
        event=sample_event(EventKind.REQUESTED),
        outcome=Outcome.FAILED,
        judged=(),
        plan=Plan(),
        seconds=0.1,
        cause=f"report {number}",
    )


class Sending:
    """Delivers numbered reports, none of them folded, to the collectors of these URLs."""

    def __init__(
        self,
        directory: Path,
        *urls: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        **more: object,
    ) -> None:
        self.place = Place(state=str(directory / "state"), runtime=str(directory))
        defaults: dict[str, object] = {one.name: one.default for one in OPTIONS}
        quiet = {"fold_seconds": 0, "reports_per_minute": 0, "host": "mx1.example.org"}
        self.options = {**defaults, **quiet, "collectors": urls, **more}
        self.reporter = Reporter(clock)
        self.delivered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.reporter.close()

    def deliver(self, reports: int = 1) -> None:
        for _ in range(reports):
            self.delivered += 1
            self.reporter.keel_deliver(numbered(self.delivered), self.options, self.place)

    def said(self) -> str:
        """What `postkeel status` would say."""
        standing = self.reporter.keel_status(self.options, self.place)
        return "; ".join(standing.said) if standing else ""

    def waiting(self) -> int:
        standing = self.reporter.keel_status(self.options, self.place)
        return standing.waiting if standing else 0

    def says(self, *words: str) -> None:
        """Wait until the status has all of these words."""
        last = ""

        def heard() -> bool:
            nonlocal last
            last = self.said()
            return all(one in last for one in words)

        try:
            wait_for(heard)
        except AssertionError:
            raise AssertionError(f"{words} not in {last!r}") from None
