"""`postkeel headers --probe`: a message through each service, and what three witnesses say."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from postkeel.cli.opening import Opened, finish, instances, of_each, open_all
from postkeel.cli.progress import Waiting
from postkeel.contract import Event, EventKind, Facts, Finding, Need, Probe, ProbeResult
from postkeel.core.decide import Policy, decide, dry
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.model import Judged, Mode, Outcome, Severity
from postkeel.core.text import one_line
from postkeel.registry import Loaded

JUDGE: Final = "header_checker"
_EVERY: Final = "probe_every"
_ONCE: Final = 3600
"""Stands for an option that wants no probes: this one was asked for."""
_GROUPS: Final = ("adm", "systemd-journal")
"""In which the monitor's unit is besides its own, to read the mail log."""


@frozen
class Look:
    """One instance: what came of its probe, and what is found in that."""

    directory: str
    wanted: Probe
    result: ProbeResult
    judged: tuple[Judged, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether there is an error or a warning that nobody waived."""
        return any(
            one.outcome is not Outcome.WAIVED and one.finding.severity is not Severity.INFO
            for one in self.judged
        )


def main(arguments: Namespace) -> int:
    """Exit status 2 when the witnesses disagree or a probe did not come through."""
    opened = open_all(arguments)
    with Waiting("sending a message through each service, and waiting for it"):
        looks, complaint = of_each(instances(arguments), lambda one: look(opened, one, arguments))
    if arguments.format == "json":
        from postkeel.cli.headers_probe_shown import data
        from postkeel.cli.render import print_json

        print_json(probes=[data(one) for one in looks])
    else:
        from postkeel.cli.headers_probe_shown import lines
        from postkeel.cli.render import Paint

        for one in looks:
            for line in lines(one, Paint(arguments)):
                print(line)
    return finish(complaint, 2 if any(one.is_open for one in looks) else 0)


def look(opened: Opened, directory: str, arguments: Namespace) -> Look:
    """Make one probe as the monitor would, and have its plugin judge.

    Errors: PostkeelError when none can be made.
    """
    from postkeel.shell.postfix_facts import gather_instance

    plugin = _judge(opened)
    plugin.options = {**plugin.options, _EVERY: plugin.options.get(_EVERY) or _ONCE}
    instance = gather_instance(directory, defaults=arguments.defaults)
    facts: Facts = {Need(kind="postfix", subject=directory): instance}
    problems: list[str] = []
    wishes = opened.registry.interests(directory, facts, problems, [plugin])
    wanted = next((one.probe for _, one in wishes if one.probe is not None), None)
    if wanted is None:
        raise PostkeelError(_why_none(opened, plugin, directory, facts, problems))
    result = _made(wanted, opened.configuration.monitor_state_directory)
    findings = _observed(opened, plugin, directory, facts, result, problems)
    time = datetime.now(UTC)
    policy = Policy(mode=Mode.AUDIT, today=time.date(), waivers=opened.configuration.waivers)
    return Look(
        directory=directory,
        wanted=wanted,
        result=result,
        judged=dry(decide([replace(one, remedy=()) for one in findings], policy)),
        problems=tuple(problems),
    )


def _judge(opened: Opened) -> Loaded:
    for one in opened.registry.plugins:
        if one.name == JUDGE:
            return one
    rejected = {one.name: one.reason for one in opened.registry.rejected}
    raise PostkeelError(f"plugin {JUDGE}: {rejected.get(JUDGE, 'not loaded')}")


def _why_none(
    opened: Opened, plugin: Loaded, directory: str, facts: Facts, problems: list[str]
) -> str:
    found = _observed(opened, plugin, directory, facts, None, problems)
    reason = next((one.why for one in found), "") or next(iter(problems), "")
    reason = reason or "no service offers TLS, or those that do want credentials"
    return f"{one_line(directory, 200)}: no probe can be made: {reason}"


def _observed(
    opened: Opened,
    plugin: Loaded,
    directory: str,
    facts: Facts,
    result: ProbeResult | None,
    problems: list[str],
) -> list[Finding]:
    """result: None before a probe is made."""
    event = Event(
        kind=EventKind.STARTED if result is None else EventKind.PROBED,
        instance=directory,
        time=datetime.now(UTC).astimezone(),
        probe=result,
    )
    observed = opened.registry.observe(event, directory, facts, problems, [plugin])
    return [one for one in observed if isinstance(one, Finding)]


def _made(wanted: Probe, directory: str) -> ProbeResult:
    """The probe, made as the monitor's user where this is root.

    directory: the monitor's state. Errors: PostkeelError.
    """
    from postkeel.shell.forked import answer_of
    from postkeel.shell.probe import longest, result_of

    _must_be_let_in(directory)
    told: Any = answer_of(lambda: _as_monitor(wanted, directory), longest(wanted))
    return result_of(told, wanted)


def _must_be_let_in(directory: str) -> None:
    """Errors: PostkeelError for who could not take out of the mailbox what comes into it."""
    try:
        os.scandir(directory).close()
    except FileNotFoundError:
        return
    except OSError:
        raise PostkeelError(
            "a probe comes into the mailbox of the monitor's user: make it as root"
        ) from None


def _as_monitor(wanted: Probe, directory: str) -> object:
    """In a process of its own, which is the monitor's user from then on."""
    from postkeel.shell.monitor_facts import host_secret
    from postkeel.shell.owner import become_owner
    from postkeel.shell.probe import load, probe_once, told

    load(wanted)  # the owner may not read where Python is
    become_owner(directory, *_GROUPS)
    try:
        secret = host_secret(os.path.join(directory, "secret"))
    except (PostkeelError, OSError):
        secret = os.urandom(32)  # where no monitor ever ran, or another user asks
    return told(probe_once(wanted, directory, secret))
