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
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from postkeel.contract import (
    Absent,
    Event,
    EventKind,
    Facts,
    Finding,
    Interest,
    Need,
    Options,
    Outcome,
    Plan,
    Report,
)
from postkeel.core.configuration import Configuration
from postkeel.discovery import Found
from postkeel.postfix.instance import Instance, Parameter, Role, Service
from postkeel.registry import Registry

DIRECTORY = "/etc/postfix"
_TOUCHING = ("open", "socket.", "subprocess.", "os.", "shutil.", "sqlite3.", "ctypes.")


def sample_event(kind: EventKind = EventKind.REQUESTED) -> Event:
    """An event at a fixed moment."""
    moment = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    return Event(kind=kind, instance=DIRECTORY, time=moment)


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
    configuration = Configuration(plugins={name: options or {}})
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
    for facts in ({}, absent, sample_facts(), {**sample_facts(), **(given or {})}):
        for kind in EventKind:

            def look(
                problems: list[str], facts: Facts = facts, kind: EventKind = kind
            ) -> tuple[Finding, ...]:
                return registry.observe(sample_event(kind), DIRECTORY, facts, problems)

            yield from _pure("keel_observe", look)
            for finding in look([]):
                yield from _finding(finding)


def _finding(finding: object) -> Iterator[str]:
    if not isinstance(finding, Finding):
        yield f"keel_observe gives a {type(finding).__name__}, not a Finding"
        return
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
        registry.deliver(report, problems)
        yield from problems


class _Watched:
    """Collects the audit events of this thread that touch the system.

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
        if self._listening and event.startswith(_TOUCHING):
            self.events.add(event)
