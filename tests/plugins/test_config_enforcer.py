"""The hooks of the enforcer."""

from datetime import UTC, datetime

import pytest

from postkeel.contract import Absent, Event, EventKind, Need, Profile, Side
from postkeel.postfix.instance import FileState
from postkeel_plugins import config_enforcer

DIRECTORY = "/etc/postfix"
POSTFIX = Need(kind="postfix", subject=DIRECTORY)
PROFILE = Need(kind="profile", subject=DIRECTORY)
EVENT = Event(kind=EventKind.STARTED, instance=DIRECTORY, time=datetime(2026, 11, 23, tzinfo=UTC))


def profile():
    return Profile(name="empty", summary="", lineage=("empty",), outdated=False, rules=())


def test_card():
    card = config_enforcer.keel_card()
    assert (card.name, card.side) == ("config_enforcer", Side.ROOT)
    assert {one.name for one in card.options} == {"check_interval", "check_splay"}


def test_interests_at_first():
    interest = config_enforcer.keel_interests(DIRECTORY, {}, {})
    assert interest.paths == ("/etc/postfix/main.cf", "/etc/postfix/master.cf")
    assert interest.needs == (POSTFIX, PROFILE)
    (timer,) = interest.timers
    assert (timer.name, timer.every, timer.splay) == ("full check", 900, 120)


def test_interests_follow_what_the_configuration_names(make_instance):
    known = make_instance(references={"/etc/ssl/k.pem": "0600", "/etc/postfix/policy": "0644"})
    assert all(isinstance(one, FileState) for one in known.references.values())
    options = {"check_interval": 60, "check_splay": 5}
    interest = config_enforcer.keel_interests(DIRECTORY, options, {POSTFIX: known})
    assert interest.paths[2:] == ("/etc/postfix/policy", "/etc/ssl/k.pem")
    assert (interest.timers[0].every, interest.timers[0].splay) == (60, 5)


@pytest.mark.parametrize("missing", [POSTFIX, PROFILE])
@pytest.mark.parametrize("absence", [{}, Absent(reason="no postconf")])
def test_nothing_is_judged_without_the_facts(make_instance, missing, absence):
    facts = {POSTFIX: make_instance(), PROFILE: profile()}
    facts = {need: fact for need, fact in facts.items() if need != missing}
    if isinstance(absence, Absent):
        facts[missing] = absence
    assert config_enforcer.keel_observe(EVENT, DIRECTORY, facts, {}) == ()


def test_an_empty_profile_finds_nothing(make_instance):
    facts = {POSTFIX: make_instance(), PROFILE: profile()}
    assert config_enforcer.keel_observe(EVENT, DIRECTORY, facts, {}) == ()
