"""Reads whole lines: finds the process that wrote each, and hands it on to be joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from postkeel.maillog.joiner import PROGRAMS, Joiner
from postkeel.maillog.messages import begins_session
from postkeel.maillog.prefix import moment, read_tag, tag_start
from postkeel.maillog.process import Process
from postkeel.maillog.tally import MOST_NAMES, Tally
from postkeel.maillog.values import OTHERS

MOST_KNOWN: Final = 10_000
"""Processes, peers and the like that are remembered while lines are read."""
MOST_KEPT: Final = 2_000
"""Processes in the middle of something that `state` tells of."""
_SILENT: Final = 3_600
_AFTER_DELIVERY: Final = 60
"""Seconds after which a process that says nothing is taken for gone, and its number for free.

After a delivery only further recipients of the same mail matter.
"""

_LONGEST_TAG: Final = 100


Handover = tuple[list[bytes], dict[bytes, dict[str, Any]]]
"""Of a `PartReader`: the lines that it put aside, and what its processes are, by their tags."""


class Reader(Joiner):
    """Reads whole lines in the order in which they were written.

    tally, now, zone, rename: see `Joiner`. state: what another reader's `state` gave
    after the lines before. syslog_names: of the instance whose lines count; empty takes
    those of all. Total: any octets are read.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        now: datetime,
        zone: tzinfo,
        state: object = None,
        syslog_names: frozenset[str] = frozenset(),
        rename: Callable[[str], str] = str,
    ) -> None:
        super().__init__(tally, now=now, zone=zone, rename=rename)
        self._names = syslog_names
        self._at = 16
        self._processes: dict[bytes, Process | None] = {}
        # Then a process without a summary is known to be without one.
        self._goes_on = isinstance(state, Mapping)
        self._earlier: dict[str, Any] = {}
        if isinstance(state, Mapping):
            self._restore(state)

    def read(self, text: bytes) -> None:
        """Count whole lines. Errors: none."""
        lines = text.split(b"\n")
        self._tally.lines += len(lines) - 1
        processes, at, last = self._processes, self._at, b""
        for line in lines:
            end = line.find(b"]: ")
            try:
                process = processes[line[line.find(b" ", at) + 1 : end]]
            except KeyError:
                process = self._meet(line, end)
                at = self._at
            if process is None:
                continue
            handler = process.handlers.get(line[end + 3 : end + 7], process.otherwise)
            if handler is not None:
                handler(self, process, line, end + 3)
                last = line
        self._keep_bounded(last)

    def finish(self) -> None:
        """No line will follow: failures whose reason never came are counted."""
        for name, kept in self._earlier.items():
            self._give_up_kept(name, kept)
        self._earlier.clear()
        for process in self._processes.values():
            if process is not None:
                self.give_up(process)

    def state(self) -> object:
        """What the next reader needs, of JSON's types."""
        seen = {"seen": self._now.timestamp()}
        busy = {
            tag.decode("latin-1"): one.kept(self._rename) | seen
            for tag, one in self._processes.items()
            if one is not None and not one.idle
        }
        return dict([*self._earlier.items(), *busy.items()][-MOST_KEPT:])

    def take_over(self, handover: Handover) -> None:
        """Go on after lines that a `PartReader` has read."""
        aside, processes = handover
        self._forget_all_but(0)
        lines = self._tally.lines
        if aside:
            self.read(b"\n".join(aside) + b"\n")
        self._tally.lines = lines
        for tag, kept in processes.items():
            before = self._processes.get(tag)
            if before is not None:
                self.give_up(before)
            process = self._new_process(tag)
            if process is not None:
                process.restore(kept, self._tally)
                self._processes[tag] = process

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Most processes say nothing in the next lines, so each is made when it does."""
        now = self._now.timestamp()
        for name, kept in state.items():
            if now - kept["seen"] <= (_AFTER_DELIVERY if kept["delivery"] else _SILENT):
                self._earlier[name] = kept
            else:
                self._give_up_kept(name, kept)

    def _give_up_kept(self, name: str, kept: Mapping[str, Any]) -> None:
        process = self._new_process(name.encode("latin-1", "replace"))
        if process is not None and kept["failure"]:
            process.restore(kept, self._tally)
            self.give_up(process)

    def _meet(self, line: bytes, end: int) -> Process | None:
        """The process of a line that begins in a new way; None for what is not Postfix."""
        self._at = tag_start(line)
        if end < 0:
            return None
        tag = line[line.find(b" ", self._at) + 1 : end]
        if tag in self._processes:
            return self._processes[tag]
        process = self._new_process(tag)
        if process is not None:
            process.whole = self._goes_on or begins_session(line[end + 3 :])
            kept = self._earlier.pop(tag.decode("latin-1"), None)
            if kept is not None:
                process.restore(kept, self._tally)
            self._tally.saw(moment(line, now=self._now, zone=self._zone))
        if len(tag) < _LONGEST_TAG:
            self._processes[tag] = process
        return process

    def _new_process(self, tag: bytes) -> Process | None:
        found = read_tag(tag)
        if found is None or found[1] not in PROGRAMS:
            return None
        syslog_name, program = found
        if self._names and syslog_name not in self._names:
            return None
        if f"{syslog_name}/{program}" not in self._kinds and len(self._kinds) >= MOST_NAMES:
            syslog_name = OTHERS
        process = Process(syslog_name, program, *PROGRAMS[program])
        process.kinds = self._kinds.setdefault(process.name, {})
        return process

    def _keep_bounded(self, last: bytes) -> None:
        if last:
            self._tally.saw(moment(last, now=self._now, zone=self._zone))
        self._forget_all_but(MOST_KNOWN)
        if len(self._processes) > MOST_KNOWN:
            busy = [
                (tag, one)
                for tag, one in self._processes.items()
                if one is not None and not one.idle
            ]
            self._processes = dict(busy[-MOST_KEPT:])
        self._tally.keep_bounded()
