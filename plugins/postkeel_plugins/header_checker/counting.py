"""What probes and sampled mail come to in numbers: rows of the plugin's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from postkeel.contract import Row
from postkeel_plugins.header_checker.memory import wait
from postkeel_plugins.header_checker.tables import LATE, PROBES
from postkeel_plugins.header_checker.verdicts import Seen

Counts = dict[Row, tuple[int, ...]]
_HOUR = 3600


def hour_of(time: datetime) -> int:
    return int(time.timestamp()) // _HOUR * _HOUR


def count_probes(
    hour: int, seen: Iterable[Seen], late: Iterable[float]
) -> Mapping[str, Mapping[Row, tuple[int, ...]]]:
    """Each probe once, and those that came late."""
    rows: Counts = {}
    told = [
        (one.probed.target.service, one.outcome, 0.0 if one.probed.stage else one.probed.seconds)
        for one in seen
    ]
    for service, outcome, seconds in (*told, *(("", LATE, one) for one in late)):
        key = (hour, service, outcome)
        probes, milliseconds = rows.get(key, (0, 0))
        rows[key] = (probes + 1, milliseconds + int(wait(seconds) * 1000))
    return {PROBES.name: rows} if rows else {}
