"""The example alert rules and the board: they name metrics and labels that exist, and fire."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from postkeel.reporting.metrics import (
    DIRECTIONS,
    METRICS,
    OUTCOMES,
    PROTOCOLS,
    SEVERITIES,
    render,
)
from postkeel_plugins.tls_log_monitor.rules import RULES as LOG_RULES
from promtool import WHY_NOT, judged, promtool

TOP = Path(__file__).resolve().parents[2]
RULES = TOP / "conf/prometheus/postkeel.rules.yml"
BOARD = TOP / "conf/grafana/postkeel.json"
CASES = Path(__file__).with_name("alerts.yml")
OF_PROMETHEUS = {"instance", "alertname", "alertstate"}
KNOWN = {one.name: one for one in METRICS}
VALUES = {
    "outcome": OUTCOMES,
    "severity": SEVERITIES,
    "protocol": PROTOCOLS,
    "direction": DIRECTIONS,
    "rule": tuple(one.id for one in LOG_RULES),
}
needs_promtool = pytest.mark.skipif(promtool() is None, reason=WHY_NOT)


def panels():
    return [one for one in json.loads(BOARD.read_text())["panels"] if one["type"] != "row"]


def board_queries():
    return [target["expr"] for one in panels() for target in one["targets"]]


def rule_queries():
    text = RULES.read_text()
    found = re.findall(r"^ +expr: (?!>-)(.+)$", text, re.MULTILINE)
    folded = re.findall(r"^ +expr: >-\n((?: {10}.+\n)+)", text, re.MULTILINE)
    return [*found, *(" ".join(one.split()) for one in folded)]


def of_file(text):
    """Only what stands in queries and templates; the rest of a file is prose."""
    return re.findall(r"postfix_tls_\w+", text)


@pytest.mark.parametrize("query", [*rule_queries(), *board_queries()])
def test_a_query_names_what_exists(query):
    names = of_file(query)
    assert names
    assert set(names) <= KNOWN.keys()
    for name, braces in re.findall(r"(postfix_tls_\w+)\{([^}]*)\}", query):
        for label, comparison, value in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', braces):
            assert label in {*KNOWN[name].labels, *OF_PROMETHEUS}, name
            if label in VALUES:
                values = value.split("|") if "~" in comparison else [value]
                assert set(values) <= {*VALUES[label]}, label
    for names in re.findall(r"(?:by|on) \(([^)]*)\)", query):
        labels = {label for one in of_file(query) for label in KNOWN[one].labels}
        assert {one.strip() for one in names.split(",")} <= labels | OF_PROMETHEUS


def test_every_alert_is_told_and_tested():
    text = RULES.read_text()
    alerts = re.findall(r"- alert: (\w+)\n((?:(?! +- alert).*\n)+)", text)
    assert len(alerts) == len(rule_queries()) == 12
    for name, body in alerts:
        assert re.search(r"\n +summary: \"\{\{ \$labels\.instance \}\}: .{20}", body), name
        assert re.search(r"\n +description: >-\n {12}\S.{40}", body), name
        assert re.search(r"severity: (critical|warning)\n", body), name
        quiet = len(re.findall(rf"alertname: {name}\b", CASES.read_text()))
        fires = f'alertname="{name}"' in CASES.read_text()
        assert quiet, name
        assert fires, name
    wanted = {"Silent", "Contested", "NotGuarded", "NotCompliant", "HeldLong", "ReportsWait"}
    assert all(any(one in name for name, _ in alerts) for one in wanted)


@needs_promtool
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(tmp_path):
    for one in (RULES, CASES):
        shutil.copy(one, tmp_path)
    told = judged("check", "rules", str(tmp_path / RULES.name))
    assert told.returncode == 0, told.stderr
    assert "12 rules found" in told.stdout
    told = judged("test", "rules", str(tmp_path / CASES.name))
    assert told.returncode == 0, told.stderr + told.stdout


@needs_promtool
def test_prometheus_takes_every_query_of_the_board(tmp_path):
    rules = [
        {"record": f"board:query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(board_queries())
    ]
    file = tmp_path / "board.yml"
    file.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    told = judged("check", "rules", str(file))
    assert told.returncode == 0, told.stderr
    assert f"{len(rules)} rules found" in told.stdout


@needs_promtool
def test_prometheus_takes_the_metrics_and_finds_no_fault():
    values = {
        "reporter": ("central",),
        "version": ('1"\\',),
        "config_directory": ("/etc/post\nfix",),
    }
    text = render(
        {
            one.name: {tuple({**VALUES, **values}[name][0] for name in one.labels): 7.25}
            for one in METRICS
        }
    )
    told = judged("check", "metrics", given=text)
    assert (told.returncode, told.stderr) == (0, ""), told.stdout


def test_the_board_covers_the_metrics_and_nothing_lies_on_another_panel():
    shown = {name for query in board_queries() for name in of_file(query)}
    assert KNOWN.keys() - shown == {"postfix_tls_postkeel_info"}  # names the hosts to choose from
    assert "label_values(postfix_tls_postkeel_info, instance)" in BOARD.read_text()
    board = json.loads(BOARD.read_text())
    numbers = [one["id"] for one in board["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = set()
    for one in board["panels"]:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, one["title"]
        taken |= cells


def test_every_panel_says_what_it_shows():
    for one in panels():
        assert one["title"]
        assert one["description"].endswith(".")
        for target in one["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert "$host" in target["expr"]
