"""postkeel-plugin(7), held against the contract in both directions; its examples are run."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from dataclasses import fields, is_dataclass
from enum import EnumMeta
from pathlib import Path
from types import ModuleType

import pytest
import tomli

from man_page import Page
from postkeel import contract, registry
from postkeel.conformance import DIRECTORY, sample_event, sample_facts
from postkeel.core.configuration import Configuration
from postkeel.discovery import GROUP, Found
from postkeel.registry import Registry

ROOT = Path(__file__).parent.parent.parent
PAGE = Page(ROOT / "packaging/man/postkeel-plugin.7")
HOOKS = [one for one in contract.__all__ if one.startswith("keel_")]


def described(name):
    """The members of a value as the page should list them."""
    value = getattr(contract, name)
    if isinstance(value, EnumMeta):
        return [one.name for one in value]
    return [one.name for one in fields(value)] if is_dataclass(value) else []


def test_every_hook_with_its_arguments():
    shown = {one.head[1]: list(one.head[2:]) for one in PAGE.items("HOOKS")}
    known = {one: list(inspect.signature(getattr(contract, one)).parameters) for one in HOOKS}
    assert shown == known


def test_which_hooks_may_do_io_and_for_how_long():
    items = {one.head[1]: one.text for one in PAGE.items("HOOKS")}
    for name, text in items.items():
        assert ("No I/O." in text) != ("May do I/O" in text)
        assert ("May do I/O" in text) == ("May do I/O" in getattr(contract, name).__doc__)
    assert f"the deadline is {registry.GATHER_SECONDS:g} seconds" in items["keel_gather"]
    assert f"the deadline is {registry.DELIVER_SECONDS:g} seconds" in items["keel_deliver"]
    assert f"After {registry.QUARANTINE_AFTER} failures in a row" in PAGE.text


def test_every_value_with_its_members():
    items = [one for one in PAGE.items("VALUES") if one.head[0] == "Vt"]
    shown = {one.head[1]: [*one.after("Va"), *one.after("Dv")] for one in items}
    values = set(contract.__all__) - set(HOOKS) - set(functions())
    assert shown == {name: described(name) for name in values}


def functions():
    return [one.head[1] for one in PAGE.items("Functions")]


def test_the_functions():
    assert functions() == ["hookimpl", "hookspec", "frozen", "one_line"]


def test_the_facts_that_the_agent_answers():
    kinds = set(re.findall(r'"([a-z]+)" \(', contract.Need.__doc__))
    (need,) = [one for one in PAGE.items("VALUES") if one.head[1] == "Need"]
    assert kinds
    assert [one for one in kinds if not re.search(rf"\b{one}\b", need.text)] == []


def test_how_a_plugin_is_found():
    (entry,) = PAGE.literals("Where plugins come from")
    assert list(tomli.loads(entry)["project"]["entry-points"]) == [GROUP]


def source(nth):
    return PAGE.literals("EXAMPLES")[nth]


@pytest.fixture
def plugin(monkeypatch):
    """The plugin of the page, under the name by which its test imports it."""
    module = ModuleType("banner_plugin")
    exec(compile(source(0), "postkeel-plugin.7", "exec"), module.__dict__)  # noqa: S102  our own page
    monkeypatch.setitem(sys.modules, "banner_plugin", module)
    return module


def test_the_plugin_of_the_page_keeps_the_contract_by_its_own_test(plugin):
    space = {}
    exec(compile(source(1), "postkeel-plugin.7", "exec"), space)  # noqa: S102  our own page
    assert space["banner_plugin"] is plugin
    space["test_keeps_the_contract"]()


@pytest.mark.parametrize(
    ("banner", "findings"),
    [("$myhostname ESMTP", 0), ("$myhostname Postfix $mail_version", 1)],
)
def test_the_plugin_of_the_page_finds_what_it_says(plugin, banner, findings):
    found = Found(name="banner", source="page", load=lambda: plugin)
    facts = sample_facts(smtpd_banner=banner)
    problems = []
    given = Registry([found], Configuration()).observe(sample_event(), DIRECTORY, facts, problems)
    assert (len(given), problems) == (findings, [])


@pytest.mark.parametrize(
    "program",
    [
        ("mandoc", "-Tutf8", "-Owidth=200"),
        ("groff", "-mdoc", "-Kutf8", "-Tutf8", "-P-cbu", "-rLL=200n"),
    ],
    ids=lambda one: one[0],
)
def test_what_a_reader_copies_from_the_page_is_the_plugin(program):
    """A quote that became a typographer's, or a minus a hyphen, would not be Python any more."""
    if not shutil.which(program[0]):
        pytest.skip(f"{program[0]} is not installed")
    shown = subprocess.run(
        [*program, str(PAGE.path)], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    shown = re.sub(".\b", "", shown)
    for nth in range(2):
        code = source(nth)
        first = code.partition("\n")[0]
        at = shown.index(first)
        margin = " " * (at - shown.rindex("\n", 0, at) - 1)
        lines = [one for one in code.splitlines() if one]
        copied = [one for one in shown[at - len(margin) :].splitlines() if one]
        assert [one.removeprefix(margin) for one in copied[: len(lines)]] == lines
