"""What this process has counted for the metrics, from 0 at its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from postkeel.contract import EventKind, Outcome, Records, Report
from postkeel.maillog.tables import TABLES
from postkeel.reporting.metrics import DIRECTIONS, OUTCOMES, PROTOCOLS, protocol_label

OWN_KINDS: Final = (EventKind.HEARTBEAT, EventKind.DIGEST)
"""Reports that tell of other reports."""

_CONNECTIONS: Final = TABLES[0]
_DIRECTION: Final = _CONNECTIONS.key.index("direction") + 1  # behind the hour
_PROTOCOL: Final = _CONNECTIONS.key.index("protocol") + 1

Counters = dict[tuple[str, ...], float]


class Counts:
    """Counters by their labels; each instance has all of its own from the first moment on."""

    def __init__(self) -> None:
        self.reports: Counters = {}
        self.corrections: Counters = {}
        self.connections: Counters = {}
        self.mails: Counters = {}

    def keep(self, instances: tuple[str, ...]) -> None:
        """These are guarded now; a counter that is new begins at 0, so that its growth is seen."""
        for one in instances:
            self.corrections.setdefault((one,), 0)
            for outcome in OUTCOMES:
                self.reports.setdefault((one, outcome), 0)
            for direction in DIRECTIONS:
                for protocol in PROTOCOLS:
                    self.connections.setdefault((one, direction, protocol), 0)
                    self.mails.setdefault((one, direction, protocol), 0)
        for counters in (self.reports, self.corrections, self.connections, self.mails):
            for labels in [labels for labels in counters if labels[0] not in instances]:
                del counters[labels]

    def passed(self, report: Report) -> None:
        labels = (report.instance, report.outcome.value)
        if labels not in self.reports:
            return
        self.reports[labels] += 1
        fixed = sum(one.outcome is Outcome.FIXED for one in report.judged)
        self.corrections[report.instance,] += fixed

    def kept(self, instance: str, records: Records) -> bool:
        """Add what a monitor has counted; whether there was any connection in it."""
        rows: Mapping[tuple[int | str, ...], tuple[int, ...]] = records.add.get(
            _CONNECTIONS.name, {}
        )
        for row, (connections, mails) in rows.items():
            labels = (instance, str(row[_DIRECTION]), protocol_label(str(row[_PROTOCOL])))
            if labels in self.connections:
                self.connections[labels] += connections
                self.mails[labels] += mails
        return bool(rows)
