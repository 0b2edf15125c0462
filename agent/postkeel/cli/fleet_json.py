"""`postkeel fleet` as a document for programs. Its keys are contracts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from postkeel.reporting.fleet_numbers import Gap
from postkeel.reporting.fleet_values import (
    FleetSummary,
    HostSummary,
    InstanceSummary,
    SpoolSummary,
    Stretch,
)

Data = dict[str, object]

MOST_GAPS: Final = 1000


def document(summary: FleetSummary, sources: Sequence[str]) -> Data:
    """Hosts by name; every list is sorted, `left_off` says how many gaps are not in theirs."""
    gaps = [_gap(spool, gap) for spool in _spools(summary) for gap in spool.gaps]
    left_off = sum(one.left_off for one in _spools(summary)) + max(len(gaps) - MOST_GAPS, 0)
    return {
        "at": _stamp(summary.at),
        "well": summary.is_well,
        "sources": list(sources),
        "lines": summary.lines,
        "first": _stamp(summary.first),
        "last": _stamp(summary.last),
        "states": {state.value: count for state, count in summary.counts.items()},
        "hosts": [_host(one) for one in summary.hosts],
        "doubles": summary.doubles,
        "missing": summary.missing,
        "unexplained": summary.unexplained,
        "gaps": gaps[:MOST_GAPS],
        "left_off": {"gaps": left_off, "lines": summary.crowded},
        "later": summary.later,
        "faulty": {"lines": summary.faulty, "first": summary.first_fault},
        "stretch_seconds": summary.width,
        "stretches": [_stretch(one) for one in summary.stretches],
    }


def _spools(summary: FleetSummary) -> list[SpoolSummary]:
    return [spool for host in summary.hosts for spool in host.spools]


def _host(one: HostSummary) -> Data:
    return {
        "host": one.name,
        "heard": _stamp(one.heard),
        "reports": one.reports,
        "doubles": one.doubles,
        "dropped": one.dropped,
        "dropped_uncounted": one.uncounted,
        "missing": sum(spool.missing for spool in one.spools),
        "unexplained": one.unexplained,
        "unnumbered": one.unnumbered,
        "unchecked": one.untold,
        "clock_ahead": round(one.ahead, 3),
        "spools": [_spool(spool) for spool in one.spools],
        "instances": [_instance(instance) for instance in one.instances],
    }


def _spool(one: SpoolSummary) -> Data:
    return {
        "spool": one.spool,
        "begins": one.begins,
        "ends": one.ends,
        "doubles": one.doubles,
        "missing": one.missing,
        "unexplained": one.unexplained,
    }


def _instance(one: InstanceSummary) -> Data:
    return {
        "instance": one.instance,
        "state": one.state.value,
        "states": [state.value for state in one.states],
        "heard": _stamp(one.heard),
        "heartbeat_seconds": one.every or None,
        "guarded": one.guarded,
        "held": one.held,
        "outcome": one.outcome,
        "profile": one.profile,
        "mode": one.mode,
        "postfix": one.postfix,
        "openssl": one.openssl,
        "postkeel": one.postkeel,
        "open_findings": one.open_findings,
        "open_errors": one.open_errors,
        "rules": list(one.rules),
        "alarms": one.alarms,
        "alarm_rules": list(one.alarm_rules),
        "reports": one.reports,
        "corrections": one.corrections,
        "rounds": dict(one.rounds),
    }


def _gap(spool: SpoolSummary, gap: Gap) -> Data:
    return {
        "host": spool.host,
        "spool": spool.spool,
        "first": gap.first,
        "last": gap.last,
        "missing": gap.missing,
        "reported": gap.reported,
    }


def _stretch(one: Stretch) -> Data:
    return {
        "begin": _stamp(one.begin),
        "corrected": one.corrected,
        "left_open": one.left_open,
        "alarms": one.alarms,
    }


def _stamp(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
