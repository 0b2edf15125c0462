"""The side "monitor": what its plugins find is handed on, and the other side asked to check."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from postkeel.contract import Absent, Facts, Need, Outcome, Records, Report
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.news import alarms, differs, over
from postkeel.shell.history import History
from postkeel.shell.monitoring import Monitoring
from postkeel.shell.office import Guarding, Office, packages_file
from postkeel.shell.watch import Watcher

FACTS = ("postfix", "profile")
"""What the monitors must know of an instance."""
LOOK_AGAIN_SECONDS = 900.0
"""A change that no event told of is found after this time."""


@frozen
class Listened:
    """What is followed for an instance and what stands, one sentence each.

    standing: the alarms by rule and by what was seen.
    """

    followed: tuple[str, ...]
    alarms: tuple[str, ...]
    standing: tuple[tuple[str, str], ...] = ()


class Listening:
    """The monitors of the office's instances.

    history: keeps their reports. check_now: asks the other side, with a reason that it
    may leave unread. kept: told of each instance's records when they are safe.
    """

    def __init__(
        self,
        office: Office,
        history: History,
        check_now: Callable[[str, str], object],
        kept: Callable[[str, Records], object] = lambda _, __: None,
    ) -> None:
        self._kept = kept
        self.history = history
        self.check_now = check_now
        self._office = office
        self._heard: dict[tuple[str, str], Report] = {}
        self._monitoring = self._made()

    def _made(self) -> Monitoring:
        guarding = self._office.guarding
        return Monitoring(self._office.loop, guarding.configuration, guarding.registry, self)

    def renew(self, history: History) -> None:
        """Take over what was loaded anew; the monitors begin when they next learn of facts."""
        self._monitoring.close()
        self.history = history
        instances = self._office.guarding.instances
        self._heard = {key: one for key, one in self._heard.items() if key[0] in instances}
        self._monitoring = self._made()

    def close(self) -> None:
        self._monitoring.close()

    def learn(self, directory: str, facts: Facts) -> None:
        """Take what is known of the instance now; the first time, begin."""
        self._monitoring.learn(directory, facts)

    def passed(self, report: Report) -> None:
        """A report is handed on; after a correction the monitors look at what it came to."""
        if report.diff or any(one.outcome is Outcome.FIXED for one in report.judged):
            self._monitoring.corrected(report.instance)

    def heard(self, plugin: str, report: Report) -> None:
        """Hand on what a monitor finds, if it is another thing than before."""
        last = self._heard.get((report.instance, plugin))
        self._heard[report.instance, plugin] = report
        if not differs(report, last):
            return
        report = replace(report, proof=(*report.proof, *over(report, last)))
        try:
            self.history.record(report)
        except PostkeelError as error:
            report = replace(report, problems=(*report.problems, str(error)))
        self._office.deliver(report)
        self._office.refresh()

    def refresh(self) -> None:
        """Tell what the monitors follow now."""
        self._office.refresh()

    def complain(self, error: Exception) -> None:
        self._office.complain(error)

    def kept(self, directory: str, records: Records) -> None:
        """Tell of what the monitors have counted."""
        self._kept(directory, records)

    def listened(self, directory: str) -> Listened:
        found = [
            one.finding
            for (instance, _), heard in self._heard.items()
            if instance == directory
            for one in alarms(heard)
        ]
        return Listened(
            followed=self._monitoring.followed(directory),
            alarms=tuple(f"{one.rule}: {one.effective}, wanted {one.wanted}" for one in found),
            standing=tuple((one.rule, one.effective) for one in found),
        )


class Bystander:
    """Tells the monitors of their instances where no round does: in a process of their own.

    It reads what everybody may read, through postconf, and again when the files change.
    """

    def __init__(self, office: Office, learn: Callable[[str, Facts], object]) -> None:
        self._office = office
        self._learn = learn
        self._watcher = Watcher(office.loop, lambda _: self._look())
        self._problems: tuple[str, ...] = ()

    def begin(self) -> None:
        self._look()
        self._office.loop.repeat("look again", self._look, every=LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        self._watcher.close()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why facts could not be had, one sentence each."""
        return (*self._problems, *self._watcher.problems)

    def _look(self) -> None:
        if self._office.is_outdated():
            return
        guarding = self._office.guarding
        self._watcher.set_paths(_paths(guarding))
        found: list[str] = []
        for directory in guarding.instances:
            needs = [Need(kind=one, subject=directory) for one in FACTS]
            facts = guarding.registry.gather(needs, found)
            self._learn(directory, facts)
            found += [one.reason for one in facts.values() if isinstance(one, Absent)]
        self._problems = tuple(dict.fromkeys(found))
        self._office.refresh()


def _paths(guarding: Guarding) -> set[str]:
    return {packages_file(guarding)} | {
        os.path.join(directory, name)
        for directory in guarding.instances
        for name in ("main.cf", "master.cf")
    }
