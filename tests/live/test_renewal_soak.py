"""Renewals in a row while clients never stop: none of them meets a failed handshake."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from guarded import Guarded, guarded, until
from lineages import Issuer, Lineage
from smtp_load import HOST, Load, smtp_load

pytestmark = pytest.mark.live

DEADLINE = 30
"""A renewal is to be served within this many seconds even on a machine that does much else."""

MOST_GROWN = 4096
"""KiB that the agent may be larger after the last renewal than after the tenth."""

SETTLED = 10

LONG = pytest.mark.skipif("POSTKEEL_SOAK" not in os.environ, reason="one tier does, in 200 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """One renewal, by time.monotonic(): when its last file was there, and the next one began."""

    leaf: str
    written: float
    over: float


def resident(agent: Guarded) -> int:
    """KiB of memory that are the process's own, or that it has touched."""
    rollup = Path(f"/proc/{agent.pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def renewed(number: int, lineage: Lineage, agent: Guarded, load: Load) -> Renewal:
    """One renewal, written as certbot does, that has become live and been reported."""
    leaf = lineage.renew(kind="rsa" if number % 4 in (1, 2) else "ecdsa", new_key=number % 2 == 1)
    written = time.monotonic()
    until(lambda: load.served_at(leaf), DEADLINE)
    assert " fixed 1: " in agent.report_with("certificate-joined", DEADLINE)
    return Renewal(leaf=leaf, written=written, over=time.monotonic())


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=[pytest.mark.slow, LONG])])
def test_renewals_under_load(start_postfix, tmp_path, count):
    faulthandler.cancel_dump_traceback_later()  # each step has a deadline of its own
    authority = Issuer(tmp_path)
    lineage = Lineage(tmp_path / "letsencrypt", HOST, authority)
    first = lineage.renew()
    postfix = start_postfix(
        certificates=(),
        parameters={
            "smtpd_tls_security_level": "may",
            "local_transport": "discard:read",
            "local_recipient_maps": "",
        },
    )
    more = (
        "[contest]\ncorrections = 100000\n"
        f'[certificates]\nroots = "{authority.roots}"\nresolver = ""\n'
        f'lineages = ["{lineage.live.parent}"]\n'
    )
    with guarded(postfix, more=more, catch=True) as agent:
        agent.report_with("certificate-offered", DEADLINE)  # for main.cf names none
        with smtp_load(postfix.address, roots=authority.roots) as load:
            until(lambda: load.served_at(first), DEADLINE)
            renewals, sizes = [], []
            for number in range(count):
                renewals.append(renewed(number, lineage, agent, load))
                sizes.append(resident(agent))
    assert load.faults() == []
    lags = [load.live_since(one.leaf, one.written, one.over) - one.written for one in renewals]
    told = distribution(lags, sizes, len(load.connections()))
    sys.stdout.write(f"{told}\n")
    assert sizes[-1] - sizes[SETTLED] < MOST_GROWN, told


def distribution(lags: list[float], sizes: list[int], connections: int) -> str:
    """What the soak has shown, in a line."""
    ordered = sorted(lags)
    at = {part: ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99)}
    return (
        f"{len(lags)} renewals, {connections} connections: live after p50 {at[0.5] * 1000:.0f} ms,"
        f" p99 {at[0.99] * 1000:.0f} ms, at most {ordered[-1] * 1000:.0f} ms;"
        f" agent {sizes[0] / 1024:.1f} MiB at first, {sizes[-1] / 1024:.1f} MiB at the end"
    )
