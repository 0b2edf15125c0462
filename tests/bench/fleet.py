"""The figures of `postkeel fleet`: lines a second beside json.loads, memory, and the truth.

What is missing and double is what the lines were made with.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figure import Figure

from fleet_lines import Sender, octets
from guarded import POSTKEEL

LINES = {"short": 200_000, "full": 2_000_000}
RUNS = {"short": 3, "full": 5}
HOSTS = 30
DAYS = 3
EVERY_LOST, EVERY_DOUBLE = 997, 101
# Peak memory is a child's, which would count a large parent before it became another program.
MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
assert done.returncode in (0, 2), done
told = json.loads(done.stdout)
children = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"lines": told["lines"], "missing": told["unexplained"], "doubles":
    told["doubles"], "faulty": told["faulty"]["lines"], "kib": children.ru_maxrss,
    "seconds": children.ru_utime + children.ru_stime}))
"""


def fleet_figures(form: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="postkeel-bench-") as directory:
        path = Path(directory) / "fleet.jsonl"
        truth = write(path, LINES[form])
        runs = [measured(path) for _ in range(RUNS[form])]
        floor = statistics.median(parsed(path) for _ in range(RUNS[form]))
        few = Path(directory) / "few.jsonl"
        write(few, LINES[form] // 10)
        small = measured(few)
    speed = truth["lines"] / statistics.median(one["seconds"] for one in runs)
    beside = f"json.loads alone {truth['lines'] / floor:,.0f}"
    yield Figure("fleet, lines a second", speed, 80_000, "", beside, at_least=True)
    peak = max(one["kib"] for one in runs) / 1024
    grown = peak - small["kib"] / 1024
    beside = f"{peak:.1f} MiB at most"
    yield Figure("fleet, memory for ten times the lines", grown, 2, "MiB more", beside)
    wrong = sum(one[name] != count for one in runs for name, count in truth.items())
    beside = ", ".join(f"{count:,} {name}" for name, count in truth.items())
    yield Figure("fleet, counts that are not the truth", wrong, 0, "", beside)


def write(path: Path, lines: int) -> dict[str, int]:
    """Days of a fleet, half of it heartbeats; what there is of lines, losses and doubles."""
    senders = [Sender(f"mx{one}.example.org", f"{one:08x}") for one in range(HOSTS)]
    truth = {"lines": 0, "missing": 0, "doubles": 0, "faulty": 0}
    with path.open("wb") as file:
        while truth["lines"] < lines:
            number = truth["lines"]
            sender = senders[number % HOSTS]
            hours = DAYS * 24 * number / lines
            if number % EVERY_LOST == EVERY_LOST - 1 and sender.seq > 0 and number < lines * 0.9:
                sender.seq += 1
                truth["missing"] += 1
            made = sender.beat(hours) if number // HOSTS % 2 else _corrected(sender, hours)
            copies = 1 + (number % EVERY_DOUBLE == 0)
            file.write(octets(made) * copies)
            truth["lines"] += copies
            truth["doubles"] += copies - 1
    return truth


def _corrected(sender: Sender, hours: float) -> dict[str, Any]:
    told = {"cause": "/etc/postfix/main.cf", "seconds": "0.412", "wanted": ">=TLSv1.2"}
    told |= {"parameter": "smtpd_tls_protocols", "where": "main.cf:12", "effective": ">=TLSv1"}
    return sender.drift("fixed", "smtpd-protocols", "smtpd-level", hours=hours, **told)


def measured(path: Path) -> dict[str, Any]:
    """What the command says and took: seconds of the processor, KiB at most."""
    words = [POSTKEEL, "fleet", "--format", "json", "--at", "2026-12-31", str(path)]
    run = [sys.executable, "-S", "-c", MEASURED, *words]
    answer = subprocess.run(run, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def parsed(path: Path) -> float:
    """Seconds of the processor in which json.loads alone reads the lines."""
    began = _spent()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    return _spent() - began


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    for each in fleet_figures(sys.argv[1] if len(sys.argv) > 1 else "short"):
        print(each, flush=True)
