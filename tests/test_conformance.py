"""The kit finds each broken promise; a kit that cannot fail would be worth nothing."""

from __future__ import annotations

import itertools
import os

import pytest

from postkeel.conformance import DIRECTORY, broken_promises
from postkeel.contract import (
    Card,
    CheckNow,
    Depth,
    EventKind,
    Finding,
    Interest,
    LogLines,
    LookAgain,
    Need,
    Records,
    RemoveParameter,
    Severity,
    Side,
    Table,
    Timer,
    hookimpl,
)

COUNTER = itertools.count()


def finding(**more):
    given = {
        "rule": "r",
        "severity": Severity.ERROR,
        "depth": Depth.DECLARED,
        "parameter": "p",
        "where": "main.cf:1",
        "effective": "",
        "wanted": "",
        "why": "because",
    }
    return Finding(**{**given, **more})


def plugin(**hooks):
    made = type("Plugin", (), {})()
    made.keel_card = hookimpl(lambda: Card(name="p", summary="a test", side=Side.ROOT))
    for hook, function in hooks.items():
        setattr(made, hook, hookimpl(function))
    return made


def test_a_plugin_that_keeps_the_contract_passes():
    good = plugin(
        keel_interests=lambda instance: Interest(
            paths=(instance + "/main.cf",),
            timers=(Timer(name="t", every=60),),
            needs=(Need(kind="postfix", subject=instance),),
        ),
        keel_gather=lambda need: None,
        keel_observe=lambda facts: [finding()] if facts else [],
        keel_deliver=lambda report: None,
    )
    assert broken_promises(good, "p") == []


def test_a_plugin_may_import_at_its_first_call(tmp_path, monkeypatch):
    (tmp_path / "imported_late.py").write_text("from contract_of_nobody import PATH\n")
    (tmp_path / "contract_of_nobody.py").write_text("PATH = '/etc/hosts'\n")
    monkeypatch.syspath_prepend(tmp_path)

    def interests(instance):
        from imported_late import PATH

        return Interest(paths=(PATH,))

    assert broken_promises(plugin(keel_interests=interests), "p") == []


def deliver_once(report, seen=[]):  # noqa: B006  the state is the fault under test
    if seen:
        raise RuntimeError("twice")
    seen.append(report)


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        ({"keel_observe": lambda facts: [finding(why=" ")]}, "why is empty"),
        ({"keel_observe": lambda facts: [finding(where="line 3")]}, "'line 3' is no main.cf:LINE"),
        ({"keel_observe": lambda facts: ["bad"]}, "gives a str, not a Finding"),
        (
            {"keel_observe": lambda facts: [finding(effective=str(next(COUNTER)))]},
            "says different things of the same facts",
        ),
        ({"keel_observe": lambda facts: os.listdir("/") and []}, "touches the system: os.listdir"),
        (
            {
                "keel_observe": lambda facts: (
                    [finding()] if facts[Need(kind="x", subject="")] else []
                )
            },
            "KeyError",
        ),
        (
            {"keel_interests": lambda instance: Interest(paths=("main.cf",))},
            "'main.cf' is not an absolute path",
        ),
        (
            {"keel_interests": lambda instance: Interest(timers=(Timer(name="t", every=0.1),))},
            "must come every second or more",
        ),
        ({"keel_gather": lambda need: "anything"}, "answers a need that it cannot know"),
        ({"keel_deliver": deliver_once}, "RuntimeError: twice"),
        ({"keel_observe": lambda wrong: []}, "rejected: PluginValidationError"),
    ],
)
def test_each_broken_promise_is_named(hooks, expected):
    said = broken_promises(plugin(**hooks), "p")
    assert any(expected in one for one in said), said


def test_absent_facts_are_tried_too():
    def careless(facts):
        fact = facts.get(Need(kind="postfix", subject=DIRECTORY))
        return [finding(effective=fact.version)] if fact else []

    needs = (Need(kind="postfix", subject=DIRECTORY),)
    one = plugin(keel_interests=lambda instance: Interest(needs=needs), keel_observe=careless)
    assert any("AttributeError" in said for said in broken_promises(one, "p"))


COUNTS = Table(name="counts", key=("peer",), counters=("mails",))
HOUR = 1_795_435_200


def monitor(**hooks):
    made = plugin(**hooks)
    made.keel_card = hookimpl(
        lambda: Card(name="p", summary="a test", side=Side.MONITOR, tables=(COUNTS,))
    )
    return made


def records(row=(HOUR, "example.com"), counters=(1,), table="counts", state=None):
    return Records(add={table: {row: counters}}, state=state)


def test_a_monitor_that_keeps_the_contract_passes():
    kinds = set()

    def observe(event):
        kinds.add((event.kind, event.batch is not None))
        return [finding(), records(state={"since": [1, "x"]}), CheckNow(reason="TLS disabled")]

    one = monitor(
        keel_interests=lambda instance: Interest(log=LogLines(programs=("/usr/sbin/x",))),
        keel_observe=observe,
    )
    assert broken_promises(one, "p") == []
    assert kinds == {(kind, False) for kind in EventKind} | {(EventKind.LOG_LINES, True)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (records(row=()), "does not fit table 'counts'"),
        (records(row=(HOUR + 1, "x")), "does not fit table 'counts'"),
        (records(row=("x", "x")), "does not fit table 'counts'"),
        (records(row=(HOUR, "x", "y")), "does not fit table 'counts'"),
        (records(row=(HOUR, b"x")), "does not fit table 'counts'"),
        (records(counters=(1, 2)), "does not fit table 'counts'"),
        (records(counters=(-1,)), "does not fit table 'counts'"),
        (records(counters=(1.5,)), "does not fit table 'counts'"),
        (records(table="other"), "no table 'other'"),
        (records(state={"x": {1, 2}}), "not of JSON's types"),
        (CheckNow(reason=" "), "has a reason"),
        (LookAgain(seconds=1, reason="x"), "is for side root"),
        (finding(remedy=(RemoveParameter(name="p"),)), "cannot write"),
    ],
)
def test_what_a_monitor_gives_is_looked_at(given, expected):
    said = broken_promises(monitor(keel_observe=lambda: [given]), "p")
    assert said
    assert all(expected in one for one in said), said


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        ({"keel_observe": lambda: [Records(add={})] * 2}, "more than one Records"),
        ({"keel_observe": lambda: [Records(add={})]}, "the card has no tables"),
        ({"keel_observe": lambda: [CheckNow(reason="x")]}, "plugins of side monitor"),
        ({"keel_observe": lambda: [LookAgain(seconds=0, reason="x")]}, "seconds above 0"),
        ({"keel_observe": lambda: [LookAgain(seconds=1, reason=" ")]}, "and a reason"),
        (
            {"keel_interests": lambda: Interest(log=LogLines(file="/var/log/mail.log"))},
            "log lines are for plugins of side monitor",
        ),
        (
            {"keel_interests": lambda: Interest(log=LogLines(file="mail.log"))},
            "'mail.log' is not an absolute file name",
        ),
        (
            {"keel_interests": lambda: Interest(log=LogLines(programs=("smtpd",)))},
            "'smtpd' is not an absolute file name",
        ),
    ],
)
def test_what_is_for_the_other_side(hooks, expected):
    said = broken_promises(plugin(**hooks), "p")
    assert any(expected in one for one in said), said
