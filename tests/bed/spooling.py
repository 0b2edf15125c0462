"""Messages for the spool, and what it made of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from postkeel.reporting.message import Fields, Message
from postkeel_plugins.central.spool import Bounds, Spool

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ERROR, WARNING, INFO = 3, 4, 6
WIDE = Bounds(reports=10_000, fold_seconds=0, per_minute=0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def message(
    number: int,
    seconds: float = 0.0,
    *,
    severity: int = WARNING,
    event: str = "paths-changed",
    outcome: str = "fixed",
    rule: str = "",
) -> Message:
    """One of its own by its number; of the same thing as others with this rule."""
    fields = (
        ("v", "1"),
        ("event", event),
        ("instance", "/etc/postfix"),
        ("outcome", outcome),
        ("seconds", str(number)),
        ("rules", rule or f"rule-{number}"),
    )
    text = f"report {number}"
    return Message(time=at(seconds), severity=severity, event=event, fields=fields, text=text)


def encode(one: Message, marks: Fields) -> bytes:
    return json.dumps([marks, one.fields, one.severity, one.event, one.text]).encode()


class Sent:
    """What a collector would read of one that was sent."""

    def __init__(self, octets: bytes) -> None:
        marks, fields, self.severity, self.event, self.text = json.loads(octets)
        self.marks: dict[str, str] = dict(marks)
        self.fields: dict[str, str] = dict(fields)
        assert list(self.marks)[:2] == ["spool", "seq"]
        self.seq = int(self.marks["seq"])

    @property
    def reports(self) -> int:
        """How many it stands for."""
        return 0 if self.event == "dropped" else int(self.marks.get("repeated", "1"))

    @property
    def dropped(self) -> int:
        return int(self.marks["count"]) if self.event == "dropped" else 0


def spool_in(directory: Any, bounds: Bounds = WIDE) -> Spool:
    return Spool(str(directory), bounds, encode)


def waiting(spool: Spool) -> list[Sent]:
    """All that waits, still unsettled."""
    found = spool.unsent(0, 1_000_000)
    return [Sent(one.octets) for one in found]


def drained(spool: Spool) -> list[Sent]:
    """All that waits, settled."""
    sent = waiting(spool)
    spool.settle([one.seq for one in spool.unsent(0, len(sent))])
    return sent
