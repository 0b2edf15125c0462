"""The figures of central reporting, with real collectors on loopback.

Nothing lost and no double left: the real agent, a real rsyslog or syslog-ng behind a proxy,
and kills and cuts while reports flow. How quick: one process that puts reports into the
spool and sends them, beside a sender of some lines that keeps nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figure import Figure

from bare_sender import send
from collectors import Collector, why_not
from guarded import until
from numbered_reports import WAYS, Ordeal, Way, central_options, numbered, suffered
from postkeel.reporting.fields import message_of
from postkeel.reporting.rfc5424 import Header, rfc5424
from private_postfix import PrivatePostfix

ORDEALS = {
    "short": Ordeal(reports=1500, faults=3, seconds=180),
    "full": Ordeal(reports=10_000, faults=20, seconds=300),
}
SPEED_REPORTS = {"short": 15_000, "full": 50_000}
MEMORY_REPORTS = {"short": 100_000, "full": 1_000_000}
LEAST_SPEED = 5000
MOST_GROWTH = 8
PATIENCE = 900
DRIVER = Path(__file__).parent / "central_driver.py"


def central_figures(form: str, postfix: PrivatePostfix) -> Iterator[Figure]:
    if reason := why_not():
        if os.environ.get("CI"):
            raise RuntimeError(reason)
        print(f"bench: nothing of central reporting: {reason}")
        return
    with ThreadPoolExecutor(len(WAYS)) as threads:  # most of that time is back-off
        for figures in threads.map(lambda way: list(ordeal(form, postfix, way)), WAYS):
            yield from figures
    for way in WAYS:
        yield speed(form, way)
    yield growth(form)


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="postkeel-bench-") as directory:
        yield Path(directory)


def ordeal(form: str, postfix: PrivatePostfix, way: Way) -> Iterator[Figure]:
    task = ORDEALS[form]
    began = time.monotonic()
    with scratch() as place:
        found, faults = suffered(task, postfix, place, way)
    beside = (
        f"{task.reports} reports, {faults.total()} kills and cuts in "
        f"{time.monotonic() - began:.0f} s; {found.doubles} doubles before they were dropped"
    )
    yield Figure(f"lost, {way.name}", found.lost, 0, "reports", beside)
    yield Figure(f"doubles left, {way.name}", found.left, 0, "reports")


def speed(form: str, way: Way) -> Figure:
    """The better of two runs, where the first one misses: what disturbs makes it slower only."""
    first = sped(SPEED_REPORTS[form], way)
    if first.met:
        return first
    return max(first, sped(SPEED_REPORTS[form], way), key=lambda one: one.value)


def sped(count: int, way: Way) -> Figure:
    with scratch() as place, way.collector(place / "collector") as collector:
        floor = count / bare_seconds(collector, way.transport, count)
        options = central_options(collector, collector.url(way.transport), spool_reports=4 * count)
        with driver(place / "state", options, count) as process:
            began = begin(process)
            wait_for_lines(collector, 2 * count)
            ours = count / (time.monotonic() - began)
            put = count / said(process)["put"]
    beside = f"put at {put:,.0f}/s; a sender that keeps nothing {floor:,.0f}/s"
    return Figure(f"spooled and sent, {way.name}", ours, LEAST_SPEED, "reports/s", beside, True)


def bare_seconds(collector: Collector, transport: str, count: int) -> float:
    """What the same messages take that are made already, and not kept."""
    header = Header(facility=2, host="mx1.example.org", process=1, enterprise=32473)
    messages = [rfc5424(message_of(numbered(one)), header) for one in range(count)]
    began = time.monotonic()
    send(collector, transport, messages)
    wait_for_lines(collector, count)
    return time.monotonic() - began


def growth(form: str) -> Figure:
    count = MEMORY_REPORTS[form]
    way = WAYS[0]
    with scratch() as place, way.collector(place / "collector") as collector:
        options = central_options(collector, collector.url(way.transport))
        with driver(place / "state", options, count) as process:
            begin(process)
            grown = said(process)["grown"]
        spool = sum(one.stat().st_size for one in (place / "state").rglob("*")) / 2**20
    beside = f"from the first tenth on; the spool's files end at {spool:.1f} MiB"
    return Figure(f"memory grown by {count:,} reports", grown, MOST_GROWTH, "MiB", beside)


@contextmanager
def driver(state: Path, options: dict[str, Any], count: int) -> Iterator[subprocess.Popen[bytes]]:
    state.mkdir()
    command = [sys.executable, str(DRIVER), str(state), json.dumps(options), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def begin(process: subprocess.Popen[bytes]) -> float:
    """When it began."""
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    process.stdin.write(b"go\n")
    process.stdin.flush()
    return time.monotonic()


def said(process: subprocess.Popen[bytes]) -> dict[str, float]:
    assert process.stdout
    answer: dict[str, float] = json.loads(process.stdout.readline())
    return answer


def wait_for_lines(collector: Collector, count: int) -> None:
    """Wait until the collector has written so many lines; looks at what is new only."""
    positions: dict[Path, int] = {}
    seen = 0

    def enough() -> bool:
        nonlocal seen
        for path in collector.out.iterdir():
            with path.open("rb") as file:
                file.seek(positions.get(path, 0))
                seen += file.read().count(b"\n")
                positions[path] = file.tell()
        time.sleep(0.02)
        return seen >= count

    until(enough, PATIENCE)
