"""What is kept of each host while its reports are read."""

from __future__ import annotations

from collections import deque
from typing import Final

from postkeel.core.frozen import frozen
from postkeel.reporting.fleet_instances import Instance, text_of
from postkeel.reporting.fleet_numbers import Ledger, Numbers
from postkeel.reporting.fleet_values import HostSummary, SpoolSummary, worst_first

_FAR_OFF: Final = 120.0
_RECENT: Final = 8
_MOST_INSTANCES: Final = 100
_MOST_SPOOLS: Final = 100


class Spool:
    """One spool of a host: its numbers, and when it was first and last heard of."""

    __slots__ = ("first", "last", "numbers")

    def __init__(self, ledger: Ledger, first: float) -> None:
        self.numbers = Numbers(ledger)
        self.first = self.last = first


@frozen
class Room:
    """How many more may be kept of all hosts together."""

    instances: Ledger
    spools: Ledger
    ranges: Ledger


class Host:
    """All that is kept of one host. Doubles are known by spool and number, and not counted."""

    __slots__ = (
        *(
            "_delays",
            "_instances",
            "_name",
            "_room",
            "_spools",
            "began",
            "doubles",
            "dropped",
            "heard",
        ),
        *("reports", "uncounted", "unnumbered", "untold"),
    )

    def __init__(self, name: str, received: float, room: Room) -> None:
        self._name = name
        self._room = room
        self._instances: dict[str, Instance] = {}
        self._spools: dict[str, Spool] = {}
        self._delays: deque[float] = deque(maxlen=_RECENT)
        self.began = self.heard = received
        self.reports = self.doubles = self.dropped = 0
        self.uncounted = self.unnumbered = self.untold = 0

    def hear(self, received: float) -> None:
        """Something came of it at this moment, a double too."""
        if received > self.heard:
            self.heard = received
        elif received < self.began:
            self.began = received

    def spool(self, name: str, received: float) -> Spool | None:
        """The spool of this name; None when there are too many to keep one more."""
        spool = self._spools.get(name)
        if spool is None:
            return self._new_spool(name, received)
        if received > spool.last:
            spool.last = received
        elif received < spool.first:
            spool.first = received
        return spool

    def _new_spool(self, name: str, received: float) -> Spool | None:
        spools = self._room.spools
        if len(self._spools) >= _MOST_SPOOLS or spools.left <= 0:
            self.untold += 1
            return None
        spools.left -= 1
        spool = self._spools[name] = Spool(self._room.ranges, received)
        return spool

    def instance(self, name: object) -> Instance | None:
        """The instance of this name; None for no name, and when there are too many."""
        known = self._instances.get(name) if type(name) is str else None
        return known or self._new_instance(text_of(name))

    def _new_instance(self, name: str) -> Instance | None:
        instances = self._room.instances
        known = self._instances.get(name)
        if known is not None or not name:
            return known
        if len(self._instances) >= _MOST_INSTANCES or instances.left <= 0:
            return None
        instances.left -= 1
        known = self._instances[name] = Instance(self._name, name)
        return known

    def delayed(self, seconds: float) -> None:
        """A report came so many seconds after its time."""
        self._delays.append(seconds)

    def told_dropped(self, spool: Spool | None, number: int, count: int | None) -> None:
        """The host said that its spool has dropped so many reports, or that it cannot say."""
        if count is None:
            self.uncounted += 1
            return
        self.dropped += count
        if spool is not None:
            spool.numbers.dropped(number, count)

    def summary(self, at: float, silent_after: float | None, most_gaps: int) -> HostSummary:
        # A host that no report named an instance of is still one that was heard of.
        known = self._instances.values() or [self._nameless()]
        instances = sorted((one.summary(at, silent_after) for one in known), key=worst_first)
        spools = sorted(self._spools.items(), key=lambda one: (one[1].first, one[0]))
        return HostSummary(
            name=self._name,
            instances=tuple(instances),
            spools=tuple(self._spool_summary(*one, most_gaps) for one in spools),
            heard=self.heard,
            reports=self.reports,
            doubles=self.doubles,
            dropped=self.dropped,
            uncounted=self.uncounted,
            unnumbered=self.unnumbered,
            untold=self.untold + sum(one.numbers.untold for _, one in spools),
            ahead=self._ahead(),
        )

    def _nameless(self) -> Instance:
        nameless = Instance(self._name, "")
        nameless.heard, nameless.reports = self.heard, self.reports
        return nameless

    def _spool_summary(self, name: str, spool: Spool, most: int) -> SpoolSummary:
        """A spool that takes the place of another begins with 1; of the first nobody knows."""
        numbers = spool.numbers
        gaps = numbers.gaps(from_one=self._has_taken_over(spool))
        return SpoolSummary(
            host=self._name,
            spool=name,
            begins=numbers.first,
            ends=numbers.last,
            doubles=numbers.doubles,
            gaps=tuple(gaps[:most]),
            missing=sum(one.missing for one in gaps),
            unexplained=sum(one.unexplained for one in gaps),
            left_off=max(len(gaps) - most, 0),
            untold=numbers.untold,
        )

    def _has_taken_over(self, spool: Spool) -> bool:
        others = [one for one in self._spools.values() if one is not spool]
        earlier = [one for one in others if one.first < spool.first]
        return bool(earlier) and all(one.last < spool.first for one in earlier)

    def _ahead(self) -> float:
        """By the fastest of the last reports: others may have waited on their way."""
        least = min(self._delays, default=0.0)
        return -least if abs(least) > _FAR_OFF else 0.0
