"""The figures of the log monitor: whole files beside pflogsumm, and following a file.

Every count that is compared is the generator's own, see tests/bed/mail_log.py.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from figure import Figure
from following import following, lately

from guarded import POSTKEEL
from mail_log import Truth, write_log, write_strangers
from mail_log_mutations import mutations
from private_postfix import PrivatePostfix

LINES = 1_000_000
RUNS = {"short": 3, "full": 5}
MUTATED = {"short": 100_000, "full": 1_000_000}
STRANGERS = {"short": 100_000, "full": 1_000_000}
MOST_MEMORY = 48
# A child counts what its parent held before it became another program: a small parent, then.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

Key = tuple[Any, ...]


def log_figures(form: str, postfix: PrivatePostfix) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="postkeel-bench-") as directory:
        log = Path(directory) / "mail.log"
        truth = write_log(log, LINES, start=lately())
        yield from whole_file(log, truth, RUNS[form])
        yield strangers(log, STRANGERS[form])
        yield total(Path(directory) / "mutated", MUTATED[form])
    yield from following(form, postfix)


def whole_file(log: Path, truth: Truth, runs: int) -> Iterator[Figure]:
    ours = [POSTKEEL, "tls-log", str(log)]
    times: dict[str, list[float]] = {"postkeel": [], "pflogsumm": []}
    for _ in range(runs):
        times["pflogsumm"].append(taken(["pflogsumm", str(log)]))
        times["postkeel"].append(taken(ours))
    speeds = {name: truth.lines / statistics.median(those) for name, those in times.items()}
    beside = ", ".join(f"{name} {speed:,.0f} lines/s" for name, speed in speeds.items())
    ratio = speeds["postkeel"] / speeds["pflogsumm"]
    yield Figure("tls-log, whole file", ratio, 7, "x pflogsumm", beside, at_least=True)
    yield Figure("tls-log, peak memory", peak_memory(ours), MOST_MEMORY, "MiB")
    beside = f"{len(truth.connections):,} connection counts, {truth.lines:,} lines"
    yield Figure("tls-log, counts that are not the truth", differences(log, truth), 0, "", beside)


def taken(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def peak_memory(command: list[str]) -> float:
    """MiB that the process held at most."""
    run = [sys.executable, "-S", "-c", MEASURED, *command]
    answer = subprocess.run(run, capture_output=True, text=True, check=True)
    return int(answer.stdout) / 1024


def differences(log: Path, truth: Truth) -> int:
    """How many of the counts that the command tells are not the truth."""
    command = [POSTKEEL, "tls-log", "--format", "json", str(log)]
    answer = subprocess.run(command, capture_output=True, check=True)
    told = json.loads(answer.stdout)
    return sum(
        len(told_counts.items() ^ true_counts.items())
        for told_counts, true_counts in (
            ({"lines": told["lines"]}, {"lines": truth.lines}),
            (told_connections(told), true_connections(truth)),
            (told_failures(told), true_failures(truth)),
            (told_services(told), true_services(truth)),
        )
    )


def told_connections(told: dict[str, list[dict[str, object]]]) -> dict[Key, object]:
    names = ("direction", "service", "trust", "protocol", "cipher", "reused")
    return {tuple(one[name] for name in names): one["count"] for one in told["connections"]}


def true_connections(truth: Truth) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for (_, name, session, _), (connections, _) in truth.connections.items():
        direction, trust, protocol, cipher, *_, reused = session
        if protocol and connections:
            service = str(name).rpartition("/")[2]
            found[direction, service, trust, protocol, cipher, reused] += connections
    return found


def told_failures(told: dict[str, list[dict[str, object]]]) -> dict[Key, object]:
    return {(one["direction"], one["reason"]): one["count"] for one in told["failures"]}


def true_failures(truth: Truth) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for (_, _, direction, reason, _), count in truth.failures.items():
        found[direction, reason] += count
    return found


SERVICE = ("connections", "mails", "clear_connections", "clear_mails")


def told_services(told: dict[str, list[dict[str, object]]]) -> dict[Key, object]:
    return {
        (one["direction"], one["name"], count): one[count]
        for one in told["services"]
        for count in SERVICE
    }


def true_services(truth: Truth) -> dict[Key, object]:
    found: Counter[Key] = Counter()
    for (_, name, session, _), counts in truth.connections.items():
        direction, _, protocol, *_ = session
        for number, count in enumerate(counts):
            found[direction, name, SERVICE[number]] += count
            found[direction, name, SERVICE[number + 2]] += 0 if protocol else count
    return dict(found)


def strangers(log: Path, peers: int) -> Figure:
    """Peak memory with a log in which no client comes twice."""
    lines = write_strangers(log, peers)
    memory = peak_memory([POSTKEEL, "tls-log", str(log)])
    beside = f"{lines:,} lines"
    return Figure(f"tls-log, {peers:,} distinct peers", memory, MOST_MEMORY, "MiB", beside)


def total(log: Path, number: int) -> Figure:
    """How many mutated lines the reader could not read."""
    from postkeel.maillog.reader import Reader
    from postkeel.maillog.tally import Tally

    write_log(log, 5000)
    lines = mutations(log.read_bytes().split(b"\n"), number, seed=12)
    refused, tally = 0, Tally()
    reader = Reader(tally, now=datetime.now(UTC), zone=UTC)
    for line in lines:
        try:
            reader.read(line + b"\n")
        except Exception as error:  # noqa: BLE001  what is counted
            refused += 1
            print(f"{type(error).__name__}: {error}: {line[:200]!r}", file=sys.stderr)
    beside = f"of {number:,}, {tally.lines:,} read"
    return Figure("mutated lines that could not be read", refused, 0, "", beside)
