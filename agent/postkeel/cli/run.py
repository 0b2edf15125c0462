"""`postkeel run`: the agent, in the foreground."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace

from postkeel.cli.enforce import print_report
from postkeel.cli.opening import instances, open_all
from postkeel.cli.render import Paint
from postkeel.contract import Report, Side
from postkeel.shell.agent import Agent
from postkeel.shell.notify import Notifier
from postkeel.shell.office import Guarding
from postkeel.shell.suites import KeptSuites


def main(arguments: Namespace) -> int:
    gc.enable()
    paint = Paint(arguments)
    side = Side(arguments.side) if arguments.side else None
    suites = KeptSuites()

    def load() -> Guarding:
        opened = open_all(arguments, suites, acting=side is not Side.MONITOR)
        if side is Side.ROOT:
            opened.registry.leave(Side.MONITOR)
        return Guarding(
            configuration=opened.configuration,
            registry=opened.registry,
            instances=instances(arguments),
            served=opened.served,
        )

    def say(report: Report) -> None:
        if not sys.stdout.isatty():
            return
        if report.told:
            from postkeel.reporting.sentence import sentence

            print(sentence(report))
        else:
            print_report(report, paint)

    Agent(load, say, Notifier(os.environ), side).run()
    return 0
