"""Plugins are found, checked, called alone; one that breaks never silences the others."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from datetime import UTC, datetime

import pytest

from postkeel.contract import (
    Absent,
    Card,
    Depth,
    Event,
    EventKind,
    Finding,
    Interest,
    Need,
    Option,
    Outcome,
    Place,
    Plan,
    Report,
    Rule,
    Severity,
    Side,
    Standing,
    Table,
    hookimpl,
)
from postkeel.core.configuration import read_configuration
from postkeel.core.document import Document
from postkeel.core.errors import ConfigurationError, PostkeelError
from postkeel.discovery import GROUP, Found, entry_points, find_plugins, vet
from postkeel.registry import QUARANTINE_AFTER, Registry

EVENT = Event(kind=EventKind.REQUESTED, instance="/etc/postfix", time=datetime.now(UTC))
REPORT = Report(
    instance="/etc/postfix",
    event=EVENT,
    outcome=Outcome.CLEAN,
    judged=(),
    plan=Plan(),
    seconds=0.0,
)


def a_finding(rule):
    return Finding(
        rule=rule,
        severity=Severity.ERROR,
        depth=Depth.DECLARED,
        parameter="x",
        where="default",
        effective="",
        wanted="",
        why="because",
    )


def plugin(name, card=None, **hooks):
    made = type("Plugin", (), {})()
    made.keel_card = hookimpl(lambda: card or Card(name=name, summary="a test", side=Side.ROOT))
    for hook, function in hooks.items():
        setattr(made, hook, hookimpl(function))
    return Found(name=name, source="test", load=lambda: made)


def registry(*found, text="", data=None):
    document = Document(file="postkeel.toml", text=text, data=data or {})
    return Registry(found, read_configuration([document]))


def observe(one, problems):
    return [each.rule for each in one.observe(EVENT, "/etc/postfix", {}, problems)]


def late(event):
    """As a generator it fails when the answer is read, not when it is called."""
    yield a_finding("c")
    raise ZeroDivisionError("oops")


def at_once(event):
    raise ZeroDivisionError("oops")


@pytest.mark.parametrize("broken", [at_once, late])
def test_the_one_that_raises_is_named_and_the_others_are_heard(broken):
    one = registry(
        plugin("first", keel_observe=lambda: [a_finding("a")]),
        plugin("middle", keel_observe=broken),
        plugin("last", keel_observe=lambda facts: [a_finding("b")]),
    )
    problems = []
    assert observe(one, problems) == ["a", "b"]
    assert problems == ["plugin middle: keel_observe: ZeroDivisionError: oops"]


def test_a_plugin_that_keeps_failing_is_quarantined_and_success_forgives():
    fails = [True] * (QUARANTINE_AFTER - 1) + [False] + [True] * QUARANTINE_AFTER
    calls = []

    def moody():
        calls.append(1)
        if fails[len(calls) - 1]:
            raise OSError("no")
        return []

    one = registry(plugin("moody", keel_observe=moody))
    problems = []
    for _ in range(len(fails) + 5):
        observe(one, problems)
    assert len(calls) == len(fails)
    assert one.plugins[0].quarantined
    assert "quarantined after 3 failures in a row" in problems[-1]


def test_success_of_one_hook_does_not_make_up_for_another():
    def fail():
        raise OSError("no")

    one = registry(plugin("moody", keel_observe=fail, keel_interests=lambda: Interest()))
    problems = []
    for _ in range(QUARANTINE_AFTER):
        one.interests("/etc/postfix", {}, problems)
        observe(one, problems)
    assert one.plugins[0].quarantined


def test_a_reporter_is_never_quarantined():
    def fail():
        raise OSError("no")

    one = registry(plugin("central", keel_deliver=fail))
    for _ in range(QUARANTINE_AFTER + 1):
        assert one.deliver(None, []) == ["central"]


def test_an_option_has_its_least_value():
    option = Option(name="n", default=5, help="", least=1)
    card = Card(name="p", summary="a test", side=Side.ROOT, options=(option,))
    text, data = "[plugins.p]\nn = 0\n", {"plugins": {"p": {"n": 0}}}
    with pytest.raises(ConfigurationError, match="2: option 'n' must be at least 1, not 0"):
        registry(plugin("p", card=card), text=text, data=data)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["udp://x", "gopher://x"], "2: option 'to' knows no gopher"),
        (["crash"], "2: option 'to' cannot be checked: ZeroDivisionError: "),
    ],
)
def test_an_option_may_say_what_is_wrong_with_a_value(value, said):
    def fault(urls):
        assert isinstance(urls, tuple)
        if urls == ("crash",):
            raise ZeroDivisionError
        return "knows no gopher" if any(one.startswith("gopher") for one in urls) else ""

    card = Card(
        name="p",
        summary="a test",
        side=Side.ROOT,
        options=(Option(name="to", default=(), help="", fault=fault),),
    )
    right = {"plugins": {"p": {"to": ["udp://x"]}}}
    one = registry(plugin("p", card=card), text="[plugins.p]\nto = 1\n", data=right)
    assert one.plugins[0].options == {"to": ("udp://x",)}
    wrong = {"plugins": {"p": {"to": value}}}
    with pytest.raises(ConfigurationError, match=said):
        registry(plugin("p", card=card), text="[plugins.p]\nto = 1\n", data=wrong)


@pytest.mark.parametrize(("side", "within"), [(Side.ROOT, ""), (Side.MONITOR, "/monitor")])
def test_a_reporter_is_told_where_it_may_keep_its_own(side, within):
    given = []
    one = registry(
        plugin(
            "p",
            card=Card(name="p", summary="a test", side=side),
            keel_deliver=lambda report, place: given.append(place),
            keel_status=lambda options, place: given.append(place),
        ),
        data={"state_directory": "/srv/state", "runtime_directory": "/srv/run"},
    )
    assert one.deliver(REPORT, []) == []
    assert one.standings([], side) == {}
    place = Place(state=f"/srv/state{within}", runtime=f"/srv/run{within}")
    assert given == [place, place]


def test_plugins_begin_each_by_itself():
    begun = []

    def fail(options, place):
        raise OSError("no disk")

    one = registry(
        plugin("a", keel_begin=fail),
        plugin("b", keel_begin=lambda options, place: begun.append(place.state)),
        data={"state_directory": "/srv/state"},
    )
    problems = []
    one.begin(problems)
    assert begun == ["/srv/state"]
    assert problems == ["plugin a: keel_begin: OSError: no disk"]


def test_how_reporters_stand_and_that_one_that_cannot_say_is_asked_again():
    standing = Standing(said=("away since ten",), waiting=3)

    def fail(options, place):
        raise OSError("no file")

    one = registry(
        plugin("quiet"),
        plugin("a", keel_status=lambda options, place: standing),
        plugin("b", keel_status=fail),
    )
    for _ in range(QUARANTINE_AFTER + 1):
        problems = []
        assert one.standings(problems, Side.ROOT) == {"a": standing}
        assert problems == ["plugin b: keel_status: OSError: no file"]
    assert one.standings([], Side.MONITOR) == {}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Found(name="p", source="s", load=lambda: 1 / 0), "ZeroDivisionError"),
        (Found(name="p", source="s", load=lambda: object()), "keel_card() is missing"),
        (plugin("p", Card(name="q", summary="", side=Side.ROOT)), "its card says 'q'"),
        (plugin("p", "card"), "does not return a Card"),
        (plugin("p", Card(name="p", summary="", side="moon")), "side 'moon'"),
        (
            plugin(
                "p",
                Card(
                    name="p",
                    summary="",
                    side=Side.ROOT,
                    options=(Option(name="o", default=1, help=""),) * 2,
                ),
            ),
            "option 'o' stands twice",
        ),
        (
            plugin(
                "p",
                Card(
                    name="p",
                    summary="",
                    side=Side.ROOT,
                    rules=(Rule(id="r", why=" ", references=("RFC 1",)),),
                ),
            ),
            "rule 'r' has no rationale",
        ),
        (plugin("p", keel_observe=lambda events: []), "PluginValidationError"),
    ],
)
def test_a_faulty_plugin_is_listed_as_rejected_and_the_rest_go_on(found, reason):
    one = registry(found, plugin("good", keel_observe=lambda: [a_finding("a")]))
    assert [each.name for each in one.plugins] == ["good"]
    assert reason in one.rejected[0].reason
    problems = []
    assert observe(one, problems) == ["a"]
    assert problems == []


def table(**given):
    return Table(**{"name": "peers", "key": ("peer",), "counters": ("mails",), **given})


def monitor(*tables, name="p", side=Side.MONITOR):
    return plugin(name, Card(name=name, summary="", side=side, tables=tables))


FAULTY_TABLES = {
    "of the side that corrects": (monitor(table(), side=Side.ROOT), "only plugins of side monitor"),
    "of a plugin with an odd name": (monitor(table(), name='p"; DROP'), "its name must be made of"),
    "of a plugin with capitals": (monitor(table(), name="P"), "small letters"),
    "twice": (monitor(table(), table()), "table 'peers' stands twice"),
    "name with a quote": (monitor(table(name='x"')), "table 'x\"': names of tables and columns"),
    "empty name": (monitor(table(name="")), "names of tables and columns"),
    "name of underscores": (monitor(table(name="__")), "names of tables and columns"),
    "letters of elsewhere": (monitor(table(key=("größe",))), "names of tables and columns"),
    "capitals": (monitor(table(counters=("Mails",))), "names of tables and columns"),
    "digits": (monitor(table(counters=("mails2",))), "names of tables and columns"),
    "column twice": (monitor(table(key=("mails",))), "a column stands twice"),
    "the hour's column": (monitor(table(key=("hour",))), "is called instance or hour"),
    "no key": (monitor(table(key=())), "key and counters must be tuples"),
    "no counter": (monitor(table(counters=())), "key and counters must be tuples"),
    "a text for a tuple": (monitor(table(counters="abc")), "key and counters must be tuples"),
    "folds a counter": (monitor(table(folds="mails")), "folds 'mails', which is no key column"),
    "too few rows": (monitor(table(most_rows=99)), "most_rows must be 100 or more"),
    "no day": (monitor(table(kept_days=0)), "kept_days must be 1 or more"),
}


@pytest.mark.parametrize(("found", "reason"), FAULTY_TABLES.values(), ids=FAULTY_TABLES)
def test_a_plugin_with_a_faulty_table_is_rejected(found, reason):
    one = registry(found)
    assert not one.plugins
    assert reason in one.rejected[0].reason


def test_sound_tables_are_taken():
    tables = (table(), table(name="by_name", key=("name", "peer"), folds="peer", most_rows=100))
    one = registry(monitor(*tables, name="tls_log"))
    assert not one.rejected
    assert one.plugins[0].card.tables == tables


def test_a_plugin_that_ends_the_interpreter_does_not():
    def leave():
        raise SystemExit(3)

    found = Found(name="p", source="s", load=leave)
    one = registry(found, plugin("good"))
    assert "SystemExit" in one.rejected[0].reason


def test_the_first_that_knows_answers_and_an_absent_fact_says_why():
    one = registry(
        plugin("a", keel_gather=lambda need: None),
        plugin("b", keel_gather=lambda need: Absent(reason="b: disk is gone")),
        plugin("c", keel_gather=lambda need: "never asked"),
    )
    problems = []
    known, unknown = Need(kind="x", subject="/"), Need(kind="y", subject="/")
    facts = one.gather([known, known], problems)
    assert facts == {known: Absent(reason="b: disk is gone")}
    assert problems == ["b: disk is gone"]
    facts = registry().gather([unknown], problems)
    assert "no plugin knows the fact 'y'" in facts[unknown].reason


def test_a_plugin_that_hangs_loses_its_turn(monkeypatch):
    monkeypatch.setattr("postkeel.registry.GATHER_SECONDS", 0.05)
    one = registry(
        plugin("slow", keel_gather=lambda need: time.sleep(1)),
        plugin("quick", keel_gather=lambda need: 42),
    )
    problems = []
    need = Need(kind="x", subject="/")
    assert one.gather([need], problems) == {need: 42}
    assert "plugin slow: keel_gather: TimeoutError: no answer within 0.05 s" in problems


def test_deliver_names_who_failed_and_can_be_asked_of_these_alone():
    heard = []

    def broken(report):
        raise ConnectionError("gone")

    problems = []
    one = registry(
        plugin("a", keel_deliver=broken),
        plugin("b", keel_deliver=lambda report: heard.append(report)),
    )
    assert one.deliver(REPORT, problems) == ["a"]
    assert heard == [REPORT]
    assert one.deliver(REPORT, problems, to=["a"]) == ["a"]
    assert heard == [REPORT]


OPTIONS = Card(
    name="p",
    summary="",
    side=Side.ROOT,
    options=(
        Option(name="every", default=900, help="seconds"),
        Option(name="names", default=("a",), help="names"),
    ),
)


def test_options_are_checked_against_the_card_and_filled_in():
    text = '[plugins.p]\nnames = ["b", "c"]\n'
    one = registry(plugin("p", OPTIONS), text=text, data={"plugins": {"p": {"names": ["b", "c"]}}})
    assert one.plugins[0].options == {"every": 900, "names": ("b", "c")}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"every": "900"}, "postkeel.toml:2: option 'every' must be a int, not '900'"),
        ({"every": True}, "postkeel.toml:2: option 'every' must be a int, not True"),
        ({"names": [1]}, "postkeel.toml:2: option 'names' must be a list of texts, not [1]"),
        ({"evry": 1}, "postkeel.toml:2: plugin p has no option 'evry'; it has: every, names"),
    ],
)
def test_a_bad_option_names_file_and_line(table, expected):
    key = next(iter(table))
    text = f"[plugins.p]\n{key} = ...\n"
    with pytest.raises(ConfigurationError) as caught:
        registry(plugin("p", OPTIONS), text=text, data={"plugins": {"p": table}})
    assert str(caught.value) == expected


def test_options_for_a_plugin_that_is_not_there_are_an_error():
    with pytest.raises(ConfigurationError, match="no plugin is called 'q'; installed are: p"):
        registry(plugin("p"), text="[plugins.q]\n", data={"plugins": {"q": {}}})


def test_entry_points_are_read_as_the_standard_library_reads_them(tmp_path):
    package = tmp_path / "thing-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        f"[console_scripts]\nx = y:z\n\n[{GROUP}]\n# a remark\nbanner = banner_plugin\n"
        "other=pack.age:thing [extra]\n\n[more]\nno = no\n"
    )
    (tmp_path / "broken-1.0.dist-info").mkdir()
    ours = {(name, target) for name, _, target in entry_points([str(tmp_path), "/nowhere"])}
    theirs = {
        (one.name, one.value.split("[")[0].strip())
        for dist in importlib.metadata.distributions(path=[str(tmp_path)])
        for one in dist.entry_points
        if one.group == GROUP
    }
    assert ours == theirs == {("banner", "banner_plugin"), ("other", "pack.age:thing")}


def test_the_built_in_plugins_are_found_as_anybodys():
    names = {name for name, _, _ in entry_points(sys.path)}
    if not names:
        pytest.skip("postkeel is not installed in this environment")
    assert {"config_enforcer", "syslog"} <= names


DROP_IN = """
from postkeel.contract import Card, Side, hookimpl

@hookimpl
def keel_card():
    return Card(name="local", summary="dropped in", side=Side.ROOT)
"""


@pytest.fixture
def drop_in(tmp_path):
    directory = tmp_path / "plugins"
    directory.mkdir(mode=0o755)
    file = directory / "local.py"
    file.write_text(DROP_IN)
    file.chmod(0o644)
    (directory / "notes.txt").write_text("no plugin")
    return directory


def from_drop_in(directory):
    text = f'plugin_directory = "{directory}"'
    data = {"plugin_directory": str(directory)}
    configuration = read_configuration([Document(file="f", text=text, data=data)])
    found = [one for one in find_plugins(configuration) if one.source.startswith(str(directory))]
    return Registry(found, configuration)


def test_the_drop_in_directory_is_off_by_default_and_loads_when_vetted(drop_in):
    assert [one.name for one in from_drop_in(drop_in).plugins] == ["local"]
    default = read_configuration([])
    assert all("plugins/local.py" not in one.source for one in find_plugins(default))


def test_a_file_that_others_can_write_is_rejected(drop_in):
    (drop_in / "local.py").chmod(0o664)
    assert "writable by nobody else" in from_drop_in(drop_in).rejected[0].reason


def test_a_directory_that_others_can_write_is_refused(drop_in):
    drop_in.chmod(0o777)
    with pytest.raises(PostkeelError, match="writable by nobody else"):
        from_drop_in(drop_in)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_strangers_file_is_rejected(drop_in):
    os.chown(drop_in / "local.py", 65534, 65534)
    with pytest.raises(PostkeelError, match="must belong to root"):
        vet(str(drop_in / "local.py"))


def test_a_missing_drop_in_directory_is_said(tmp_path):
    with pytest.raises(PostkeelError, match="No such file"):
        from_drop_in(tmp_path / "none")


def test_interests_come_with_their_plugin():
    one = registry(
        plugin("a", keel_interests=lambda instance: Interest(paths=(instance + "/main.cf",))),
        plugin("b"),
    )
    found = one.interests("/etc/postfix", {}, [])
    assert [(each.name, interest.paths) for each, interest in found] == [
        ("a", ("/etc/postfix/main.cf",))
    ]
