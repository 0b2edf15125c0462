"""Alarms of connections: clear text after TLS, weaker than configured, TLS without a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from postkeel.contract import Absent, Profile, Severity, frozen
from postkeel.maillog.following import writers
from postkeel.maillog.values import NOT_LOGGED, OTHERS, ConnectionCount, Direction
from postkeel.postfix.ciphers import family_of_service
from postkeel.postfix.instance import Instance, Service
from postkeel.postfix.meaning import TlsMeaning, tls_meaning
from postkeel.postfix.protocols import NEWEST, PROTOCOLS, rank
from postkeel_plugins.tls_log_monitor.memory import Alarm, Suspect
from postkeel_plugins.tls_log_monitor.notices import only_writer, program_of
from postkeel_plugins.tls_log_monitor.rules import (
    CLEAR_AFTER_TLS,
    NO_TLS_LINES,
    WEAKER_THAN_CONFIGURED,
)
from postkeel_plugins.tls_log_monitor.scene import Scene

STEADY_CONNECTIONS: Final = 20
STEADY_DAYS: Final = 3
"""What a peer must have had over TLS, and nothing in clear, to be one that always has."""

_DAY: Final = 86_400
_UP_TO_DATE: Final = 120
"""Seconds. Older lines may be from before a correction of the configuration."""
_LONGEST_PEER: Final = 255
"""Of a domain; what is longer is no name."""
_TOWARDS: Final = {
    Direction.INBOUND: ("from", "smtpd_tls_security_level"),
    Direction.OUTBOUND: ("to", "smtp_tls_security_level"),
}


def suspects(scene: Scene) -> Iterator[Suspect]:
    """The peers that sent or took mail in clear; most always did."""
    for one in scene.statistics.connections:
        moment = scene.moment(one.hour)
        peer = one.peer if one.peer == OTHERS else scene.rename(one.peer)
        unknown = peer == OTHERS or len(peer) > _LONGEST_PEER
        if not one.session.clear or unknown or not scene.recent(moment):
            continue
        direction = one.session.direction
        word, parameter = _TOWARDS[direction]
        alarm = scene.alarm(
            CLEAR_AFTER_TLS,
            Severity.WARNING,
            parameter=parameter,
            effective=f"clear text {word} {peer}",
            wanted="TLS, as always before",
            text=f"mail in clear text {word} {peer}",
            moment=moment,
            count=max(one.connections, one.mails),
        )
        yield Suspect(direction=direction.value, peer=peer, hour=one.hour, alarm=alarm)


def always_had_tls(suspect: Suspect, rows: Iterable[tuple[Any, ...]]) -> bool:
    """Whether a peer came over TLS alone, often enough, before it came in clear.

    rows: of the table "connections", of this peer.
    """
    count = 0
    days = set()
    for hour, _, direction, _, protocol, *_, connections, _ in rows:
        if direction != suspect.direction:
            continue
        if protocol:
            count += connections
            days.add(hour // _DAY)
        elif hour < suspect.hour:
            return False
    return count >= STEADY_CONNECTIONS and len(days) >= STEADY_DAYS


def unlogged(scene: Scene) -> Iterator[Alarm]:
    """TLS sessions of which no summary line tells, though it should."""
    for one in scene.statistics.connections:
        family = program_of(one.name)
        moment = scene.moment(one.hour)
        if one.session.protocol != NOT_LOGGED or not scene.recent(moment):
            continue
        if scene.instance is not None and _silent(scene.instance, one.name):
            continue
        yield scene.alarm(
            NO_TLS_LINES,
            Severity.WARNING,
            parameter=f"{family}_tls_loglevel",
            effective=f"{one.name} had TLS without a line on it",
            wanted="one line a session",
            text=f"connections of {one.name} with STARTTLS and no line on TLS",
            moment=moment,
            count=one.connections,
            service=only_writer(scene.instance, one.name),
        )


def _silent(instance: Instance, name: str) -> bool:
    """Whether a service of this name is told to log nothing of TLS."""
    parameter = f"{program_of(name)}_tls_loglevel"
    return any(
        instance.effective(parameter, one).value in ("", "0")
        for one in writers(instance, name) or (None,)
    )


def contradictions(scene: Scene) -> Iterator[Alarm]:
    """Sessions that the configuration of the service that logged them does not let through."""
    first = scene.statistics.first
    if scene.instance is None or first is None:
        return
    if first.timestamp() < scene.now - _UP_TO_DATE:
        return
    loose = _per_destination(scene.instance)
    served: dict[str, _Served] = {}
    for one in scene.statistics.connections:
        outbound = one.session.direction is Direction.OUTBOUND
        if one.session.protocol not in PROTOCOLS or (outbound and loose):
            continue
        if one.name not in served:
            served[one.name] = _served(scene.instance, one.name)
        found = _contradiction(scene, one, served[one.name])
        if found is not None:
            yield found


@frozen
class _Served:
    """The services that may have written a line, and all that they let through."""

    services: tuple[Service, ...]
    meanings: tuple[TlsMeaning, ...]


def _served(instance: Instance, name: str) -> _Served:
    services = writers(instance, name)
    meanings = tuple(meaning for service in services for meaning in tls_meaning(instance, service))
    return _Served(services=services, meanings=meanings)


def _per_destination(instance: Instance) -> bool:
    """Whether a policy may let more through for one destination than main.cf does for all."""
    return any(
        isinstance(entries, Absent)
        or any("protocols=" in entry or "ciphers=" in entry for entry in entries.values())
        for entries in instance.policies.values()
    )


def _contradiction(scene: Scene, one: ConnectionCount, served: _Served) -> Alarm | None:
    services, meanings = served.services, served.meanings
    if not meanings:
        return None
    family = family_of_service(services[0])
    mandatory = "mandatory_" if meanings[0].strength == "mandatory" else ""
    protocol, cipher = one.session.protocol, one.session.cipher
    severity, wanted = Severity.ERROR, "what the configuration lets through"
    if not any(protocol in meaning.protocols for meaning in meanings):
        parameter, seen = f"{family}_tls_{mandatory}protocols", protocol
        floor = floor_of(scene.profile, parameter)
        if floor is not None:
            wanted = f"nothing older than {floor}"
            severity = Severity.ERROR if rank(protocol) < rank(floor) else Severity.WARNING
    elif protocol != NEWEST and _excluded(cipher, meanings):
        parameter, seen = f"{family}_tls_exclude_ciphers", cipher
    else:
        return None
    return scene.alarm(
        WEAKER_THAN_CONFIGURED,
        severity,
        parameter=parameter,
        effective=f"{seen} in {one.name}",
        wanted=wanted,
        text=f"{protocol} with cipher {cipher}",
        moment=scene.moment(one.hour),
        count=one.connections,
        service=services[0].name if len(services) == 1 else None,
    )


def _excluded(cipher: str, meanings: Iterable[TlsMeaning]) -> bool:
    """Whether none of the lists has this suite; what is not known may have it."""
    return all(
        not isinstance(meaning.suites, Absent)
        and all(suite.name != cipher for suite in meaning.suites)
        for meaning in meanings
    )


def floor_of(profile: Profile | None, parameter: str) -> str | None:
    """The oldest protocol that the profile wants of a parameter."""
    for rule in profile.rules if profile else ():
        if rule.comparison == "protocol-floor" and parameter in rule.parameters:
            return rule.wanted[0]
    return None
