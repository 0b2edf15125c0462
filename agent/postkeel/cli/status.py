"""`postkeel status`: what is guarded, the last outcome, holds, next timers."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime

from postkeel.cli.opening import instances, open_configuration
from postkeel.cli.render import Paint, print_json
from postkeel.core.configuration import Configuration
from postkeel.core.model import Hold
from postkeel.core.text import one_line
from postkeel.shell.holds import Holds
from postkeel.shell.instance_lock import guarded_by
from postkeel.shell.status_file import InstanceStatus, read_status

_MOST_ALARMS = 20


def main(arguments: Namespace) -> int:
    configuration, _ = open_configuration(arguments)
    agent = read_status(configuration.runtime_directory)
    known = {one.config_directory: one for one in agent.instances} if agent else {}
    holds = Holds(configuration.state_directory)
    now = datetime.now(UTC)
    rows = [
        (directory, guarded_by(directory), known.get(directory), holds.current(directory, now))
        for directory in instances(arguments)
    ]
    if arguments.format == "json":
        print_json(instances=[_data(*row) for row in rows])
    else:
        paint = Paint(arguments)
        for row in rows:
            _print(configuration, paint, *row)
    return 0 if all(pid for _, pid, _, _ in rows) else 2


def _data(
    directory: str, pid: int | None, status: InstanceStatus | None, hold: Hold | None
) -> dict[str, object]:
    return {
        "config_directory": directory,
        "guarded": pid is not None,
        "pid": pid,
        "last": asdict(status) if status and pid else None,
        "hold": None
        if hold is None
        else {
            "reason": hold.reason,
            "since": hold.since.isoformat(),
            "until": hold.until.isoformat() if hold.until else None,
        },
    }


def _print(
    configuration: Configuration,
    paint: Paint,
    directory: str,
    pid: int | None,
    status: InstanceStatus | None,
    hold: Hold | None,
) -> None:
    settings = configuration.settings(directory)
    guard = paint("good", f"guarded by process {pid}") if pid else paint("error", "not guarded")
    print(f"{directory}: {guard}, mode {settings.mode.value}, profile {settings.profile}")
    if hold:
        until = f"{hold.until:%Y-%m-%d %H:%M:%S} UTC" if hold.until else "released"
        print(f"  held until {until}: {one_line(hold.reason)}")
    if pid is None or status is None:
        return
    print(
        f"  last round: {status.outcome}, {status.findings} findings,"
        f" {status.time} ({status.event})"
    )
    for name, due in status.timers.items():
        print(f"  next {name}: {due}")
    for line in status.followed:
        print(f"  {one_line(line)}")
    for alarm in status.alarms[:_MOST_ALARMS]:
        print(f"  {paint('warning', 'alarm')} {one_line(alarm, 400)}")
    if len(status.alarms) > _MOST_ALARMS:
        print(f"  and {len(status.alarms) - _MOST_ALARMS} more alarms: see `postkeel history`")
    for problem in status.problems:
        print(f"  problem: {one_line(problem)}")
