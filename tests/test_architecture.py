"""The rules between the parts, read off the code: who may import what, and how large things are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AGENT = ROOT / "agent" / "postkeel"
PLUGINS = ROOT / "plugins" / "postkeel_plugins"
MODULES = sorted([*AGENT.rglob("*.py"), *PLUGINS.rglob("*.py")])

IMPURE = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "selectors",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
LONGEST_FUNCTION = 50
LONGEST_MODULE = 400
MOST_BRANCHES = 10
BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.match_case)


def name_of(path):
    return str(path.relative_to(ROOT))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module


def parsed(path):
    return ast.parse(path.read_text(), str(path))


@pytest.mark.parametrize(
    ("part", "below"),
    [
        ("core", ("core", "postfix")),
        ("postfix", ("core", "postfix")),
        ("certificates", ("core", "postfix", "certificates")),
        ("maillog", ("core", "postfix", "maillog")),
        ("headers", ("core", "postfix", "maillog", "headers")),
        ("reporting", ("contract", "core", "postfix", "reporting")),
    ],
)
def test_the_pure_parts_import_nothing_that_acts(part, below):
    for path in sorted((AGENT / part).rglob("*.py")):
        names = set(imported(parsed(path)))
        assert not {one.split(".")[0] for one in names} & IMPURE, name_of(path)
        inside = {one for one in names if one.startswith("postkeel.")}
        outside = {one for one in inside if one.split(".")[1] not in below}
        assert not outside, name_of(path)


def test_plugins_see_only_the_public_contract():
    for path in sorted(PLUGINS.rglob("*.py")):
        ours = {one for one in imported(parsed(path)) if one.startswith("postkeel.")}
        rooms = (
            "certificates",
            "contract",
            "database",
            "headers",
            "maillog",
            "postfix",
            "reporting",
        )
        allowed = tuple(f"postkeel.{one}" for one in rooms)
        assert all(one.startswith(allowed) for one in ours), name_of(path)


def test_the_shell_knows_nothing_of_the_command_line():
    for path in sorted((AGENT / "shell").rglob("*.py")):
        assert not any(one.startswith("postkeel.cli") for one in imported(parsed(path))), path


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_outgrew_its_room(path):
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE
    for node in ast.walk(parsed(path)):
        assert not isinstance(node, ast.Global), f"global at line {node.lineno}"
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            branches = sum(isinstance(one, BRANCHES) for one in ast.walk(node))
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"
            assert branches <= MOST_BRANCHES, f"{node.name} has {branches} branches"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(parsed(path)), "no docstring"
