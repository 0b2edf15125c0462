"""What the documents say, held against the code: a failure names what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import tomli

import postkeel.core
import postkeel.shell
import postkeel_plugins
from postkeel import contract
from postkeel.cli.commands import COMMANDS
from postkeel.conformance import DIRECTORY, broken_promises, sample_event
from postkeel.core import configuration as words
from postkeel.core.configuration import (
    CertificateSources,
    Configuration,
    Contest,
    Reporting,
    read_configuration,
)
from postkeel.core.document import Document
from postkeel.core.model import EventKind, Mode, Outcome
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell.history import KEPT_FOR, KEPT_REPORTS
from postkeel.shell.records import RecordStore
from postkeel_plugins import central, certificate_watcher, config_enforcer, tls_log_monitor
from postkeel_plugins.reporters import syslog
from postkeel_plugins.tls_log_monitor import rates, sessions
from postkeel_plugins.tls_log_monitor.rules import RULES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DESIGN = (ROOT / "agent" / "DESIGN.md").read_text()
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
SHIPPED = (ROOT / "conf" / "postkeel.toml").read_text()
PROFILES = [one.stem for one in sorted((ROOT / "conf" / "profiles").glob("*.toml"))]
HOOKS = [name for name in contract.__all__ if name.startswith("keel_")]
DEPENDENCIES = [re.split(r"[<>=!~ ]", one)[0] for one in PROJECT["dependencies"]]
KEYS = {
    "": tuple(words._TOP),
    "certificates": tuple(words._CERTIFICATES),
    "contest": tuple(words._CONTEST),
    "instance": tuple(words._INSTANCE),
    "reporting": tuple(words._REPORTING),
    "waiver": tuple(words._WAIVER),
}


SINGLE = ("certificates", "contest", "reporting")


def first_cells(text):
    """What stands in the first column of any table, word by word."""
    rows = re.findall(r"(?m)^\| ([^|]+) \|", text)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def code_of(text):
    """What stands in code blocks and back quotes, a line each."""
    found = re.findall(r"(?s)```[a-z]*\n(.*?)```|`([^`\n]+)`", text)
    return "\n".join(block or span for block, span in found)


def undocumented(text, names):
    """The names that the text's code does not have."""
    spans = code_of(text)
    return [one for one in names if not re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", spans)]


def test_the_readme_s_tables_have_every_command_and_profile():
    cells = first_cells(README)
    assert [one.name for one in COMMANDS if one.name not in cells] == []
    assert [one for one in PROFILES if one not in cells] == []


def test_the_readme_shows_no_command_and_option_that_is_not():
    known = {one.name for one in COMMANDS}
    options = {name for one in COMMANDS for argument in one.arguments for name in argument.names}
    options |= {
        "-c",
        "-V",
        "--config",
        "--profile",
        "--format",
        "--no-color",
        "--version",
        "--help",
    }
    shown = re.findall(r"(?m)^postkeel ([a-z][a-z-]*)((?: [^#\n]+)?)", code_of(README))
    assert shown
    assert [one for one, _ in shown if one not in known] == []
    used = {word for _, rest in shown for word in rest.split() if re.match(r"-{1,2}[a-z]", word)}
    assert used - options == set()


@pytest.mark.parametrize("name", ["README.md", "agent/DESIGN.md"])
def test_no_place_is_left_to_be_filled(name):
    lines = (ROOT / name).read_text().splitlines()
    assert [one for one in lines if re.fullmatch(r"[A-Z]{5,}", one) or "TODO" in one] == []


def test_exit_statuses_are_in_the_readme_and_the_help():
    words_ = "0 all as wanted, 2 findings or changes pending, 1 error"
    assert words_ in README
    assert "2 findings or changes pending" in (ROOT / "agent/postkeel/cli/dispatch.py").read_text()


def uncommented():
    """The shipped configuration as somebody has it who takes every `#` from its keys away."""
    return re.sub(r"(?m)^#(?=[a-z_]+ = |\[)", "", SHIPPED)


def document(text):
    return Document(file="postkeel.toml", text=text, data=tomli.loads(text))


def test_the_shipped_configuration_says_nothing():
    assert tomli.loads(SHIPPED) == {}
    assert read_configuration([document(SHIPPED)]).mode is Mode.ENFORCE


@pytest.mark.parametrize("table", KEYS)
def test_the_shipped_configuration_names_every_key(table):
    data = tomli.loads(uncommented())
    within = {
        "": data,
        "certificates": data.get("certificates", {}),
        "contest": data.get("contest", {}),
        "reporting": data.get("reporting", {}),
        "instance": next(iter(data.get("instance", {}).values()), {}),
        "waiver": next(iter(data.get("waiver", [])), {}),
    }[table]
    assert set(KEYS[table]) - set(within) == set()


def test_the_values_shown_are_the_defaults():
    shown = read_configuration([document(uncommented())])
    default = Configuration()
    plain = [
        one.name
        for one in fields(Configuration)
        if one.name not in {"instances", "plugins", "waivers", "documents", *SINGLE}
    ]
    assert {one: getattr(shown, one) for one in plain} == {
        one: getattr(default, one) for one in plain
    }
    assert (shown.contest, shown.reporting) == (Contest(), Reporting())
    assert shown.certificates == CertificateSources()
    for plugin in (
        central.reporter,
        certificate_watcher,
        config_enforcer,
        syslog,
        tls_log_monitor,
    ):
        card = plugin.keel_card()
        defaults = {
            one.name: list(one.default) if isinstance(one.default, tuple) else one.default
            for one in card.options
        }
        assert shown.plugins[card.name] == defaults


def test_the_example_waiver_names_a_rule_that_is():
    profile = tomli.loads((ROOT / "conf/profiles/intermediate.toml").read_text())
    shown = read_configuration([document(uncommented())])
    assert [one.rule for one in shown.waivers if one.rule not in profile["rule"]] == []


def test_the_design_names_every_hook():
    assert undocumented(DESIGN, HOOKS) == []


def test_the_design_names_what_a_monitor_may_ask_for_and_give():
    words_ = ["Finding", "LogLines", "Table", "Records", "CheckNow", "LookAgain", "Observation"]
    words_ += ["Probe", "Mailboxes"]
    assert [one for one in words_ if one not in contract.__all__] == []
    assert undocumented(DESIGN, words_) == []
    kinds = set(re.findall(r'"([a-z]+)" \(', contract.Need.__doc__))
    kinds |= set(re.findall(r'"([a-z]+)" \(`', contract.Need.__doc__))
    live = {"certificates", "served", "tlsa"}
    assert kinds == {"postfix", "profile", "handshakes", "state", "records", "secret", *live}
    assert undocumented(DESIGN.partition("| fact |")[2], kinds) == []


def test_the_design_names_every_event():
    assert f"| event | {', '.join(one.value for one in EventKind)} |" in DESIGN


def test_the_files_that_the_design_names_are_there():
    inside = ROOT / "agent/postkeel"
    named = re.findall(r"[\w/*]+\.py\b", code_of(DESIGN))
    assert {"monitoring.py", "log_*.py", "records.py"} <= {one.rpartition("/")[2] for one in named}
    rooms = [inside, *(inside / room for room in ("core", "shell"))]
    rooms.append(ROOT)
    assert [one for one in named if not any(any(room.glob(one)) for room in rooms)] == []


def test_the_faults_are_shown_by_tests_that_are_there():
    text = (ROOT / "agent/FAULTS.md").read_text()
    tests = "".join(one.read_text() for one in ROOT.glob("tests/**/test_*.py"))
    known = set(re.findall(r"(?m)^ *def (test_\w+)", tests))
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]
    shown = [re.findall(r"`([^`]+)`", row[-1]) for row in rows if row[0] != "injected"]
    named = [name for names in shown for name in names]
    assert len(named) > 60
    assert [
        one
        for one in named
        if not (one in known or (one.startswith("tests/") and (ROOT / one).exists()))
    ] == []


def test_the_packages_say_what_is_in_them():
    plugins = ROOT / "plugins/postkeel_plugins"
    built_in = [one.parent.name for one in plugins.glob("*/__init__.py")]
    lines = postkeel_plugins.__doc__.splitlines()
    assert sorted(one.split()[0] for one in lines if one.startswith("    ")) == sorted(built_in)
    named = {
        name.strip(" ,")
        for line in postkeel.shell.__doc__.splitlines()
        if line.startswith("    ")
        for name in re.split(r"  +", line.strip())[0].split(",")
    }
    assert [one for one in named if not (ROOT / f"agent/postkeel/shell/{one}.py").exists()] == []
    assert "records" in named
    assert "records" in postkeel.core.__doc__


MONITORED = README.partition("## What the mail travels over")[2].partition("\n## ")[0]
OPTIONS = {one.name: one for one in tls_log_monitor.keel_card().options}


def rows(text, first):
    """The rows of the table that begins with this column, without its header."""
    table = re.search(rf"(?m)^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table[1].splitlines()]


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_the_readme_names_every_alarm_and_parameters_that_are():
    table = rows(MONITORED, "rule")
    assert sorted(name for row in table for name in quoted(row[0])) == sorted(
        one.id for one in RULES
    )
    defaults = (ROOT / "tests/cases/releases/3.7.11.defaults").read_text()
    known = {line.partition(" =")[0] for line in defaults.splitlines()}
    named = {name for row in table for name in quoted(row[2])}
    assert named
    assert named - known == set()


def test_the_readme_says_when_an_alarm_is_one():
    steady = f"{sessions.STEADY_CONNECTIONS} connections or more on {sessions.STEADY_DAYS} days"
    assert steady in MONITORED
    often = f"over {rates.ALWAYS_TOLERATED}, and {rates.TIMES_USUAL} times the usual"
    assert often in MONITORED


def test_the_readme_names_every_option_of_the_monitor_and_where_things_are_kept():
    assert undocumented(MONITORED, OPTIONS) == []
    assert f"`kept_days`, {OPTIONS['kept_days'].default} days by default" in MONITORED
    assert f"{KEPT_FOR.days} days, {KEPT_REPORTS:,} reports at most" in MONITORED
    place = f"in `{Configuration().monitor_state_directory}`"
    kept = {name for row in rows(MONITORED, place) for name in quoted(row[0])}
    assert kept == {"records.sqlite3", "history.sqlite3", "secret"}
    values = re.findall(r'"(\w+)"', OPTIONS["peers"].help)
    assert sorted(values) == ["domain", "none", "pseudonym"]
    assert [one for one in values if f'"{one}"' not in SHIPPED] == []


def test_the_shipped_configuration_names_every_option_of_the_monitor():
    assert tomli.loads(uncommented())["plugins"]["tls_log_monitor"].keys() == OPTIONS.keys()


def test_what_the_readme_shows_of_a_log_is_what_comes_out():
    sample = next(
        block for block in re.findall(r"(?s)```\n(.*?)```", MONITORED) if "tests/cases" in block
    )
    command, *parts = re.split(r"(?m)^\.\.\.$\n?", sample)
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert len(parts) > 3
    at = 0
    for part in parts:
        at = done.stdout.find(part, at)
        assert at >= 0, part


@pytest.fixture
def shown_plugin():
    """The plugin that the README shows, as it stands there."""
    (code,) = re.findall(r"(?s)```python\n(.*?)```", README)
    module = ModuleType("refusals")
    exec(compile(code, "README.md", "exec"), module.__dict__)  # noqa: S102  our own document
    return module


def test_the_plugin_in_the_readme_keeps_the_contract(shown_plugin):
    assert broken_promises(shown_plugin, "refusals") == []


def test_the_plugin_in_the_readme_counts_what_it_says(shown_plugin, tmp_path):
    configuration = Configuration()
    found = Found(name="refusals", source="README.md", load=lambda: shown_plugin)
    (loaded,) = Registry([found], configuration).plugins
    text = (
        "2026-11-23T12:00:00+00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from a[192.0.2.1]\n"
        "Nov  3 12:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from b[192.0.2.2]\n"
        "Nov  3 12:00:00 mx postfix/smtpd[7]: warning: x postfix/smtpd[7]: NOQUEUE: reject: y\n"
        "Nov  3 12:00:00 mx other[7]: postfix/smtpd[7]: NOQUEUE: reject: z\n"
    )
    batch = contract.LogBatch(source="/var/log/mail.log", text=text.encode())
    event = sample_event(EventKind.LOG_LINES, batch)
    registry = Registry([found], configuration)
    (records,) = registry.observe(event, DIRECTORY, {}, [])
    with RecordStore(str(tmp_path)) as store:
        for _ in range(2):
            tables = loaded.card.tables
            store.commit("refusals", DIRECTORY, tables, records, now=event.time)
        assert list(store.rows("refusals", tables[0])) == [
            (int(event.time.timestamp()), "smtpd", 4)
        ]


def test_the_design_names_every_outcome_from_mild_to_bad():
    assert ", ".join(one.value for one in Outcome) in DESIGN


def test_the_design_says_what_each_dependency_is_for():
    rows = re.findall(r"(?m)^\| ([a-z][\w-]*) \| \S", DESIGN.partition("## Dependencies")[2])
    assert sorted(rows) == sorted(["package", *DEPENDENCIES])


def test_every_rule_explains_itself():
    for name in PROFILES:
        rules = tomli.loads((ROOT / "conf/profiles" / f"{name}.toml").read_text()).get("rule", {})
        # A rule that only changes another's keys need not say again why.
        new = {
            one: table
            for one, table in rules.items()
            if "comparison" in table and "parameters" in table
        }
        silent = [one for one, table in new.items() if not table.get("references")]
        assert silent == [], name
