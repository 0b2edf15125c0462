"""An agent's office for tests: a loop and a wall clock that the test moves, and what was told."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from postkeel.contract import Report
from postkeel.core.configuration import Configuration, Reporting
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell.correcting import Correcting
from postkeel.shell.listening import Listened
from postkeel.shell.loop import Loop
from postkeel.shell.notify import Notifier
from postkeel.shell.office import Guarding
from postkeel.shell.status_file import InstanceStatus

DIRECTORY = "/etc/postfix"
ZONE = ZoneInfo("Europe/Berlin")


class Desk:
    """An `Office`. `wall` and the loop's clock go on together, unless the test sets one of them."""

    def __init__(
        self,
        path: Path,
        *,
        reporting: Reporting | None = None,
        found: tuple[Found, ...] = (),
        instances: tuple[str, ...] = (DIRECTORY,),
    ) -> None:
        self.path = path
        self.found = found
        self.steady = 1000.0
        self.wall = datetime(2026, 11, 23, 12, tzinfo=ZONE)
        self.notifier = Notifier({})
        self.loop = Loop(on_error=self._raise, clock=lambda: self.steady, draw=lambda: 0.5)
        self.reports: list[Report] = []
        self.complaints: list[str] = []
        self.turns: list[float] = []
        self.listens = Listened(followed=(), alarms=())
        self.corrects = Correcting(instances={}, guarded=frozenset())
        self.configure(reporting or Reporting(), instances)

    def configure(self, reporting: Reporting, instances: tuple[str, ...] = (DIRECTORY,)) -> None:
        """What a reload does."""
        configuration = Configuration(
            state_directory=str(self.path / "state"),
            runtime_directory=str(self.path / "run"),
            reporting=reporting,
        )
        self.guarding = Guarding(
            configuration=configuration,
            registry=Registry(self.found, configuration),
            instances=instances,
        )

    def now(self) -> datetime:
        return self.wall

    def correcting(self) -> Correcting:
        return self.corrects

    def listened(self, _: str) -> Listened:
        return self.listens

    def guarded(self, status: InstanceStatus) -> None:
        """The side that corrects runs, and says this."""
        name = status.config_directory
        self.corrects = Correcting(instances={name: status}, guarded=frozenset({name}))

    def deliver(self, report: Report) -> None:
        self.reports.append(report)

    def complain(self, error: Exception, before: str = "") -> None:
        self.complaints.append(f"{before}{error}")

    def refresh(self) -> None:
        raise NotImplementedError

    def is_outdated(self) -> bool:
        return False

    def leave(self, reason: str) -> None:
        raise NotImplementedError

    def turn(self) -> None:
        """What is due now."""
        self.loop.wake(self.loop.stop)
        self.loop.run_until_stopped()

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on, and the loop wake whenever a timer is due; `turns` says when."""
        end = self.steady + seconds
        while due := [one for one in self.loop.due_times().values() if one <= end]:
            step = max(0.0, min(due) - self.steady)
            self._go(step)
            self.turns.append(self.steady)
            self.turn()
        self._go(end - self.steady)

    def _go(self, seconds: float) -> None:
        self.steady += seconds
        self.wall = (self.wall.astimezone(ZoneInfo("UTC")) + timedelta(seconds=seconds)).astimezone(
            ZONE
        )

    def _raise(self, error: Exception) -> None:
        raise error
