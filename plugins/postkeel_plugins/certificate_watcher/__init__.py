"""Certificates and keys: right in the files, and the ones that are really served.

The facts tell what every file in use holds, what the running Postfix shows, and what the DNS
says of it. `observing` goes through the credentials one by one: the judges (`files`, `chains`,
`lifetime`, `naming`, `strength`, `dane`) say what is wrong with one, `settling` whether it is
only half written, `keeping` whether a reload would make live what is wrong, `serving` and
`joined_files` how what is right goes live.

Every command of postkeel reads the card, so only the card is here; the rest is
imported when the agent first asks.
"""

from __future__ import annotations

from collections.abc import Iterable

from postkeel.contract import (
    Card,
    Event,
    Facts,
    Interest,
    Observation,
    Options,
    Side,
    hookimpl,
)
from postkeel_plugins.certificate_watcher.options import OPTIONS
from postkeel_plugins.certificate_watcher.rules import RULES


@hookimpl
def keel_card() -> Card:
    return Card(
        name="certificate_watcher",
        summary="certificates and keys: right in their files, and really served",
        side=Side.ROOT,
        options=OPTIONS,
        rules=RULES,
    )


@hookimpl
def keel_interests(instance: str, options: Options, facts: Facts) -> Interest:
    from postkeel_plugins.certificate_watcher.observing import interests

    return interests(instance, options, facts)


@hookimpl
def keel_observe(
    event: Event, instance: str, facts: Facts, options: Options
) -> Iterable[Observation]:
    from postkeel_plugins.certificate_watcher.observing import observe

    return observe(event, instance, facts, options)
