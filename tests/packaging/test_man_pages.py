"""postkeel(8), held against the code in both directions, and how all the pages are rendered."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from man_page import Page, commands_in
from postkeel.cli.commands import COMMANDS
from postkeel.cli.dispatch import parsed, parser
from postkeel.conformance import sample_event
from postkeel.contract import (
    Depth,
    EventKind,
    Finding,
    Handshake,
    Judged,
    Outcome,
    Plan,
    Report,
    SetParameter,
    Severity,
)
from postkeel.core.configuration import Configuration
from postkeel.core.model import Mode
from postkeel.postfix.handshake import Endpoint
from postkeel.reporting.sentence import sentence
from postkeel.shell import guard
from postkeel.shell.documents import DEBIAN_DIRECTORY, DEFAULT_FILE
from postkeel.shell.history import History
from postkeel.shell.holds import Holds
from postkeel.shell.metrics_file import metrics_path
from postkeel.shell.originals import originals_directory
from postkeel.shell.outbox_files import outbox_directory
from postkeel.shell.packages import Packages
from postkeel.shell.records import RecordStore
from postkeel.shell.served_since import served_path
from postkeel.shell.status_file import status_path
from postkeel_plugins.central import spool_tables

ROOT = Path(__file__).parent.parent.parent
AGENT = ROOT / "agent" / "postkeel"
DEBIAN = ROOT / "packaging" / "debian"
PAGES = sorted((ROOT / "packaging/man").iterdir())
PAGE = Page(ROOT / "packaging/man/postkeel.8")
DEFAULT = Configuration()


def described():
    """Each command of the page with its items: its own, and those of its options."""
    found = {}
    for item in PAGE.items("COMMANDS"):
        if item.head[0] == "Cm":
            name = item.head[1]
            found[name] = []
        found[name].append(item)
    return found


def options_of(items):
    return frozenset().union(*(one.options for one in items))


def test_every_command_is_described_with_its_options_and_no_other():
    known = {
        one.name: {name for argument in one.arguments for name in argument.names if name[0] == "-"}
        for one in COMMANDS
    }
    assert {name: options_of(items) for name, items in described().items()} == known


def test_every_option_of_a_command_stands_in_its_synopsis_and_is_explained():
    for name, (command, *explained) in described().items():
        assert options_of(explained) == command.options, name
        assert [one.head for one in (command, *explained) if not one.text.strip(" .")] == []


def test_the_values_of_options_are_those_that_there_are():
    for command in COMMANDS:
        (synopsis, *explained) = described()[command.name]
        settings = [dict(one.settings) for one in command.arguments]
        choices = [word for one in settings for word in one.get("choices", ())]
        assert list(synopsis.after("Cm")) == [command.name, *choices]
        assert [word for one in explained for word in one.after("Cm")] == choices
        for argument, one in zip(command.arguments, settings, strict=True):
            if isinstance(one.get("default"), int):
                (item,) = [item for item in explained if item.options == {argument.names[0]}]
                assert f"The default is {one['default']}." in item.text


def test_the_arguments_that_are_no_options():
    positional = {
        one.name: [a for a in one.arguments if not a.names[0].startswith("-")] for one in COMMANDS
    }
    for name, (command, *_) in described().items():
        words = [re.sub(r"[^a-z]", "", one) for one in command.after("Ar")]
        # What an option takes comes first, in the order of the options.
        for argument in positional[name]:
            shown = str(dict(argument.settings)["metavar"]).lower().split("|")
            assert set(shown) <= set(words), name


def test_the_global_options():
    known = {name for one in parser()._actions for name in one.option_strings}
    items = PAGE.items("OPTIONS")
    assert options_of(items) == known
    (formats,) = [one for one in items if "--format" in one.options]
    assert sorted(formats.after("Cm")) == sorted({name for one in COMMANDS for name in one.formats})


@pytest.mark.parametrize("path", PAGES, ids=lambda one: one.name)
def test_what_is_shown_to_be_typed_is_understood(path):
    lines = Page(path).marked("Ql", "Dl")
    typed = [words for line in lines for words in commands_in(line) if words]
    assert typed
    for words in typed:
        if "--version" not in words and "--help" not in words:
            assert parsed(words).command in words


def test_the_exit_statuses():
    known = {130} | {
        number.value
        for path in (AGENT / "cli").glob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and function.name in {"main", "run"}
        for given in ast.walk(function)
        if isinstance(given, ast.Return) and given.value
        for number in ast.walk(given.value)
        if isinstance(number, ast.Constant) and type(number.value) is int
    }
    assert known == {0, 1, 2, 3, 130}
    assert {int(one.head[0]) for one in PAGE.items("EXIT STATUS")} == known


def test_modes_severities_and_outcomes():
    text = " ".join(PAGE.part("MODES AND OUTCOMES"))
    assert re.findall(r"mode = \\\(dq(\w+)", text) == [one.value for one in Mode]
    words = [one.after("Sy")[0] for one in PAGE.items("MODES AND OUTCOMES")]
    assert words == [*(one.value for one in Severity), *(one.value for one in Outcome)]
    bad = [one.after("Sy")[0] for one in PAGE.items("DIAGNOSTICS")]
    assert set(bad) == {"failed", "reverted", "contested"}


def test_the_times_that_are_told():
    assert "tried again each minute" in PAGE.text
    assert guard.RETRY_SECONDS == 60
    assert "to check now, at most once a minute" in PAGE.text
    assert guard.ASKED_APART_SECONDS == 60


def test_the_files():
    state, run = DEFAULT.state_directory, DEFAULT.runtime_directory
    kept = [Path(one(state).path).name for one in (History, RecordStore)]
    known = {
        DEFAULT_FILE,
        f"{DEBIAN_DIRECTORY}/profiles",
        History(state).path,
        Holds(state).path,
        Packages(state).path,
        served_path(state),
        str(Path(originals_directory("/etc/postfix", state)).parent),
        DEFAULT.monitor_state_directory,
        outbox_directory(state),
        metrics_path(DEFAULT.monitor_runtime_directory),
        status_path(run),
        f"{run}/packages",
        DEFAULT.channel,
    }
    items = {one.after("Pa")[0]: one for one in PAGE.items("FILES")}
    assert set(items) == known
    kept += ["secret", spool_tables.NAME]
    assert [one for one in kept if one not in items[DEFAULT.monitor_state_directory].text] == []
    assert f"touch {run}/packages" in (DEBIAN / "postkeel.postinst").read_text()


def test_the_signals():
    source = (AGENT / "shell/agent.py").read_text()
    assert "on_signal" in source
    known = set(re.findall(r"signal\.(SIG\w+)", source))
    assert {name for one in PAGE.items("SIGNALS") for name in one.after("Dv")} == known


def test_the_environment():
    known = {
        name
        for path in AGENT.rglob("*.py")
        for name in re.findall(r'environ(?:ment)?(?:\.get\(|\[)"(\w+)"', path.read_text())
    }
    assert {name for one in PAGE.items("ENVIRONMENT") for name in one.after("Ev")} == known


def settings_of(unit):
    """The unit's settings, each with all that its lines give."""
    found = {}
    for text in (DEBIAN / unit).read_text().splitlines():
        name, equals, value = text.partition("=")
        if equals and not text.startswith("#"):
            found.setdefault(name, []).extend(value.split())
    return found


@pytest.mark.parametrize("unit", ["postkeel.service", "postkeel-monitor.service"])
def test_what_each_unit_may_do(unit):
    (item,) = [one for one in PAGE.items("UNITS") if one.after("Sy") == (unit,)]
    settings = settings_of(unit)
    program, *words = settings["ExecStart"]
    assert program == "/usr/sbin/postkeel"
    assert f"postkeel {' '.join(words)}" in item.text
    written = {one.removeprefix("-") for one in settings["ReadWritePaths"] + settings["BindPaths"]}
    assert set(re.findall(r"/\S+", item.text)) == written
    who = settings.get("User", ["root"]) + settings.get("SupplementaryGroups", [])
    assert [one for one in who if one not in item.text] == []
    assert "loopback" not in item.text or settings["IPAddressAllow"] == ["localhost"]
    # What is told of both.
    assert settings["CapabilityBoundingSet"] == []
    assert settings["NoNewPrivileges"] == ["yes"]
    assert "/run:ro" in settings["TemporaryFileSystem"]
    assert not [one for one in settings["BindReadOnlyPaths"] if "dbus" in one]


def test_reload_reaches_both():
    assert settings_of("postkeel.service")["PropagatesReloadTo"] == ["postkeel-monitor.service"]


def test_the_drop_ins_set_what_the_unit_restricts():
    shown = PAGE.literals("Files elsewhere") + [
        one for one in PAGE.literals("MORE THAN ONE POSTFIX") if "[Service]" in one
    ]
    names = re.findall(r"(?m)^(\w+)=", "\n".join(shown))
    assert len(names) == 4
    assert set(names) - settings_of("postkeel.service").keys() == set()


def test_the_line_of_the_log_is_one():
    finding = Finding(
        rule="smtpd-protocols",
        severity=Severity.ERROR,
        depth=Depth.DECLARED,
        parameter="smtpd_tls_protocols",
        where="main.cf:27",
        effective="TLSv1",
        wanted="TLSv1.2",
        why="-",
        remedy=(SetParameter(name="smtpd_tls_protocols", value=">=TLSv1.2"),),
    )
    endpoint = Endpoint(
        service="smtp/inet", host="127.0.0.1", port="25", direct=False, floor="TLSv1.2"
    )
    seen = Handshake(endpoint=endpoint, protocol="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    report = Report(
        instance="/etc/postfix",
        event=sample_event(EventKind.PATHS_CHANGED),
        outcome=Outcome.FIXED,
        judged=(Judged(finding=finding, outcome=Outcome.FIXED),),
        plan=Plan(),
        seconds=0.1,
        cause="main.cf changed",
        proof=(str(seen),),
    )
    (shown,) = PAGE.literals("DIAGNOSTICS")
    assert " ".join(shown.split()) == f"postkeel[812]: {sentence(report)}"


def run(*words):
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda one: one.name)
def test_the_pages_are_rendered_without_a_complaint(path):
    assert run("mandoc", "-Tlint", "-Wwarning", str(path)) == (0, "", "")
    status, shown, complaints = run(
        "groff", "-mdoc", "-ww", "-Kutf8", "-Tutf8", "-P-cbu", str(path)
    )
    assert (status, complaints) == (0, "")
    # A word that a macro's name ate, or a macro that groff does not know, is seen in the outcome.
    assert re.search(r"(?m)^NAME$", shown)
    name = re.escape(path.name[:-2])
    assert re.search(rf"(?m)^ +{name} . \w", shown)
    assert "\\" not in shown


@pytest.mark.parametrize("path", PAGES, ids=lambda one: one.name)
def test_the_pages_refer_to_pages_that_are_there(path):
    page = Page(path)
    ours = {one.name for one in PAGES}
    named = [one.split() for one in page.marked("Xr")]
    known = {re.sub(r"\.([0-9])$", r" \1", one) for one in ours}
    assert [
        one for one in named if one[0].startswith("postkeel") and " ".join(one[:2]) not in known
    ] == []
    last = [one for one in page.part("SEE ALSO") if one.startswith(".Xr")]
    order = [(one.split()[2], one.split()[1]) for one in last]
    assert order == sorted(order)
    assert {" ".join(one[:2]) for one in named} & known <= {
        " ".join(one.split()[1:3]) for one in last
    } | {re.sub(r"\.([0-9])$", r" \1", path.name)}
