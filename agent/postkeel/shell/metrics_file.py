"""The file that Prometheus's node exporter reads: postkeel.prom in the monitor's directory.

It is replaced as a whole, and holds no time of its samples: when it was written is a
metric itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from postkeel import __version__
from postkeel.contract import Outcome, Side, Standing
from postkeel.reporting.metrics import OUTCOMES, SEVERITIES, Samples, render
from postkeel.shell.correcting import Correcting
from postkeel.shell.listening import Listened
from postkeel.shell.metric_counts import Counts
from postkeel.shell.office import Office
from postkeel.shell.status_file import InstanceStatus
from postkeel.shell.whole_file import write_whole

PATIENCE: Final = 10
"""Times as long as the reporters took to say how they stand that they are left alone after it."""
_OTHER: Final = "other"
_MOST: Final = 2**53
"""Above it a number of another process's is no count."""


Values = Mapping[tuple[str, ...], float]
"""By labels."""


def metrics_path(runtime_directory: str) -> str:
    """In the monitor's runtime directory, which everybody may read."""
    return os.path.join(runtime_directory, "postkeel.prom")


class MetricsFile:
    """Writes what is true now.

    correcting, listened: what the side that corrects says, and what stands of the log.
    """

    def __init__(
        self,
        office: Office,
        correcting: Callable[[], Correcting],
        listened: Callable[[str], Listened],
    ) -> None:
        self.counts = Counts()
        self.heartbeat: datetime | None = None
        self._office = office
        self._correcting = correcting
        self._listened = listened
        self._standings: Mapping[str, Standing] = {}
        self._ask_after = 0.0

    def write(self, now: datetime) -> None:
        """Replace the file. Errors: PostkeelError; the old one is then as it was."""
        directory = self._office.guarding.configuration.monitor_runtime_directory
        content = render(self._samples(now)).encode()
        write_whole(metrics_path(directory), content, mode=0o644, durable=False)

    def _samples(self, now: datetime) -> Samples:
        guarding = self._office.guarding
        self.counts.keep(guarding.instances)
        known = self._correcting()
        beaten: Values = {} if self.heartbeat is None else {(): self.heartbeat.timestamp()}
        named: dict[str, Values] = {
            "postkeel_info": {(__version__,): 1},
            "written_timestamp_seconds": {(): now.timestamp()},
            "guarded": {(one,): one in known.guarded for one in guarding.instances},
            "alarms": self._alarms(),
            "reports_total": self.counts.reports,
            "corrections_total": self.counts.corrections,
            "heartbeat_timestamp_seconds": beaten,
            "heartbeat_interval_seconds": {(): guarding.configuration.reporting.heartbeat},
            "connections_total": self.counts.connections,
            "mails_total": self.counts.mails,
            **_of_rounds(known.instances.values()),
            **self._of_reporters(),
        }
        return {f"postfix_tls_{name}": values for name, values in named.items()}

    def _alarms(self) -> dict[tuple[str, ...], float]:
        """A number for each rule of the monitors' cards, also where none of its alarms stands."""
        guarding = self._office.guarding
        rules = [
            rule.id for plugin in guarding.registry.of(Side.MONITOR) for rule in plugin.card.rules
        ]
        found: dict[tuple[str, ...], float] = {}
        for instance in guarding.instances:
            found |= {(instance, rule): 0 for rule in (*rules, _OTHER)}
            for rule, _ in self._listened(instance).standing:
                found[instance, rule if rule in rules else _OTHER] += 1
        return found

    def _of_reporters(self) -> dict[str, dict[tuple[str, ...], float]]:
        """What waits; a reporter that answers slowly is not asked for a while."""
        loop = self._office.loop
        began = loop.clock()
        if began >= self._ask_after:
            self._standings = self._office.guarding.registry.standings([], Side.MONITOR)
            ended = loop.clock()
            self._ask_after = ended + PATIENCE * (ended - began)
        standings = self._standings.items()
        return {
            "reports_waiting": {(name,): one.waiting for name, one in standings},
            "reports_dropped_total": {(name,): one.dropped for name, one in standings},
        }


def _of_rounds(statuses: Iterable[InstanceStatus]) -> dict[str, dict[tuple[str, ...], float]]:
    """What the last rounds left. Where none is known there is no sample, not a 0."""
    named: dict[str, dict[tuple[str, ...], float]] = {
        "compliant": {},
        "outcome": {},
        "findings": {},
        "held": {},
        "last_round_timestamp_seconds": {},
    }
    for one in statuses:
        name = one.config_directory
        opened = (one.open_errors, one.open_warnings, one.open_infos)
        counts = [min(max(number, 0), _MOST) for number in opened]
        named["findings"].update(
            {(name, severity): count for severity, count in zip(SEVERITIES, counts, strict=True)}
        )
        named["held"][name,] = one.held
        if one.outcome not in OUTCOMES:  # no round yet
            continue
        if one.findings or one.outcome != Outcome.FAILED.value:  # else nothing could be read
            named["compliant"][name,] = counts[0] == 0
        given = Counter({one.outcome: 1})
        named["outcome"].update({(name, outcome): given[outcome] for outcome in OUTCOMES})
        time = _seconds(one.time)
        if time is not None:
            named["last_round_timestamp_seconds"][name,] = time
    return named


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
