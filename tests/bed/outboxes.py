"""An outbox with reports in it, for the tests of who writes it and of who reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from postkeel.contract import Event, EventKind, Outcome, Plan, Report
from postkeel.shell.outbox import Outbox


def report(cause: object, **other: Any) -> Report:
    """One that this cause tells from others."""
    event = Event(kind=EventKind.PATHS_CHANGED, instance="/etc/postfix", time=datetime.now(UTC))
    plain = Report(
        instance="/etc/postfix",
        event=event,
        outcome=Outcome.CLEAN,
        judged=(),
        plan=Plan(),
        seconds=0.1,
        cause=str(cause),
    )
    return replace(plain, **other)


def filled(state: Path, *causes: object) -> Outbox:
    """The outbox of a process that has just started, with these reports added."""
    box = Outbox(str(state))
    for one in causes:
        box.append(report(one))
    return box


def files(state: Path) -> list[Path]:
    """Its files, oldest first."""
    return sorted((state / "outbox").iterdir())
