"""The conformance kit: is this a plugin that postkeel can rely on?

For plugin authors, in their own test suite:

    import banner_plugin
    from postkeel.conformance import broken_promises, sample_event, sample_facts

    def test_keeps_the_contract():
        assert broken_promises(banner_plugin, "banner") == []

Each promise that is not kept comes back as a sentence. The hooks that must be
pure are run under Python's audit events (PEP 578), which see files, sockets
and processes; a clock they cannot see, so two calls must also agree.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Any, Self

from postkeel.contract import (
    Absent,
    Card,
    CheckNow,
    Event,
    EventKind,
    Facts,
    Finding,
    Interest,
    LogBatch,
    LookAgain,
    Need,
    Options,
    Outcome,
    Plan,
    Probed,
    ProbeResult,
    Records,
    Report,
    Side,
    Table,
    Target,
)
from postkeel.core.configuration import Configuration
from postkeel.discovery import Found
from postkeel.postfix.instance import Instance, Parameter, Role, Service
from postkeel.registry import Registry

DIRECTORY = "/etc/postfix"
_TOUCHING = ("open", "socket.", "subprocess.", "os.", "shutil.", "sqlite3.", "ctypes.")


_HOUR = 3600


def sample_event(
    kind: EventKind = EventKind.REQUESTED,
    batch: LogBatch | None = None,
    probe: ProbeResult | None = None,
    headers: tuple[bytes, ...] = (),
) -> Event:
    """An event at a fixed moment."""
    moment = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    return Event(
        kind=kind, instance=DIRECTORY, time=moment, batch=batch, probe=probe, headers=headers
    )


def sample_header() -> bytes:
    """A Received field as Postfix writes it, and octets of no meaning."""
    return (
        b"Received: from mx.example.com (mx.example.com [192.0.2.1])\r\n"
        b"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n"
        b"\tby mx.example.test (Postfix) with ESMTPS id 4XYZ;"
        b" Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        b"Received: \xff(\x00\r\n"
    )


def sample_probe() -> ProbeResult:
    """A message that came back, one that was refused, and trouble with the mailbox."""
    target = Target(service="smtp/inet", host="127.0.0.1", port="25")
    back = Probed(
        target=target,
        protocol="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        bits=256,
        queue_id="4XYZ",
        header=sample_header(),
        lines=sample_batch().text,
        seconds=0.5,
    )
    refused = Probed(target=target, stage="RCPT", code=450, problem="4.2.0 Greylisted \x1b")
    return ProbeResult(probed=(back, refused), late=(86_400.0,), others=1, problem="locked")


def sample_batch() -> LogBatch:
    """Lines of that moment: a session with TLS, one in clear text, and octets of no meaning."""
    lines = (
        b"postfix/smtpd[7]: connect from mx.example.com[192.0.2.1]",
        (
            b"postfix/smtpd[7]: Anonymous TLS connection established from mx.example.com[192.0.2.1]"
            b": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
        ),
        (
            b"postfix/smtpd[7]: disconnect from mx.example.com[192.0.2.1] ehlo=2 starttls=1 mail=1"
            b" data=1 commands=5"
        ),
        b"postfix/smtpd[8]: connect from mx.example.org[192.0.2.2]",
        (
            b"postfix/smtpd[8]: disconnect from mx.example.org[192.0.2.2] ehlo=1 mail=1 data=1"
            b" commands=3"
        ),
        b"\xff\x00]: [\x1b",
    )
    text = b"".join(b"2026-11-23T12:00:00.000000+00:00 mx %s\n" % line for line in lines)
    return LogBatch(source="journal", text=text, proven=True, lost=("some lines were lost",))


def sample_facts(parameters: Mapping[str, str] | None = None, **more: str) -> Facts:
    """The "postfix" fact of a small instance with these main.cf parameters."""
    given = {"smtpd_banner": "$myhostname ESMTP", **(parameters or {}), **more}
    instance = Instance(
        config_directory=DIRECTORY,
        version="3.7.11",
        openssl="OpenSSL 3.0.0 7 sep 2021",
        map_types=("btree", "hash"),
        parameters={
            name: Parameter(value=value, where=f"main.cf:{line}")
            for line, (name, value) in enumerate(given.items(), start=1)
        },
        defaults={"mail_version": "3.7.11", "myhostname": "mx.example.test"},
        services=(
            Service(name="smtp/inet", command="smtpd", where="master.cf:1", role=Role.MX),
            Service(name="smtp/unix", command="smtp", where="master.cf:2", role=Role.SMTP_CLIENT),
        ),
    )
    return {Need(kind="postfix", subject=DIRECTORY): instance}


def broken_promises(
    plugin: object, name: str, facts: Facts | None = None, options: Options | None = None
) -> list[str]:
    """What this plugin, registered under this entry point, does against the contract.

    facts: used beside the sample, and beside no facts at all; give those that
    your plugin asks for. options: `[plugins.NAME]`; default: the card's defaults.
    """
    with TemporaryDirectory() as place:
        configuration = Configuration(
            plugins={name: options or {}}, state_directory=place, runtime_directory=place
        )
        registry = Registry(
            [Found(name=name, source="conformance", load=lambda: plugin)], configuration
        )
        if registry.rejected:
            return [f"rejected: {registry.rejected[0].reason}"]
        return [
            *_interests(registry),
            *_facts(registry),
            *_findings(registry, facts),
            *_deliver(registry),
        ]


def _pure(hook: str, call: Callable[[list[str]], Any]) -> Iterator[str]:
    """What is wrong with a call that must touch nothing and say the same twice."""
    problems: list[str] = []
    with _Watched() as touched:
        first, second = call(problems), call(problems)
    yield from problems
    if touched.events:
        yield f"{hook} touches the system: {', '.join(sorted(touched.events))}"
    if first != second:
        yield f"{hook} says different things of the same facts"


def _interests(registry: Registry) -> Iterator[str]:
    card = registry.plugins[0].card
    for facts in ({}, sample_facts()):

        def ask(problems: list[str], facts: Facts = facts) -> list[Interest]:
            return [one for _, one in registry.interests(DIRECTORY, facts, problems)]

        yield from _pure("keel_interests", ask)
        for interest in ask([]):
            yield from (
                f"keel_interests: {path!r} is not an absolute path"
                for path in interest.paths
                if not path.startswith("/")
            )
            yield from (
                f"keel_interests: timer {timer.name!r} must come every second or more"
                for timer in interest.timers
                if timer.every < 1 or timer.splay < 0
            )
            yield from _listening(card, interest)


def _listening(card: Card, interest: Interest) -> Iterator[str]:
    """What is wrong with wishes that only a monitor may have."""
    wishes = {
        "log lines are": interest.log,
        "probes are": interest.probe,
        "mailboxes are": interest.mailboxes,
    }
    for name, wish in wishes.items():
        if wish is not None and card.side is not Side.MONITOR:
            yield f"keel_interests: {name} for plugins of side monitor"
    logs = [one for one in (interest.log, interest.probe and interest.probe.log) if one]
    names = [name for one in logs for name in (one.file, *one.programs)]
    names += interest.mailboxes.paths if interest.mailboxes else ()
    for name in names:
        if name and not name.startswith("/"):
            yield f"keel_interests: {name!r} is not an absolute file name"
    if interest.probe and not interest.probe.targets:
        yield "keel_interests: a probe has a target at least"


def _facts(registry: Registry) -> Iterator[str]:
    problems: list[str] = []
    need = Need(kind="conformance: a fact that no plugin knows", subject="nothing")
    answer = registry.gather([need], problems)[need]
    yield from problems
    if not isinstance(answer, Absent):
        yield "keel_gather answers a need that it cannot know; return None for those"


def _findings(registry: Registry, given: Facts | None) -> Iterator[str]:
    needs = [
        need for _, one in registry.interests(DIRECTORY, sample_facts(), []) for need in one.needs
    ]
    absent: Facts = {need: Absent(reason="not to be had") for need in needs}
    card = registry.plugins[0].card
    events = [sample_event(kind) for kind in EventKind]
    events.append(sample_event(EventKind.LOG_LINES, sample_batch()))
    events.append(sample_event(EventKind.PROBED, probe=sample_probe()))
    events.append(sample_event(EventKind.MESSAGES, headers=(sample_header(), b"")))
    for facts in ({}, absent, sample_facts(), {**sample_facts(), **(given or {})}):
        for event in events:

            def look(
                problems: list[str], facts: Facts = facts, event: Event = event
            ) -> tuple[object, ...]:
                return registry.observe(event, DIRECTORY, facts, problems)

            yield from _pure("keel_observe", look)
            answer = look([])
            if sum(isinstance(one, Records) for one in answer) > 1:
                yield "keel_observe gives more than one Records"
            for one in answer:
                yield from _given(card, one)


def _given(card: Card, one: object) -> Iterator[str]:
    if isinstance(one, Records):
        yield from _records(card, one)
    elif isinstance(one, CheckNow):
        if card.side is not Side.MONITOR or not one.reason.strip():
            yield "keel_observe: a CheckNow is for plugins of side monitor, and has a reason"
    elif isinstance(one, LookAgain):
        if card.side is not Side.ROOT or one.seconds <= 0 or not one.reason.strip():
            yield "keel_observe: a LookAgain is for side root, has seconds above 0 and a reason"
    elif isinstance(one, Finding):
        yield from _finding(one)
        if card.side is Side.MONITOR and one.remedy:
            yield f"finding {one.rule!r}: side monitor cannot write; leave the remedy out"
    else:
        yield f"keel_observe gives a {type(one).__name__}, not a Finding"


def _records(card: Card, records: Records) -> Iterator[str]:
    import json

    tables = {table.name: table for table in card.tables}
    if not tables:
        yield "keel_observe gives Records, and the card has no tables"
    for name, rows in records.add.items():
        if name not in tables:
            yield f"records: the card has no table {name!r}"
            continue
        for row, counters in rows.items():
            if not _fits(tables[name], row, counters):
                yield f"records: {row!r} with {counters!r} does not fit table {name!r}"
    try:
        json.dumps(records.state)
    except (TypeError, ValueError) as error:
        yield f"records: the state is not of JSON's types: {error}"


def _fits(table: Table, row: tuple[object, ...], counters: tuple[object, ...]) -> bool:
    hour = row[0] if row else None
    return (
        isinstance(hour, int)
        and hour % _HOUR == 0
        and len(row) == 1 + len(table.key)
        and all(isinstance(one, (int, str)) for one in row)
        and len(counters) == len(table.counters)
        and all(isinstance(one, int) and one >= 0 for one in counters)
    )


def _finding(finding: Finding) -> Iterator[str]:
    for key in ("rule", "parameter", "where", "why"):
        if not getattr(finding, key).strip():
            yield f"finding {finding.rule!r}: {key} is empty"
    if finding.where != "default" and not finding.where.startswith(("main.cf:", "master.cf:")):
        yield f"finding {finding.rule!r}: where {finding.where!r} is no main.cf:LINE or the like"


def _deliver(registry: Registry) -> Iterator[str]:
    event = sample_event()
    report = Report(
        instance=DIRECTORY, event=event, outcome=Outcome.CLEAN, judged=(), plan=Plan(), seconds=0.1
    )
    for _ in range(2):
        problems: list[str] = []
        registry.begin(problems)
        registry.deliver(report, problems)
        registry.standings(problems, registry.plugins[0].card.side)
        yield from problems


class _Watched:
    """Collects the audit events that touch the system, but for those of an import.

    An audit hook stays for the life of the process; this one listens only
    between enter and exit.
    """

    def __init__(self) -> None:
        self.events: set[str] = set()
        self._listening = False

    def __enter__(self) -> Self:
        sys.addaudithook(self._hear)
        self._listening = True
        return self

    def __exit__(self, *_: object) -> None:
        self._listening = False

    def _hear(self, event: str, _: tuple[object, ...]) -> None:
        if self._listening and event.startswith(_TOUCHING) and not _importing():
            self.events.add(event)


def _importing() -> bool:
    """Whether the caller is on behalf of an import, which a hook may put off to its first call."""
    frames = traceback.walk_stack(None)
    return any(one.f_globals.get("__name__") == "importlib._bootstrap" for one, _ in frames)
