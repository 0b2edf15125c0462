"""The figures of `postkeel headers`: many messages of ten hops, and what they take of memory.

The floor is Python's own parser of headers over the same files, which unfolds fields and knows
nothing of what they mean.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from figure import Figure

from guarded import POSTKEEL

HOPS = 10
FEW, MANY = 2_000, 20_000
RUNS = {"short": 1, "full": 3}
SLOWEST = 20_000
MOST_GROWTH = 1.25
OWN = ("--own", ".example.org")
FLOOR = """
import os, sys
from email.parser import BytesHeaderParser
parser = BytesHeaderParser()
hops = 0
for name in os.scandir(sys.argv[1]):
    with open(name, "rb") as file:
        hops += len(parser.parse(file).get_all("Received"))
print(hops)
"""
# A child counts what its parent held before it became another program: a small parent, then.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
FORMS = (
    (
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
        "\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\n"
        "\t(No client certificate requested)\n"
        "\tby {by} (Postfix) with ESMTPS id {id}\n"
        "\tfor <b@example.org>; {at} (UTC)\n"
    ),
    (
        "\tby {by} with esmtps (TLS1.2) tls TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n"
        "\t(Exim 4.96) (envelope-from <a@example.net>) id {id}\n"
        "\tfor b@example.org; {at}\n"
    ),
    (
        "\tby {by} (8.17.1/8.17.1) with ESMTPS id {id}\n"
        "\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)\n"
        "\tfor <b@example.org>; {at}\n"
    ),
)


def header_figures(form: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="postkeel-bench-") as directory:
        few = write_maildir(Path(directory) / "few", FEW)
        many = write_maildir(Path(directory) / "many", MANY)
        yield from speed(many, RUNS[form])
        yield from memory(few, many)


def write_maildir(directory: Path, messages: int) -> Path:
    """No two messages and no two hops are the same."""
    for one in ("cur", "new", "tmp"):
        (directory / one).mkdir(parents=True)
    first = datetime(2026, 11, 1, tzinfo=UTC)
    for number in range(messages):
        text = message(number, first + timedelta(seconds=number))
        name = f"{1_793_000_000 + number}.M{number}P1.mx.example.org,S={len(text)}:2,S"
        (directory / "cur" / name).write_text(text)
    return directory


def message(number: int, sent: datetime) -> str:
    lines = []
    for hop in range(HOPS):
        name = f"h{hop}x{number % 977}.example.net"
        lines.append(f"Received: from {name} ({name} [192.0.2.{(number + hop) % 250}])\n")
        at = format_datetime(sent + timedelta(seconds=3 * (HOPS - hop)))
        by = "mx.example.org" if hop == 0 else f"h{hop - 1}x{number % 977}.example.net"
        # The host of one's own on top is a Postfix; the others are as the world is.
        form = FORMS[hop and (number + hop) % len(FORMS)]
        lines.append(form.format(by=by, at=at, id=f"{number:x}H{hop}"))
    return f"{''.join(lines)}From: a@example.net\nSubject: {number}\n\n{'text ' * 400}\n"


def speed(maildir: Path, runs: int) -> Iterator[Figure]:
    ours = [POSTKEEL, "headers", *OWN, str(maildir)]
    floor = [sys.executable, "-c", FLOOR, str(maildir / "cur")]
    told = subprocess.run(ours, capture_output=True, text=True, check=True).stdout
    if not told.startswith(f"{MANY:,} messages, {MANY * HOPS:,} hops"):
        raise SystemExit(f"not all of them: {told}")
    times: dict[str, list[float]] = {"postkeel": [], "email.parser": []}
    for _ in range(runs):
        times["email.parser"].append(taken(floor))
        times["postkeel"].append(taken(ours))
    rates = {name: MANY * 60 / statistics.median(those) for name, those in times.items()}
    beside = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    yield Figure(
        "headers of 10 hops, messages a minute",
        rates["postkeel"],
        SLOWEST,
        "",
        beside,
        at_least=True,
    )


def taken(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def memory(few: Path, many: Path) -> Iterator[Figure]:
    """Of a Maildir nothing grows but the list of its names."""
    for form in ("text", "json"):
        less, more = (peak_memory(form, one) for one in (few, many))
        beside = f"{less:.1f} MiB of {FEW:,}, {more:.1f} MiB of {MANY:,} messages"
        yield Figure(
            f"headers, memory of ten times as many, {form}", more / less, MOST_GROWTH, "x", beside
        )


def peak_memory(form: str, maildir: Path) -> float:
    """MiB that the process held at most."""
    command = [POSTKEEL, "headers", *OWN, "--format", form, str(maildir)]
    run = [sys.executable, "-S", "-c", MEASURED, *command]
    answer = subprocess.run(run, capture_output=True, text=True, check=True)
    return int(answer.stdout) / 1024
