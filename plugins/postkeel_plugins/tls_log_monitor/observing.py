"""One event of the log monitor: lines become records, and alarms that begin, stand or end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC

from postkeel.contract import (
    CheckNow,
    Event,
    Facts,
    Interest,
    LogBatch,
    Need,
    Observation,
    Options,
    Profile,
    Records,
    Row,
    Timer,
)
from postkeel.maillog.following import AUTO, log_to_follow, syslog_names
from postkeel.maillog.reader import Reader
from postkeel.maillog.stored import keep, to_records
from postkeel.maillog.tally import Tally
from postkeel.maillog.values import OTHERS, Statistics
from postkeel.postfix.instance import Instance
from postkeel_plugins.tls_log_monitor.failures import count_failures, failing
from postkeel_plugins.tls_log_monitor.levels_logged import logged_too_little_or_much
from postkeel_plugins.tls_log_monitor.memory import Memory, Suspect
from postkeel_plugins.tls_log_monitor.notices import noticed
from postkeel_plugins.tls_log_monitor.rules import TLS_DISABLED, WEAKER_THAN_CONFIGURED
from postkeel_plugins.tls_log_monitor.scene import Scene
from postkeel_plugins.tls_log_monitor.sessions import (
    always_had_tls,
    contradictions,
    suspects,
    unlogged,
)

_ASKED_AT_ONCE = 10
"""Peers whose records are asked for in one round."""
_PSEUDONYM = "(peer "
_CHECK_FOR = (TLS_DISABLED.id, WEAKER_THAN_CONFIGURED.id)


def interests(instance: str, options: Options, facts: Facts) -> Interest:
    """The log to follow, and the facts that judge what is in it."""
    postfix = Need(kind="postfix", subject=instance)
    needs = [
        Need(kind=kind, subject=instance) for kind in ("postfix", "profile", "state", "secret")
    ]
    known = facts.get(postfix)
    log = None
    chosen = str(options.get("log", AUTO))
    if postfix in facts or chosen != AUTO:
        log = log_to_follow(instance, known if isinstance(known, Instance) else None, chosen)
    return Interest(
        timers=(Timer(name="alarms", every=60),),
        needs=(*needs, *(need for _, need in _asked(Memory(facts.get(needs[2]))))),
        log=log,
    )


def _asked(memory: Memory) -> Iterator[tuple[Suspect, Need]]:
    """The suspects that come next, each with the records that judge it."""
    for suspect in list(memory.suspects.values())[:_ASKED_AT_ONCE]:
        yield suspect, Need(kind="records", subject=f"connections {suspect.peer}")


def observe(event: Event, instance: str, facts: Facts, options: Options) -> Iterable[Observation]:
    """The records and alarms that this event comes to."""
    before = facts.get(Need(kind="state", subject=instance))
    memory = Memory(before)
    now, window = event.time.timestamp(), _window(options)
    postfix = facts.get(Need(kind="postfix", subject=instance))
    known = postfix if isinstance(postfix, Instance) else None
    asked = tuple(_asked(memory))
    # First of all: what is over has nothing to do with what comes now.
    memory.forget(now, window)
    add = _take(event, event.batch, memory, facts, options) if event.batch is not None else {}
    _judge_suspects(memory, asked, facts)
    after = memory.written()
    changed = event.batch is not None or after != before
    return (
        *((Records(add=add, state=after),) if changed else ()),
        *memory.standing(),
        *failing(memory.rates, now, window),
        *(logged_too_little_or_much(known) if known is not None else ()),
        *_checks(memory),
    )


def _take(
    event: Event, batch: LogBatch, memory: Memory, facts: Facts, options: Options
) -> Mapping[str, Mapping[Row, tuple[int, ...]]]:
    """Count the lines, judge them, and say what to add to the records."""
    instance = event.instance
    postfix = facts.get(Need(kind="postfix", subject=instance))
    profile = facts.get(Need(kind="profile", subject=instance))
    known = postfix if isinstance(postfix, Instance) else None
    rename = _rename(options, facts.get(Need(kind="secret", subject=instance)))
    statistics = _read(event, batch, memory, known, rename)
    scene = Scene(
        statistics=statistics,
        now=event.time.timestamp(),
        window=_window(options),
        source=batch.source,
        instance=known,
        profile=profile if isinstance(profile, Profile) else None,
        rename=rename,
    )
    _judge(scene, memory)
    return to_records(_dated(statistics, event), rename)


def _read(
    event: Event,
    batch: LogBatch,
    memory: Memory,
    instance: Instance | None,
    rename: Callable[[str], str],
) -> Statistics:
    tally = Tally()
    reader = Reader(
        tally,
        now=event.time,
        zone=event.time.tzinfo or UTC,
        state=memory.reader,
        syslog_names=syslog_names(instance),
        rename=rename,
    )
    reader.read(batch.text)
    memory.reader = reader.state()
    return tally.statistics(lost=batch.lost, proven=batch.proven)


def _dated(statistics: Statistics, event: Event) -> Statistics:
    """Lines of nobody's time are counted now."""
    if statistics.last is not None:
        return statistics
    return replace(statistics, last=event.time.astimezone(UTC))


def _judge(scene: Scene, memory: Memory) -> None:
    for judge in (noticed, contradictions, unlogged):
        for alarm in judge(scene):
            memory.raise_alarm(alarm)
    for suspect in suspects(scene):
        memory.suspect(suspect)
    count_failures(scene, memory.rates)


def _judge_suspects(memory: Memory, asked: Iterable[tuple[Suspect, Need]], facts: Facts) -> None:
    """Those whose records were asked for; what else lies there is of an earlier time."""
    for suspect, need in asked:
        rows = facts.get(need)
        current = memory.suspects.get(suspect.key)
        if current is not None and isinstance(rows, (tuple, list)):
            memory.judged(current, guilty=always_had_tls(current, rows))


def _checks(memory: Memory) -> Iterator[CheckNow]:
    """Where the log speaks against the configuration, whoever corrects it looks again."""
    reasons = sorted({one.effective for one in memory.new if one.rule in _CHECK_FOR})
    if reasons:
        yield CheckNow(reason=f"the mail log says: {'; '.join(reasons)}")


def _rename(options: Options, secret: object) -> Callable[[str], str]:
    """Under which name a peer is kept; a name that this gave stays as it is.

    Without a secret no pseudonym would hide anything.
    """
    chosen = options.get("peers", "domain")
    if chosen == "domain":
        return keep
    if chosen != "pseudonym" or not isinstance(secret, bytes):
        return lambda _: OTHERS
    from hashlib import blake2b  # which loads OpenSSL into an agent that is to be small

    def pseudonym(peer: str) -> str:
        # No name in the log has a blank, so none can pass for a pseudonym.
        if peer.startswith(_PSEUDONYM):
            return peer
        return f"{_PSEUDONYM}{blake2b(peer.encode(), key=secret, digest_size=6).hexdigest()})"

    return pseudonym


def _window(options: Options) -> float:
    hours = options.get("alarm_hours", 1)
    return 3600.0 * hours if isinstance(hours, int) else 3600.0
