"""Reading a log in parts at the same time, with the counts of one reading.

Who begins in the middle does not know in the middle of what each process is. So its
lines are put aside until one comes from which on nothing before it matters: a new
client, a summary, another mail, a failure that is told whole. Whoever has read the
part before reads these lines too, and then takes over what the processes are at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from postkeel.maillog.joiner import PROGRAMS, SUMMARIES
from postkeel.maillog.messages import read_delivery
from postkeel.maillog.process import Handler, Process
from postkeel.maillog.reader import Handover, Reader
from postkeel.maillog.tally import Tally


class PartReader(Reader):
    """Reads a part that does not begin at the beginning."""

    def __init__(self, tally: Tally, *, now: datetime, zone: tzinfo) -> None:
        super().__init__(tally, now=now, zone=zone)
        self._aside: list[bytes] = []

    def handover(self) -> Handover:
        """What the reader of the part before needs to go on, but for the counts."""
        known = {
            tag: one.kept(str)
            for tag, one in self._processes.items()
            if one is not None and one.otherwise not in _WAITING.values()
        }
        return self._aside, known

    def _new_process(self, tag: bytes) -> Process | None:
        process = super()._new_process(tag)
        if process is not None and process.program in _WAITING:
            process.handlers, process.otherwise = {}, _WAITING[process.program]
        return process

    def _settle(self, process: Process) -> None:
        process.handlers, process.otherwise = PROGRAMS[process.program]
        process.delivery, process.whole = None, True

    def server_waits(self, process: Process, line: bytes, start: int) -> None:
        """Until a client connects."""
        if line.startswith(b"connect from ", start):
            self._settle(process)
        else:
            self._aside.append(line)

    def client_waits(self, process: Process, line: bytes, start: int) -> None:
        """Until a summary, or the status of another mail than the first."""
        if line[start : start + 4] in SUMMARIES:
            self._settle(process)
            self.summary(process, line, start)
            return
        found = read_delivery(line, start)
        if found is not None and self.peer(found[2]):
            if process.delivery is not None and process.delivery[0] != found[0]:
                self._settle(process)
                self.delivery(process, line, start)
                return
            process.delivery = found[0], ""
        self._aside.append(line)

    def proxy_waits(self, process: Process, line: bytes, start: int) -> None:
        """Until a summary, or the end of a failure."""
        if line[start : start + 4] in SUMMARIES:
            self._settle(process)
            self.summary(process, line, start)
            return
        self._aside.append(line)
        if line.startswith(b"TLS handshake failed ", start):
            self._settle(process)


_WAITING: Final[Mapping[str, Handler]] = {
    "smtpd": PartReader.server_waits,
    "smtp": PartReader.client_waits,
    "lmtp": PartReader.client_waits,
    "tlsproxy": PartReader.proxy_waits,
}
