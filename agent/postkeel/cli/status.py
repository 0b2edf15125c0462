"""`postkeel status`: what is guarded, the last outcome, holds, next timers."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import asdict, replace
from datetime import UTC, datetime

from postkeel.cli.opening import instances, open_configuration
from postkeel.cli.render import Paint, print_json
from postkeel.contract import Standing
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.model import Hold, Side
from postkeel.core.text import one_line
from postkeel.discovery import find_plugins
from postkeel.registry import Registry
from postkeel.shell.forked import answer_of
from postkeel.shell.holds import Holds
from postkeel.shell.instance_lock import guarded_by
from postkeel.shell.owner import become_owner
from postkeel.shell.status_file import AgentStatus, InstanceStatus, read_status

_MOST_ALARMS = 20
_REPORTERS_SECONDS = 10.0


@frozen
class _Row:
    """One instance: the processes of the two sides, what they say, and its hold."""

    directory: str
    pid: int | None
    monitor: int | None
    status: InstanceStatus | None
    hold: Hold | None


def main(arguments: Namespace) -> int:
    configuration, _ = open_configuration(arguments)
    monitor = _monitor(configuration)
    agent = read_status(configuration.runtime_directory)
    known = _known(configuration, agent, monitor)
    holds = Holds(configuration.state_directory)
    now = datetime.now(UTC)
    rows = [
        _Row(
            directory=directory,
            pid=guarded_by(directory, claimed=agent.pid if agent else 0),
            monitor=monitor,
            status=known.get(directory),
            hold=holds.current(directory, now),
        )
        for directory in instances(arguments)
    ]
    reporters, problems = _reporters(configuration)
    if arguments.format == "json":
        print_json(
            instances=[_data(one) for one in rows],
            reporters=[{"name": name, **asdict(one)} for name, one in reporters.items()],
            problems=problems,
        )
    else:
        paint = Paint(arguments)
        for row in rows:
            _print(configuration, paint, row)
        _print_reporters(paint, reporters, problems)
    return 0 if all(one.pid and one.monitor for one in rows) else 2


def _monitor(configuration: Configuration) -> int | None:
    """The process that follows the log: the agent itself, or one of the monitor's user."""
    directory = configuration.monitor_state_directory
    try:
        owner = os.stat(directory).st_uid
    except OSError:
        return None
    return guarded_by(directory, owner=owner)


def _known(
    configuration: Configuration, agent: AgentStatus | None, monitor: int | None
) -> dict[str, InstanceStatus]:
    """What the correcting side says of each instance, with what the other one adds."""
    known = {one.config_directory: one for one in agent.instances} if agent else {}
    if monitor is None or (agent and agent.pid == monitor):
        return known
    try:
        listening = read_status(configuration.monitor_runtime_directory)
    except PostkeelError as error:  # it must not hide what the correcting side says
        return {
            name: replace(one, problems=(*one.problems, str(error))) for name, one in known.items()
        }
    for one in listening.instances if listening else ():
        if one.config_directory in known:
            known[one.config_directory] = replace(
                known[one.config_directory],
                followed=one.followed,
                alarms=one.alarms,
                problems=(*known[one.config_directory].problems, *one.problems),
            )
    return known


def _reporters(configuration: Configuration) -> tuple[dict[str, Standing], list[str]]:
    """How those stand that hand reports to far away, as far as their files tell, and what fails.

    Security: the files are read as the monitor's user, whose they are, in a process that
    ends: a thread that hangs must not go on as root.
    """

    def asked() -> object:
        become_owner(configuration.monitor_state_directory)
        problems: list[str] = []
        found = registry.standings(problems, Side.MONITOR).items()
        return [(name, one.said, one.waiting, one.dropped) for name, one in found], problems

    try:
        registry = Registry(find_plugins(configuration), configuration)
        answers, problems = answer_of(asked, _REPORTERS_SECONDS)
    except PostkeelError as error:  # the agent goes on with what it has loaded
        return {}, [f"reporters: {error}"]
    return {
        name: Standing(said=tuple(said), waiting=waiting, dropped=dropped)
        for name, said, waiting, dropped in answers
    }, problems


def _data(row: _Row) -> dict[str, object]:
    hold = row.hold
    return {
        "config_directory": row.directory,
        "guarded": row.pid is not None,
        "pid": row.pid,
        "monitor": row.monitor,
        "last": asdict(row.status) if row.status and row.pid else None,
        "hold": None
        if hold is None
        else {
            "reason": hold.reason,
            "since": hold.since.isoformat(),
            "until": hold.until.isoformat() if hold.until else None,
        },
    }


def _print(configuration: Configuration, paint: Paint, row: _Row) -> None:
    settings = configuration.settings(row.directory)
    guard = (
        paint("good", f"guarded by process {row.pid}") if row.pid else paint("error", "not guarded")
    )
    print(f"{row.directory}: {guard}, mode {settings.mode.value}, profile {settings.profile}")
    if row.hold:
        until = f"{row.hold.until:%Y-%m-%d %H:%M:%S} UTC" if row.hold.until else "released"
        print(f"  held until {until}: {one_line(row.hold.reason)}")
    if row.pid and row.status:
        _print_status(paint, row.status)
    if row.monitor is None:
        print(f"  {paint('error', 'the mail log is not followed')}: no monitor runs")
    elif row.monitor != row.pid:
        print(f"  the mail log is followed by process {row.monitor}")


def _print_status(paint: Paint, status: InstanceStatus) -> None:
    print(
        f"  last round: {one_line(status.outcome)}, {status.findings} findings,"
        f" {one_line(status.time)} ({one_line(status.event)})"
    )
    for name, due in status.timers.items():
        print(f"  next {one_line(name)}: {one_line(due)}")
    for line in status.followed:
        print(f"  {one_line(line)}")
    for alarm in status.alarms[:_MOST_ALARMS]:
        print(f"  {paint('warning', 'alarm')} {one_line(alarm, 400)}")
    if len(status.alarms) > _MOST_ALARMS:
        print(f"  and {len(status.alarms) - _MOST_ALARMS} more alarms: see `postkeel history`")
    for problem in status.problems:
        print(f"  problem: {one_line(problem)}")


def _print_reporters(paint: Paint, reporters: dict[str, Standing], problems: list[str]) -> None:
    for name, standing in reporters.items():
        for said in standing.said:
            print(f"{one_line(name)}: {one_line(said, 400)}")
        if standing.dropped:
            lost = f"{standing.dropped} reports were dropped"
            print(f"{one_line(name)}: {paint('error', lost)} in all")
    for problem in problems:
        print(f"problem: {one_line(problem, 400)}")
