"""`postkeel release`: resume correcting, after a hold or a contest."""

from __future__ import annotations

from argparse import Namespace

from postkeel.cli.opening import instances, open_configuration
from postkeel.cli.render import print_json
from postkeel.shell.history import History
from postkeel.shell.holds import Holds


def main(arguments: Namespace) -> int:
    configuration, _ = open_configuration(arguments)
    history = History(configuration.state_directory)
    holds = Holds(configuration.state_directory)
    released = []
    for directory in instances(arguments):
        # The history first: the agent wakes when the hold's file changes.
        contests = history.forget_corrections(directory)
        released.append((directory, holds.release(directory), contests))
    if arguments.format == "json":
        print_json(
            released=[
                {"config_directory": directory, "hold": held, "contest": contests > 0}
                for directory, held, contests in released
            ]
        )
        return 0
    for directory, held, contests in released:
        what = "the hold is over" if held else "there was no hold"
        print(
            f"{directory}: {what}" + ("; contested rules are corrected again" if contests else "")
        )
    return 0
