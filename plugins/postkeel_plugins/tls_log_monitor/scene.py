"""What the judges of one event are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postkeel.contract import Profile, Rule, Severity, frozen, one_line
from postkeel.maillog.values import Statistics
from postkeel.postfix.instance import Instance
from postkeel_plugins.tls_log_monitor.memory import Alarm

_HOUR: Final = 3600
_LONGEST: Final = 300
"""Octets of a text that may hold what a stranger wrote."""


@frozen
class Scene:
    """One batch of lines, counted, at one moment.

    now, window: seconds; what is older than the window raises no alarm. rename: under
    which name a peer may be shown. instance, profile: None where they are not known.
    """

    statistics: Statistics
    now: float
    window: float
    source: str
    instance: Instance | None
    profile: Profile | None
    rename: Callable[[str], str]

    @property
    def last(self) -> float:
        """The batch's last line; a stamp of the future counts as now."""
        last = self.statistics.last
        return self.now if last is None else min(self.now, last.timestamp())

    def moment(self, hour: int) -> float:
        """When at the latest something of this hour was."""
        return min(self.last, hour + _HOUR - 1)

    def recent(self, moment: float) -> bool:
        return moment >= self.now - self.window

    def alarm(
        self,
        rule: Rule,
        severity: Severity,
        *,
        parameter: str,
        effective: str,
        wanted: str,
        text: str,
        moment: float,
        count: int = 1,
        service: str | None = None,
    ) -> Alarm:
        """An alarm with what this batch vouches for."""
        return Alarm(
            rule=rule.id,
            severity=severity.value,
            parameter=parameter,
            effective=one_line(effective, _LONGEST),
            wanted=wanted,
            text=one_line(text, _LONGEST),
            since=moment,
            last=moment,
            source=self.source,
            proven=self.statistics.proven,
            service=service,
            count=count,
        )
