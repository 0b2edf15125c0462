"""What a process takes while nothing happens."""

from __future__ import annotations

from pathlib import Path

SETTLED_SECONDS = 40
"""The smtpd processes that a proof has started leave when nobody needs them."""


def consumed(pid: int) -> tuple[int, int]:
    """(nanoseconds of CPU, times it went to sleep) of all threads of a process."""
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    cpu = sum(int((one / "schedstat").read_text().split()[0]) for one in threads)
    switches = sum(
        int(line.split()[1])
        for one in threads
        for line in (one / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
    return cpu, switches


def memory(pid: int) -> float:
    """Proportional set size in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)
