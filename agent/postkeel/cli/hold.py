"""`postkeel hold`: stop correcting, keep watching and reporting."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime

from postkeel.cli.opening import instances, open_configuration
from postkeel.cli.render import print_json
from postkeel.core.duration import parse_duration
from postkeel.core.text import one_line
from postkeel.shell.holds import Holds


def main(arguments: Namespace) -> int:
    configuration, _ = open_configuration(arguments)
    holds = Holds(configuration.state_directory)
    now = datetime.now(UTC)
    until = now + parse_duration(arguments.duration) if arguments.duration else None
    held = [
        holds.hold(directory, until, arguments.reason, now) for directory in instances(arguments)
    ]
    if arguments.format == "json":
        print_json(
            holds=[
                {
                    "config_directory": one.instance,
                    "reason": one.reason,
                    "until": one.until.isoformat() if one.until else None,
                }
                for one in held
            ]
        )
        return 0
    for one in held:
        end = (
            f"until {one.until:%Y-%m-%d %H:%M:%S} UTC" if one.until else "until `postkeel release`"
        )
        print(f"{one.instance}: held {end}: {one_line(one.reason)}")
    return 0
