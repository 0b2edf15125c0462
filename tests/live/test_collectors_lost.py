"""Nothing is lost through kills of collector and agent and cut connections, and no double left.

The figure itself, with 10,000 reports and twenty of each fault, is `make bench BENCH=full`.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import collectors
from numbered_reports import WAYS, Ordeal, suffered

pytestmark = [pytest.mark.live, pytest.mark.slow]
ORDEAL = Ordeal(reports=600, faults=2, seconds=90)


@pytest.fixture(scope="module")
def outcomes(shared_postfix, tmp_path_factory):
    """What became of it on each way. Side by side, for most of the time is back-off."""
    if reason := collectors.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with ThreadPoolExecutor(len(WAYS)) as threads:
        running = {
            way: threads.submit(suffered, ORDEAL, shared_postfix, tmp_path_factory.mktemp("w"), way)
            for way in WAYS
        }
    return {way: one.result() for way, one in running.items()}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_report_arrives_and_is_counted_once(outcomes, way):
    found, faults = outcomes[way]
    assert faults == {"kill_collector": 2, "kill_agent": 2, "cut_connection": 2}
    assert found.lost == 0
    assert found.left == 0
    assert found.missing == 0
    assert found.lines >= ORDEAL.reports + found.doubles
