"""A fleet as its reports show it: what `Fleet.summary` gives."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from postkeel.core.frozen import frozen
from postkeel.reporting.fleet_numbers import Gap


class State(str, Enum):
    """How an instance stands, the worst first. Several may be true of one, except the last."""

    CONTESTED = "contested"
    DRIFTING = "drifting"
    SILENT = "silent"
    UNGUARDED = "unguarded"
    UNKNOWN = "unknown"
    COMPLIANT = "compliant"


@frozen
class InstanceSummary:
    """One instance of Postfix on one host. Texts are as they arrived: see `one_line`.

    states: the worst first, never none. instance: "" where no report of the host named one.
    heard: when the collector last had a report of it; all moments are seconds of the epoch.
    every: seconds between its heartbeats, 0 when it has not said. held and guarded: None when
    it has not said. rules: of open findings; fewer than `open_findings`, where reports were cut.
    corrections: findings corrected, in all the lines. rounds: reports by outcome.
    """

    host: str
    instance: str
    states: tuple[State, ...]
    heard: float
    every: int = 0
    guarded: bool | None = None
    held: bool | None = None
    outcome: str = ""
    profile: str = ""
    mode: str = ""
    postfix: str = ""
    openssl: str = ""
    postkeel: str = ""
    open_findings: int = 0
    open_errors: int = 0
    rules: tuple[str, ...] = ()
    alarms: int = 0
    alarm_rules: tuple[str, ...] = ()
    reports: int = 0
    corrections: int = 0
    rounds: Mapping[str, int]

    @property
    def state(self) -> State:
        return self.states[0]


@frozen
class SpoolSummary:
    """The numbers of one spool. begins: the first one, other than 1 where the lines begin later.

    gaps: at most so many as `Fleet.summary` was asked for. missing, unexplained: numbers in all
    its gaps. untold: reports of which nobody knows whether they were doubles.
    """

    host: str
    spool: str
    begins: int
    ends: int
    doubles: int
    gaps: tuple[Gap, ...]
    missing: int
    unexplained: int
    left_off: int = 0
    untold: int = 0


@frozen
class HostSummary:
    """One host: its instances, the worst first, and what arrived of its reports.

    reports: those it made, doubles left out, folded ones as often as they say. dropped: how
    many it said were dropped; uncounted: how often it could not say how many. unnumbered:
    reports without spool and number. ahead: seconds that its clock is ahead of the
    collector's, when that is far off, else 0; a negative one may also be a slow way.
    """

    name: str
    instances: tuple[InstanceSummary, ...]
    spools: tuple[SpoolSummary, ...]
    heard: float
    reports: int
    doubles: int
    dropped: int = 0
    uncounted: int = 0
    unnumbered: int = 0
    untold: int = 0
    ahead: float = 0.0

    @property
    def unexplained(self) -> int:
        return sum(one.unexplained for one in self.spools)


@frozen
class Stretch:
    """Reports of a stretch of time, that begins then: corrected, left open, alarms."""

    begin: int
    corrected: int
    left_open: int
    alarms: int


@frozen
class FleetSummary:
    """All of it at one moment.

    lines: that were read; later: those of after that moment, which do not count; faulty: those
    that are no report as a collector writes it, and what the first of them is; crowded: those of
    more hosts or instances than are kept. first, last: when the collector had the first and
    the last report. width: seconds of the shortest stretch.
    """

    at: float
    lines: int
    later: int
    faulty: int
    first_fault: str
    crowded: int
    first: float | None
    last: float | None
    hosts: tuple[HostSummary, ...]
    stretches: tuple[Stretch, ...]
    width: int

    @property
    def instances(self) -> tuple[InstanceSummary, ...]:
        """Of all hosts, the worst first."""
        found = [one for host in self.hosts for one in host.instances]
        return tuple(sorted(found, key=worst_first))

    @property
    def counts(self) -> dict[State, int]:
        """How many instances are how, each counted once, by its worst."""
        states = [one.state for one in self.instances]
        return {state: states.count(state) for state in State}

    @property
    def doubles(self) -> int:
        return sum(one.doubles for one in self.hosts)

    @property
    def missing(self) -> int:
        return sum(spool.missing for host in self.hosts for spool in host.spools)

    @property
    def unexplained(self) -> int:
        """How many reports are missing that no host said it had dropped."""
        return sum(one.unexplained for one in self.hosts)

    @property
    def is_well(self) -> bool:
        """Whether every host is compliant, guarded and heard, and no report is missing."""
        states = {one.state for one in self.instances}
        incomplete = self.unexplained or self.crowded or any(one.untold for one in self.hosts)
        return states == {State.COMPLIANT} and not incomplete


_RANKS = {state: rank for rank, state in enumerate(State)}


def worst_first(one: InstanceSummary) -> tuple[int, int, int, str, str]:
    """To sort by: state, open errors, open findings, names."""
    return (_RANKS[one.state], -one.open_errors, -one.open_findings, one.host, one.instance)
