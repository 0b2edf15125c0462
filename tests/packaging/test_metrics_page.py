"""postkeel-metrics(5), held against the metrics in both directions."""

from __future__ import annotations

import re
from pathlib import Path

from man_page import Page
from postkeel.core.configuration import Configuration
from postkeel.reporting.metrics import (
    DIRECTIONS,
    METRICS,
    OUTCOMES,
    PROTOCOLS,
    SEVERITIES,
)
from postkeel.shell.metrics_file import metrics_path
from postkeel.shell.pulse import WRITTEN_APART_SECONDS, WRITTEN_AT_LEAST_SECONDS

SOURCE = Path(__file__).resolve().parents[2] / "packaging/man/postkeel-metrics.5"
PAGE = Page(SOURCE)
VALUES = {
    "outcome": OUTCOMES,
    "severity": SEVERITIES,
    "direction": DIRECTIONS,
    "protocol": PROTOCOLS,
}


def test_each_metric_is_described_in_its_own_words():
    described = [(one.after("Li"), one.after("Va"), one.body[0]) for one in PAGE.items("METRICS")]
    assert described == [((one.name,), one.labels, one.help) for one in METRICS]


def test_each_label_with_its_values():
    described = {one.after("Va")[0]: one.text for one in PAGE.items("LABELS")}
    assert described.keys() == {label for one in METRICS for label in one.labels}
    for label, values in VALUES.items():
        assert tuple(re.split(r", | or ", described[label].rstrip("."))) == values


def test_where_and_how_often_it_is_written():
    path = metrics_path(Configuration().monitor_runtime_directory)
    files = [one.head[1] for one in PAGE.items("FILES")]
    assert path in files
    text = SOURCE.read_text()
    assert f"at most every {WRITTEN_APART_SECONDS:g} seconds" in text
    assert f"at least every {WRITTEN_AT_LEAST_SECONDS:g} seconds" in text
