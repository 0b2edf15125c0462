"""What is remembered between events: standing alarms, suspects, usual rates.

All of it is bounded, because peers choose their own names, and of JSON's types
when it leaves, because the agent stores it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from postkeel.contract import Depth, Finding, Severity, frozen
from postkeel_plugins.tls_log_monitor.rates import Rates
from postkeel_plugins.tls_log_monitor.rules import WHY, witness

MOST_ALARMS: Final = 50
"""Of one rule, so that a flood of one kind does not keep the others out."""
MOST_SUSPECTS: Final = 400
MOST_ACQUITTED: Final = 1_000
_VERSION: Final = 1
_DAY: Final = 86_400


@frozen
class Alarm:
    """Something that was seen in the log and stands for a while.

    effective, wanted: as in a `Finding`, alike each time. text: the line or the peer that
    it was last seen by. since, last: seconds of the epoch. proven: whether journald vouches
    for every line that it rests on; source: where the last came from.
    """

    rule: str
    severity: str
    parameter: str
    effective: str
    wanted: str
    text: str
    since: float
    last: float
    source: str
    proven: bool
    service: str | None = None
    count: int = 1

    @property
    def key(self) -> tuple[str, str | None, str]:
        return (self.rule, self.service, self.effective)

    def again(self, newer: Alarm) -> Alarm:
        """This one, seen once more."""
        given = {one.name: getattr(newer, one.name) for one in fields(Alarm)}
        return Alarm(
            **given
            | {
                "since": min(self.since, newer.since),
                "last": max(self.last, newer.last),
                "count": self.count + newer.count,
                "proven": self.proven and newer.proven,
            }
        )

    def finding(self) -> Finding:
        times = "once" if self.count == 1 else f"{self.count} times"
        said = witness(self.source, proven=self.proven)
        return Finding(
            rule=self.rule,
            severity=Severity(self.severity),
            depth=Depth.OBSERVED,
            parameter=self.parameter,
            where="default",
            effective=self.effective,
            wanted=self.wanted,
            why=f"Seen {times}; {said}: {self.text}. {WHY[self.rule]}",
            service=self.service,
        )


@frozen
class Suspect:
    """A peer that was seen in clear text, until the records say how it came before.

    hour: of its first mail in clear. alarm: what to raise if it always had TLS.
    """

    direction: str
    peer: str
    hour: int
    alarm: Alarm

    @property
    def key(self) -> tuple[str, str]:
        return (self.direction, self.peer)


class Memory:
    """The plugin's state, read and to be written.

    new: alarms that were raised now and did not stand before. acquitted: peers for
    which clear text is nothing new, each with the day on which that was found.
    """

    def __init__(self, state: object) -> None:
        kept: Mapping[str, Any] = {}
        if isinstance(state, Mapping) and state.get("version") == _VERSION:
            kept = state
        alarms = (Alarm(**one) for one in kept.get("alarms", ()))
        self.alarms = {one.key: one for one in alarms}
        suspects = (_suspect(one) for one in kept.get("suspects", ()))
        self.suspects = {one.key: one for one in suspects}
        self.acquitted: dict[str, int] = dict(kept.get("acquitted", {}))
        self.rates = Rates(kept.get("rates", {}))
        self.reader: object = kept.get("reader")
        self.new: list[Alarm] = []

    def written(self) -> object:
        return {
            "version": _VERSION,
            "reader": self.reader,
            "alarms": [_plain(one) for one in self.alarms.values()],
            "suspects": [
                _plain(one) | {"alarm": _plain(one.alarm)} for one in self.suspects.values()
            ],
            "acquitted": self.acquitted,
            "rates": self.rates.written(),
        }

    def raise_alarm(self, alarm: Alarm) -> None:
        """Let it stand from now on; when too many of its rule stand, the first ones stay."""
        known = self.alarms.get(alarm.key)
        if known is not None:
            self.alarms[alarm.key] = known.again(alarm)
        elif sum(one.rule == alarm.rule for one in self.alarms.values()) < MOST_ALARMS:
            self.alarms[alarm.key] = alarm
            self.new.append(alarm)

    def suspect(self, suspect: Suspect) -> None:
        """Remember to ask how this peer came before, unless that is known."""
        if suspect.alarm.key in self.alarms:
            self.raise_alarm(suspect.alarm)
        elif _acquittal(suspect) not in self.acquitted:
            known = self.suspects.get(suspect.key)
            if known is not None:
                alarm = known.alarm.again(suspect.alarm)
                hour = min(known.hour, suspect.hour)
                suspect = Suspect(
                    direction=suspect.direction, peer=suspect.peer, hour=hour, alarm=alarm
                )
            elif len(self.suspects) >= MOST_SUSPECTS:
                return
            self.suspects[suspect.key] = suspect

    def judged(self, suspect: Suspect, *, guilty: bool) -> None:
        del self.suspects[suspect.key]
        if guilty:
            self.raise_alarm(suspect.alarm)
            return
        if len(self.acquitted) >= MOST_ACQUITTED:
            del self.acquitted[next(iter(self.acquitted))]
        self.acquitted[_acquittal(suspect)] = int(suspect.alarm.last // _DAY)

    def forget(self, now: float, window: float) -> None:
        """Alarms end that had no cause for a window's time, and with them what is old."""
        since = now - window
        self.alarms = {key: one for key, one in self.alarms.items() if one.last >= since}
        self.suspects = {key: one for key, one in self.suspects.items() if one.alarm.last >= since}
        yesterday = int(now // _DAY) - 1
        self.acquitted = {key: day for key, day in self.acquitted.items() if day >= yesterday}
        self.rates.forget(now, window)

    def standing(self) -> Iterator[Finding]:
        """In an order that does not hang on what came first."""
        ordered = sorted(self.alarms.values(), key=lambda one: (one.rule, one.effective))
        return (one.finding() for one in ordered)


def _suspect(kept: Mapping[str, Any]) -> Suspect:
    return Suspect(**{**kept, "alarm": Alarm(**kept["alarm"])})


def _plain(value: Alarm | Suspect) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value)}


def _acquittal(suspect: Suspect) -> str:
    return " ".join(suspect.key)
