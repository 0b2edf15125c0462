"""The last proof: a message to oneself whose Received line says what it travelled over.

The agent sends it through each service that offers TLS and brings back what three witnesses
say of one session: the handshake, the Received line, the mail log. `addressing` and `wishes`
say where it goes, `witnesses` reads the three, `judging` and `refusals` hold them against each
other and the settings, `passing` counts the headers of sampled mail, `memory` holds what stands
until the next probe.

Every command of postkeel reads the card, so only the card is here; the rest is
imported when the agent first asks, and by default it has nothing to ask.
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
from postkeel_plugins.header_checker.options import OPTIONS, is_idle
from postkeel_plugins.header_checker.rules import RULES
from postkeel_plugins.header_checker.tables import TABLES


@hookimpl
def keel_card() -> Card:
    return Card(
        name="header_checker",
        summary="what the Received line of a message proves: by a probe to oneself, and in samples",
        side=Side.MONITOR,
        options=OPTIONS,
        rules=RULES,
        tables=TABLES,
    )


@hookimpl
def keel_interests(instance: str, options: Options, facts: Facts) -> Interest:
    if is_idle(options):
        return Interest()
    from postkeel_plugins.header_checker.wishes import interests

    return interests(instance, options, facts)


@hookimpl
def keel_observe(
    event: Event, instance: str, facts: Facts, options: Options
) -> Iterable[Observation]:
    if is_idle(options) and event.probe is None:
        return ()
    from postkeel_plugins.header_checker.observing import observe

    return observe(event, instance, facts, options)
