"""What rounds know of earlier rounds on this host: holds, history, originals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from postkeel.contract import Report
from postkeel.core.configuration import Configuration
from postkeel.core.decide import Subject
from postkeel.core.model import Hold, Upgrade
from postkeel.postfix.editing import Texts
from postkeel.postfix.instance import Instance
from postkeel.shell.dpkg_lock import DIRECTORY, held_by
from postkeel.shell.history import History
from postkeel.shell.holds import Holds
from postkeel.shell.originals import keep_originals
from postkeel.shell.packages import Packages
from postkeel.shell.staging import postconf_accepts
from postkeel.shell.writer import Keep


class HostMemory:
    """The state directory, and dpkg's, as a round sees them. Each method may raise PostkeelError.

    dpkg, packages: other places of dpkg's files, for tests.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        dpkg: str = DIRECTORY,
        packages: Packages | None = None,
    ) -> None:
        self._state = configuration.state_directory
        self._dpkg = dpkg
        self.holds = Holds(self._state)
        self.history = History(self._state)
        self.packages = packages or Packages(self._state)

    def hold(self, instance: str, now: datetime) -> Hold | None:
        """An administrator's hold, else that of a package run."""
        hold = self.holds.current(instance, now)
        reason = "" if hold else self.installing()
        return Hold(instance=instance, reason=reason, since=now) if reason else hold

    def installing(self) -> str:
        """Why nothing is to be written now: packages are being installed. Else ""."""
        holder = held_by(self._dpkg)
        if holder is None:
            return ""
        return f"packages are being installed ({holder}); corrected when that is done"

    def upgrade(self, directory: str, instance: Instance | None) -> Upgrade | None:
        """What changed since a report told of it; None while that still goes on."""
        return None if self.installing() else self.packages.upgrade(directory, instance)

    def corrections(self, instance: str, since: datetime) -> Mapping[Subject, int]:
        return self.history.corrections_since(instance, since)

    def keep(self, instance: str) -> Keep:
        return keep_originals(instance, self._state)

    def check(self, instance: str) -> Callable[[Texts], None]:
        return postconf_accepts(instance, self._state)

    def record(self, report: Report) -> None:
        self.history.record(report)
        self.packages.told(report.instance)
