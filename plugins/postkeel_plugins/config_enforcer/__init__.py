"""Holds main.cf and master.cf against the profile.

The rules are data in the profile; what they mean is in `postkeel.postfix`.
Here each rule meets the services that it is for: `judging` finds what is wrong,
`remedies` says how to put it right without making anything weaker. `observed` adds
what live handshakes show, in a round that made them.
"""

from __future__ import annotations

from collections.abc import Iterable

from postkeel.contract import (
    Card,
    Event,
    Facts,
    Finding,
    Handshake,
    Interest,
    Need,
    Option,
    Options,
    Profile,
    Side,
    Timer,
    hookimpl,
)
from postkeel.postfix.instance import Instance
from postkeel_plugins.config_enforcer.judging import judge
from postkeel_plugins.config_enforcer.observed import SERVED_TLS, observed

_INTERVAL = Option(
    name="check_interval",
    default=900,
    least=1,
    help="seconds between full checks, which catch a change that no file event told of",
)
_SPLAY = Option(
    name="check_splay",
    default=120,
    least=0,
    help="up to so many seconds more, drawn anew each time, so that a fleet does not act at once",
)


@hookimpl
def keel_card() -> Card:
    return Card(
        name="config_enforcer",
        summary="holds main.cf and master.cf against the profile",
        side=Side.ROOT,
        options=(_INTERVAL, _SPLAY),
        rules=(SERVED_TLS,),
    )


@hookimpl
def keel_interests(instance: str, options: Options, facts: Facts) -> Interest:
    postfix = Need(kind="postfix", subject=instance)
    known = facts.get(postfix)
    named = sorted(known.references) if isinstance(known, Instance) else ()
    timer = Timer(
        name="full check",
        every=_seconds(options, _INTERVAL),
        splay=_seconds(options, _SPLAY),
    )
    return Interest(
        paths=(f"{instance}/main.cf", f"{instance}/master.cf", *named),
        timers=(timer,),
        needs=(postfix, Need(kind="profile", subject=instance)),
    )


@hookimpl
def keel_observe(event: Event, instance: str, facts: Facts, options: Options) -> Iterable[Finding]:
    del event, options
    postfix = facts.get(Need(kind="postfix", subject=instance))
    profile = facts.get(Need(kind="profile", subject=instance))
    if not isinstance(postfix, Instance) or not isinstance(profile, Profile):
        # The round reports what could not be had, with its reason.
        return ()
    return (*judge(postfix, profile), *observed(postfix, _handshakes(instance, facts)))


def _handshakes(instance: str, facts: Facts) -> Iterable[Handshake]:
    """What was shown live; nothing in a round that did not look."""
    shown = facts.get(Need(kind="handshakes", subject=instance))
    return shown if isinstance(shown, tuple) else ()


def _seconds(options: Options, option: Option) -> float:
    value = options.get(option.name, option.default)
    return float(value) if isinstance(value, (int, float)) else float(str(option.default))
