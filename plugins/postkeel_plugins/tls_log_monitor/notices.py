"""Alarms of single lines: TLS disabled, relays not verified, DANE off, lines lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.contract import Severity
from postkeel.maillog.following import writers
from postkeel.maillog.messages import domain_of
from postkeel.maillog.values import Notice, NoticeKind
from postkeel.postfix.instance import Instance, Role, Service
from postkeel.postfix.levels import RANKS, security_level
from postkeel_plugins.tls_log_monitor.memory import Alarm
from postkeel_plugins.tls_log_monitor.rules import (
    DANE_OFF,
    LINES_LOST,
    TLS_DISABLED,
    UNVERIFIED_RELAY,
)
from postkeel_plugins.tls_log_monitor.scene import Scene

_DANE: Final = ("dane", "dane-only")
_AUTHENTICATED: Final = RANKS["secure"]
_CLIENTS: Final = ("smtp", "lmtp")
_LISTS: Final = (("protocol list", "protocols"), ("cipher grade", "ciphers"))


def noticed(scene: Scene) -> Iterator[Alarm]:
    """What the batch's notices are alarms of."""
    for lost in scene.statistics.lost:
        yield scene.alarm(
            LINES_LOST,
            Severity.WARNING,
            parameter="maillog_file",
            effective="lines of the mail log lost",
            wanted="every line",
            text=lost,
            moment=scene.now,
        )
    for notice in scene.statistics.notices:
        moment = min(notice.time, scene.now)
        if scene.recent(moment):
            found = _of(notice, moment, scene)
            if found is not None:
                yield found


def _of(notice: Notice, moment: float, scene: Scene) -> Alarm | None:
    if notice.kind is NoticeKind.TLS_DISABLED:
        return _disabled(notice, moment, scene)
    if notice.kind is NoticeKind.VERIFICATION_FAILED:
        return _unverified(notice, moment, scene)
    if notice.kind is NoticeKind.DANE_UNAVAILABLE:
        return _dane_off(notice, moment, scene)
    return None


def _disabled(notice: Notice, moment: float, scene: Scene) -> Alarm:
    program = program_of(notice.name)
    family = program if program in _CLIENTS else "smtpd"
    ending = next((end for words, end in _LISTS if words in notice.text), "chain_files")
    return scene.alarm(
        TLS_DISABLED,
        Severity.ERROR,
        parameter=f"{family}_tls_{ending}",
        effective=f"{program} runs without TLS",
        wanted="TLS",
        text=notice.text,
        moment=moment,
        count=notice.count,
        service=only_writer(scene.instance, notice.name),
    )


def _unverified(notice: Notice, moment: float, scene: Scene) -> Alarm | None:
    program = program_of(notice.name)
    family = "smtp" if program == "tlsproxy" else program
    if scene.instance is None or family not in _CLIENTS:
        return None
    relay = relay_of(scene.instance, notice.peer)
    required = _required(scene.instance, family, notice.peer)
    if relay is None and not required:
        return None
    # A relay is the administrator's own word, and no stranger's name.
    shown = relay or scene.rename(notice.peer)
    return scene.alarm(
        UNVERIFIED_RELAY,
        Severity.ERROR if required else Severity.WARNING,
        parameter="relayhost" if relay else f"{family}_tls_security_level",
        effective=f"certificate of {shown} not verified",
        wanted="a certificate that verifies",
        text=notice.text if scene.rename(notice.peer) == notice.peer or relay else shown,
        moment=moment,
        count=notice.count,
    )


def relay_of(instance: Instance, peer: str) -> str | None:
    """The relayhost, when it is this peer (its domain, or its address in brackets)."""
    relay = instance.effective("relayhost").value
    host = relay.partition("]")[0].removeprefix("[") if "[" in relay else relay.partition(":")[0]
    known = host and peer in (domain_of(host.lower().rstrip(".")), f"[{host}]")
    return relay if known else None


def _required(instance: Instance, family: str, peer: str) -> bool:
    """Whether mail to this peer waits for a certificate that verifies."""
    level = security_level(instance, family)
    if level is not None and RANKS[level] == _AUTHENTICATED:
        return True
    return any(
        RANKS.get(level, 0) == _AUTHENTICATED and _domain(key) == peer
        for key, level in _policies(instance)
    )


def _policies(instance: Instance) -> Iterator[tuple[str, str]]:
    """Destination and level of the entries of all policy tables that could be read."""
    for entries in instance.policies.values():
        if isinstance(entries, dict):
            for key, entry in entries.items():
                yield key, entry.partition(" ")[0]


def _domain(key: str) -> str:
    """ "[mx.example.com]:587" and ".example.com" are of example.com."""
    host = key.removeprefix("[").partition("]")[0].partition(":")[0]
    return domain_of(host.lower())


def _dane_off(notice: Notice, moment: float, scene: Scene) -> Alarm | None:
    if scene.instance is not None and not _wants_dane(scene.instance):
        return None
    peer = scene.rename(notice.peer) if notice.peer else ""
    return scene.alarm(
        DANE_OFF,
        Severity.WARNING,
        parameter="smtp_tls_security_level" if peer else "smtp_dns_support_level",
        effective=f"TLSA records of {peer} unusable" if peer else "no DNSSEC validation",
        wanted="DANE",
        text=notice.text if peer == notice.peer else peer,
        moment=moment,
        count=notice.count,
    )


def _wants_dane(instance: Instance) -> bool:
    clients = (None, *instance.of_role(Role.SMTP_CLIENT))
    levels = {security_level(instance, "smtp", one) for one in clients}
    levels |= {level for _, level in _policies(instance)}
    return not levels.isdisjoint(_DANE)


def program_of(name: str) -> str:
    return name.rpartition("/")[2]


def only_writer(instance: Instance | None, name: str) -> str | None:
    """The service that wrote lines of this name, when it can have been one only."""
    found: tuple[Service, ...] = writers(instance, name) if instance else ()
    return found[0].name if len(found) == 1 else None
