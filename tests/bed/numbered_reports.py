"""An agent's monitor that gets numbered reports, and what of them reached a collector.

The reports are appended to an outbox as the correcting side would, the agent is the real
`postkeel run --side monitor`, and the collector a real one behind a proxy that can cut.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collectors import Collector, rsyslog, syslog_ng
from cutting_proxy import CuttingProxy, cutting_proxy
from guarded import POSTKEEL, until
from postkeel.contract import Event, EventKind, Outcome, Plan, Report
from postkeel.reporting.fleet import Fleet, read_lines
from postkeel.shell.outbox import Outbox
from private_postfix import PrivatePostfix

INSTANCE = "/etc/postfix"
_CAUSE = "numbered report "
_NUMBER = re.compile(rb'"cause": ?"numbered report ([0-9]+)"')
_FLOWING = 1.2
"""Seconds of writing before a fault; a connection that broke sooner is tried again ever later."""


def numbered(number: int) -> Report:
    """A small report, as those of most rounds are."""
    return Report(
        instance=INSTANCE,
        event=Event(kind=EventKind.REQUESTED, instance=INSTANCE, time=datetime.now(UTC)),
        outcome=Outcome.CLEAN,
        judged=(),
        plan=Plan(),
        seconds=0.25,
        cause=f"{_CAUSE}{number}",
    )


def number_of(line: dict[str, Any]) -> int | None:
    """The number of the report that a collected line tells of, if it is one of these."""
    cause = str(line["fields"].get("cause", ""))
    return int(cause.removeprefix(_CAUSE)) if cause.startswith(_CAUSE) else None


def central_options(collector: Collector, url: str, **more: object) -> dict[str, object]:
    """`[plugins.central]` for this collector; nothing is folded or held back."""
    return {
        "collectors": [url],
        "ca": str(collector.authority.file),
        "certificate": str(collector.sender.certificate),
        "key": str(collector.sender.key),
        "host": "mx1.example.org",
        "fold_seconds": 0,
        "reports_per_minute": 0,
        **more,
    }


def toml(options: dict[str, object]) -> str:
    """As lines of TOML. JSON's texts, numbers and lists are TOML's."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())


class Monitor:
    """The agent's side "monitor" with plugin central, killed and started as one likes."""

    def __init__(self, directory: Path, postfix: PrivatePostfix, options: dict[str, object]):
        self.directory = directory
        self.postfix = postfix
        self.state = directory / "state"
        for name in ("state/outbox", "state/monitor", "run/monitor"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        self.config = directory / "postkeel.toml"
        self.config.write_text(
            f'state_directory = "{self.state}"\nruntime_directory = "{directory}/run"\n'
            '[reporting]\nheartbeat = 0\ndigest = ""\n'
            f'[plugins.syslog]\nsocket = "{directory}/log"\n'
            f"[plugins.central]\n{toml(options)}"
        )
        self.errors = directory / "stderr"
        self.outbox = Outbox(str(self.state))
        self.process: subprocess.Popen[bytes] | None = None
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log.bind(f"{directory}/log")
        threading.Thread(target=self._read_log, daemon=True).start()

    def _read_log(self) -> None:
        """What the agent tells the local syslog goes nowhere."""
        with contextlib.suppress(OSError):
            while self._log.recv(4096):
                pass

    def start(self) -> None:
        """Start the agent; it is not waited for."""
        command = [POSTKEEL, "run", "--side", "monitor", "-c", self.postfix.config_directory]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command, "--config", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as systemd does."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What a collector has written of so many numbered reports.

    doubles: lines that `postkeel fleet` drops, for they say again what another one said. left:
    reports that stand in more than one line after that. missing: numbers of the spool that no
    line has.
    """

    lines: int
    lost: int
    doubles: int
    left: int
    missing: int


def arrived(collector: Collector, count: int) -> Arrived:
    """Count what has been written. Errors: AssertionError if `postkeel fleet` counts otherwise."""
    seen: dict[object, int | None] = {}
    lines = collector.lines()
    for line in lines:
        fields = line["fields"]
        seen[line["host"], fields.get("spool"), fields.get("seq")] = number_of(line)
    numbers = Counter(one for one in seen.values() if one is not None)
    fleet = Fleet()
    read_lines(collector.files().values(), fleet)
    summary = fleet.summary(datetime.now(UTC))
    told = sum(one.reports for one in summary.hosts)
    assert (told, summary.doubles) == (len(seen), len(lines) - len(seen)), summary
    return Arrived(
        lines=len(lines),
        lost=count - len(numbers.keys() & set(range(1, count + 1))),
        doubles=summary.doubles,
        left=sum(numbers.values()) - len(numbers),
        missing=summary.missing,
    )


def missing(collector: Collector, count: int) -> int:
    """How many of the reports it has not written yet; quicker than `arrived`."""
    found = {int(one) for text in collector.files().values() for one in _NUMBER.findall(text)}
    return count - len(found & set(range(1, count + 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordeal:
    """How many reports, how many of each fault while they flow, and how long they have then."""

    reports: int
    faults: int
    seconds: float
    seed: int = 1


def endure(
    ordeal: Ordeal, collector: Collector, monitor: Monitor, proxy: CuttingProxy
) -> Iterator[str]:
    """Write the reports; kill and cut while they flow; wait until they are there or time is up.

    Gives each fault when it has happened. Errors: TimeoutError when they stop flowing.
    """

    def kill_collector() -> None:
        collector.kill()
        collector.start()

    def kill_agent() -> None:
        monitor.kill()
        monitor.start()

    def cut_connection() -> None:
        until(proxy.cut, ordeal.seconds)

    chance = random.Random(ordeal.seed)  # noqa: S311
    faults: list[Callable[[], object]] = [kill_collector, kill_agent, cut_connection]
    faults *= ordeal.faults
    chance.shuffle(faults)
    written = 0
    for done, fault in enumerate(faults, 1):
        portion = range(written + 1, ordeal.reports * done // (len(faults) + 1) + 1)
        for number in portion:
            monitor.outbox.append(numbered(number))
            time.sleep(_FLOWING / len(portion))
        written = max(written, *portion)
        before = collector.size()
        time.sleep(chance.random() / 50)  # somewhere on the way of the last ones
        fault()
        yield fault.__name__
        _await_flow(collector, before, written, ordeal.seconds)
    for number in range(written + 1, ordeal.reports + 1):
        monitor.outbox.append(numbered(number))
    end = time.monotonic() + ordeal.seconds
    while missing(collector, ordeal.reports) and time.monotonic() < end:
        time.sleep(0.5)


def _await_flow(collector: Collector, before: int, written: int, seconds: float) -> None:
    """Wait until more than these octets were written, or there is nothing left to write."""
    until(lambda: collector.size() > before or not missing(collector, written), seconds)


@dataclass(frozen=True)
class Way:
    """A server and the transport to it."""

    server: str
    transport: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.transport} to {self.server}"

    def collector(self, directory: Path) -> AbstractContextManager[Collector]:
        """The server, running."""
        start = rsyslog if self.server == "rsyslog" else syslog_ng
        return start(directory, transports=(self.transport,))


WAYS = (Way("rsyslog", "relp+tls"), Way("rsyslog", "tls"), Way("syslog-ng", "tls"))


def suffered(
    ordeal: Ordeal, postfix: PrivatePostfix, directory: Path, way: Way
) -> tuple[Arrived, Counter[str]]:
    """What arrived through an ordeal, and how many of which fault there were."""
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(way.collector(directory / "collector"))
        port = collector.ports[way.transport]
        proxy = stack.enter_context(cutting_proxy((collector.address, port)))
        url = collector.url(way.transport).replace(str(port), str(proxy.port))
        options = central_options(collector, url)
        with monitor(directory / "monitor", postfix, options) as agent:
            faults = Counter(endure(ordeal, collector, agent, proxy))
        return arrived(collector, ordeal.reports), faults


@contextlib.contextmanager
def monitor(
    directory: Path, postfix: PrivatePostfix, options: dict[str, object]
) -> Iterator[Monitor]:
    """A running monitor."""
    directory.mkdir(parents=True, exist_ok=True)
    one = Monitor(directory, postfix, options)
    one.start()
    try:
        yield one
    finally:
        one.stop()
