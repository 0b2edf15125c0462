"""One event: a probe is judged and remembered, sampled mail is counted, what stands is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from postkeel.contract import (
    CheckNow,
    Depth,
    Event,
    Facts,
    Finding,
    Need,
    Observation,
    Options,
    ProbeResult,
    Records,
    Row,
    Severity,
)
from postkeel.postfix.instance import Instance
from postkeel.postfix.targets import targets
from postkeel_plugins.header_checker.addressing import Unaddressed, recipient_of
from postkeel_plugins.header_checker.complaints import findings
from postkeel_plugins.header_checker.counting import count_probes, hour_of
from postkeel_plugins.header_checker.memory import Memory, read_memory, remember
from postkeel_plugins.header_checker.options import CREDENTIALS, EVERY, number, text
from postkeel_plugins.header_checker.rules import MAILBOX, WITHOUT_TLS
from postkeel_plugins.header_checker.tables import DISAGREE
from postkeel_plugins.header_checker.verdicts import Seen, complaints_of, see

_LEVEL: Final = "smtpd_tls_security_level"
_Add = Mapping[str, Mapping[Row, tuple[int, ...]]]


def observe(event: Event, directory: str, facts: Facts, options: Options) -> Iterable[Observation]:
    """What this event adds to the counts, and all that stands after it."""
    postfix = facts.get(Need(kind="postfix", subject=directory))
    instance = postfix if isinstance(postfix, Instance) else None
    memory = read_memory(facts.get(Need(kind="state", subject=directory)))
    add: dict[str, Mapping[Row, tuple[int, ...]]] = {}
    checks: tuple[CheckNow, ...] = ()
    if event.probe is not None:
        seen = _seen(event.probe, instance, memory)
        memory = _remembered(event, event.probe, seen)
        add.update(count_probes(hour_of(event.time), seen, event.probe.late))
        checks = tuple(_checks(seen))
    if event.headers:
        add.update(_counted(event, instance, options))
    changed = event.probe is not None or bool(event.headers)
    return (
        *((Records(add=add, state=memory.written()),) if changed else ()),
        *_standing(memory, instance, options),
        *checks,
    )


def _seen(result: ProbeResult, instance: Instance | None, memory: Memory) -> tuple[Seen, ...]:
    before = memory.not_delivered
    return tuple(see(one, instance, again=str(one.target) in before) for one in result.probed)


def _remembered(event: Event, result: ProbeResult, seen: tuple[Seen, ...]) -> Memory:
    return remember(event.time.timestamp(), result, seen, complaints_of(result, seen))


def _checks(seen: Iterable[Seen]) -> Iterator[CheckNow]:
    """Where the witnesses contradict, whoever corrects the configuration looks again."""
    places = [str(one.probed.target) for one in seen if one.outcome == DISAGREE]
    if places:
        yield CheckNow(reason=f"the witnesses of a probe disagree: {', '.join(places)}")


def _counted(event: Event, instance: Instance | None, options: Options) -> _Add:
    from postkeel_plugins.header_checker.passing import count_mail

    return count_mail(hour_of(event.time), event.headers, instance, options)


def _standing(memory: Memory, instance: Instance | None, options: Options) -> Iterator[Finding]:
    """Without probes nothing stands: nobody would find that it is over."""
    if not number(options, EVERY):
        return
    yield from findings(memory.complaints, instance)
    if instance is not None:
        yield from _hindrances(instance, options)


def _hindrances(instance: Instance, options: Options) -> Iterator[Finding]:
    """Why no probe is sent, though the options ask for it."""
    if not targets(instance, credentials=bool(text(options, CREDENTIALS))):
        yield Finding(
            rule=WITHOUT_TLS.id,
            severity=Severity.WARNING,
            depth=Depth.EFFECTIVE,
            parameter=_LEVEL,
            where=instance.where(_LEVEL),
            effective=instance.effective(_LEVEL).value,
            wanted="a service that offers TLS",
            why="No probe is sent: no service offers TLS to clients, or those that do want a login"
            f" and there are no credentials. {WITHOUT_TLS.why}",
        )
    recipient = recipient_of(instance, options)
    if isinstance(recipient, Unaddressed):
        yield Finding(
            rule=MAILBOX.id,
            severity=Severity.WARNING,
            depth=Depth.EFFECTIVE,
            parameter=recipient.parameter,
            where=recipient.where,
            effective=recipient.value,
            wanted="a recipient that is certain",
            why=f"No probe is sent: {recipient.says}. {MAILBOX.why}",
        )
