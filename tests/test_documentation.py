"""What the documents say, held against the code: a failure names what is missing."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import tomli

from postkeel import contract
from postkeel.cli.dispatch import COMMANDS
from postkeel.core import configuration as words
from postkeel.core.configuration import Configuration, Contest, read_configuration
from postkeel.core.document import Document
from postkeel.core.model import Mode, Outcome
from postkeel_plugins import config_enforcer

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
    "contest": tuple(words._CONTEST),
    "instance": tuple(words._INSTANCE),
    "waiver": tuple(words._WAIVER),
}


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
        "contest": data.get("contest", {}),
        "instance": next(iter(data.get("instance", {}).values()), {}),
        "waiver": next(iter(data.get("waiver", [])), {}),
    }[table]
    left_out = {"parameter"} if table == "waiver" else set()  # told of in the words above it
    assert set(KEYS[table]) - set(within) - left_out == set()
    assert all(one in SHIPPED for one in left_out)


def test_the_values_shown_are_the_defaults():
    shown = read_configuration([document(uncommented())])
    default = Configuration()
    plain = [
        one.name
        for one in fields(Configuration)
        if one.name not in {"instances", "plugins", "waivers", "documents", "contest"}
    ]
    assert {one: getattr(shown, one) for one in plain} == {
        one: getattr(default, one) for one in plain
    }
    assert shown.contest == Contest()
    card = config_enforcer.keel_card()
    defaults = {one.name: one.default for one in card.options}
    given = shown.plugins["config_enforcer"]
    assert given == {name: defaults[name] for name in given}


def test_the_example_waiver_names_a_rule_that_is():
    profile = tomli.loads((ROOT / "conf/profiles/intermediate.toml").read_text())
    shown = read_configuration([document(uncommented())])
    assert [one.rule for one in shown.waivers if one.rule not in profile["rule"]] == []


def test_the_design_names_every_hook():
    assert undocumented(DESIGN, HOOKS) == []


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
