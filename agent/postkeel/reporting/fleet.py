"""Reads the lines that collectors write of the reports of many hosts.

One JSON object a line: host, time (as the sender wrote it), received (by the collector's
clock), event and fields, which are those of `postkeel.reporting.fields`; more keys do no harm.

Doubles are known by host, spool and number. What is kept grows with hosts and gaps, and each
has a bound; never with lines.

Security: whoever may send to the collector writes these lines, host names included. A line that
is none is counted, and nothing in one can raise, nest, or grow beyond the bounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NoReturn

from postkeel.core.news import SEEN, SEEN_IN_THE_LOG
from postkeel.core.text import one_line
from postkeel.reporting.fleet_course import ALARM, CORRECTED, LEFT_OPEN, Course
from postkeel.reporting.fleet_hosts import Host, Room, Spool
from postkeel.reporting.fleet_instances import OPEN, Instance, Told, number_of, text_of
from postkeel.reporting.fleet_numbers import Ledger
from postkeel.reporting.fleet_values import FleetSummary

MOST_OF_A_LINE: Final = 16_384
"""Octets: a report has 2048 at most, and JSON makes six of the worst of them."""

MOST_HOSTS: Final = 10_000
MOST_INSTANCES: Final = 20_000
MOST_SPOOLS: Final = 50_000
MOST_RANGES: Final = 200_000

_LONG: Final = 4096
_LATEST: Final = 200 * 366 * 86_400
"""Seconds of the epoch: a clock that says more is not worth reading."""
_LONGEST_HOST: Final = 255
_LONGEST_SPOOL: Final = 64
_LONGEST_RULES: Final = 800
_MOST_DIGITS: Final = 18
_SILENT: Final = frozenset(("digest", "dropped"))
"""Events that say nothing of how an instance stands now."""


def read_lines(chunks: Iterable[bytes], fleet: Fleet) -> None:
    """Read octets that are cut anywhere; a last line may lack its end."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        whole = text.rfind(b"\n") + 1
        fleet.read(text[:whole])
        # Of a line that is too long enough is kept to know it by.
        rest = text[whole:][: MOST_OF_A_LINE + 1]
    fleet.read(rest)


class Fleet:
    """Give it lines, file by file, then ask for the summary.

    until: moment in seconds of the epoch; what was received later is counted and left out.
    """

    def __init__(self, until: float | None = None) -> None:
        self._until = float("inf") if until is None else until
        self._hosts: dict[str, Host] = {}
        self._room = Room(
            instances=Ledger(MOST_INSTANCES),
            spools=Ledger(MOST_SPOOLS),
            ranges=Ledger(MOST_RANGES),
        )
        self._course = Course()
        self._decode = json.JSONDecoder(parse_constant=_no_number).raw_decode
        self._name = ""
        self._number = 0
        self._lines = self._later = self._faulty = self._crowded = 0
        self._first_fault = ""

    @property
    def lines(self) -> int:
        """How many were read."""
        return self._lines

    def begin(self, name: str) -> None:
        """The next line is the first one of a file of this name."""
        self._name = name
        self._number = 0

    def read(self, text: bytes) -> None:
        """Take whole lines; empty ones do not count."""
        lines = text.decode("utf-8", "replace").split("\n")
        if not lines[-1]:
            lines.pop()
        take = self._take
        for number, line in enumerate(lines, self._number + 1):
            try:
                take(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._fault(number, line)
        self._number += len(lines)

    def add(self, line: bytes) -> None:
        """Take one line, with its end or without."""
        self.read(line)

    def _fault(self, number: int, line: str) -> None:
        """A line that is none: of another kind, cut off, or hostile."""
        if not line.strip():
            return
        self._lines += 1
        self._faulty += 1
        if self._faulty == 1:
            place = f"line {number} of {self._name}: " if self._name else ""
            self._first_fault = one_line(f"{place}{line[:200]}", 300)

    def _take(self, line: str) -> None:
        """Errors: ValueError and the like for a line that is no report of a collector's."""
        if len(line) > MOST_OF_A_LINE:
            raise ValueError("longer than a report can be")
        data, end = self._decode(line)
        if end != len(line) and line[end:].strip():
            raise ValueError("more than one value")
        name, fields, event = data["host"], data["fields"], data["event"]
        sent = _seconds(data["time"])
        received = _seconds(data["received"]) if "received" in data else sent
        if type(name) is not str or not 0 < len(name) <= _LONGEST_HOST or type(event) is not str:
            raise ValueError("no name of a host, or of an event")
        told: Told = fields.get if len(line) <= _LONG else _cut(fields).get
        number = _number(told("spool"), told("seq"))
        self._lines += 1
        if received > self._until:
            self._later += 1
            return
        host = self._hosts.get(name) or self._new_host(name, received)
        if host is None:
            self._crowded += 1
            return
        host.hear(received)
        spool = None
        if number:
            spool = host.spool(str(told("spool")), received)
            if spool is not None and not spool.numbers.add(number):
                host.doubles += 1
                return
        else:
            host.unnumbered += 1
        self._count(host, spool, number, told, event, (sent, received))

    def _count(
        self,
        host: Host,
        spool: Spool | None,
        number: int,
        told: Told,
        event: str,
        moments: tuple[float, float],
    ) -> None:
        """A report that is no double."""
        sent, received = moments
        folded = told("repeated")
        times = 1 if folded is None else number_of(folded) or 1
        host.reports += times
        if folded is None:
            host.delayed(received - sent)
        if event == "dropped":
            host.told_dropped(spool, number, number_of(told("count")))
        instance = host.instance(told("instance"))
        if instance is None:
            self._crowded += told("instance") is not None
            return
        instance.reports += times
        instance.heard = max(instance.heard, received)
        if event in _SILENT:
            return
        name = told("spool")
        news = instance.is_news(min(sent, received), name, number, folded=folded is not None)
        if event == "heartbeat":
            if news:
                instance.beat(told)
        else:
            self._round(instance, told, event, moments, (times, news))

    def _round(
        self,
        instance: Instance,
        told: Told,
        event: str,
        moments: tuple[float, float],
        meaning: tuple[int, bool],
    ) -> None:
        (times, news), outcome = meaning, text_of(told("outcome"))
        if not outcome:
            return
        where = text_of(told("cause"))
        if event == "mail-log-lines" or where in SEEN:
            where = where if where in SEEN else SEEN_IN_THE_LOG
            instance.seen(told, outcome, where, is_news=news)
            if outcome in OPEN:
                self._course.add(ALARM, *moments, times)
            return
        instance.round(told, outcome, times, is_news=news)
        if outcome == "fixed":
            self._course.add(CORRECTED, *moments, times)
        elif outcome in OPEN:
            self._course.add(LEFT_OPEN, *moments, times)

    def _new_host(self, name: str, received: float) -> Host | None:
        if len(self._hosts) >= MOST_HOSTS:
            return None
        host = self._hosts[name] = Host(name, received, self._room)
        return host

    def summary(
        self, now: datetime, silent_after: float | None = None, most_gaps: int = 100
    ) -> FleetSummary:
        """How the fleet stands at this moment, which is aware.

        silent_after: seconds without a report after which an instance is silent; without, two
        and a half times what lies between its heartbeats. most_gaps: told of one spool.
        """
        at = now.timestamp()
        return FleetSummary(
            at=at,
            lines=self._lines,
            later=self._later,
            faulty=self._faulty,
            first_fault=self._first_fault,
            crowded=self._crowded,
            first=min((one.began for one in self._hosts.values()), default=None),
            last=max((one.heard for one in self._hosts.values()), default=None),
            hosts=tuple(
                host.summary(at, silent_after, most_gaps) for _, host in sorted(self._hosts.items())
            ),
            stretches=self._course.stretches(),
            width=self._course.width,
        )


def _seconds(text: Any) -> float:
    """Seconds of the epoch; ValueError for a stamp without a zone, or of no time of ours."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    seconds = moment.timestamp()
    if not 0 <= seconds <= _LATEST:
        raise ValueError("a time that cannot be")
    return seconds


def _number(spool: Any, sequence: Any) -> int:
    """A report's number in its spool, 0 without both; ValueError when it is none."""
    if spool is None or sequence is None:
        return 0
    if type(spool) is not str or len(spool) > _LONGEST_SPOOL or type(sequence) is not str:
        raise ValueError("no name of a spool")
    if len(sequence) > _MOST_DIGITS or not sequence.isdecimal():
        raise ValueError("no number")
    number = int(sequence)
    if number < 1:
        raise ValueError("numbers begin with 1")
    return number


def _cut(fields: dict[str, object]) -> dict[str, str]:
    """Of a report that is longer than most: what is kept of it stays small, its rules whole."""
    rules = fields.get("rules")
    cut = {name: value for name, one in fields.items() if (value := text_of(one))}
    return cut | {"rules": rules[:_LONGEST_RULES]} if isinstance(rules, str) else cut


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
