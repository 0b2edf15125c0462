"""The kit finds each broken promise; a kit that cannot fail would be worth nothing."""

from __future__ import annotations

import itertools
import os

import pytest

from postkeel.conformance import DIRECTORY, broken_promises
from postkeel.contract import (
    Card,
    Depth,
    Finding,
    Interest,
    Need,
    Severity,
    Side,
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
