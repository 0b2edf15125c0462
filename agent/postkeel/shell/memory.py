"""What rounds know of earlier rounds on this host: holds, history, originals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from postkeel.contract import Report
from postkeel.core.configuration import Configuration
from postkeel.core.decide import Subject
from postkeel.core.model import Hold
from postkeel.postfix.editing import Texts
from postkeel.shell.history import History
from postkeel.shell.holds import Holds
from postkeel.shell.originals import keep_originals
from postkeel.shell.staging import postconf_accepts
from postkeel.shell.writer import Keep


class HostMemory:
    """The state directory as a round sees it. Each method may raise PostkeelError."""

    def __init__(self, configuration: Configuration) -> None:
        self._state = configuration.state_directory
        self.holds = Holds(self._state)
        self.history = History(self._state)

    def hold(self, instance: str, now: datetime) -> Hold | None:
        return self.holds.current(instance, now)

    def corrections(self, instance: str, since: datetime) -> Mapping[Subject, int]:
        return self.history.corrections_since(instance, since)

    def keep(self, instance: str) -> Keep:
        return keep_originals(instance, self._state)

    def check(self, instance: str) -> Callable[[Texts], None]:
        return postconf_accepts(instance, self._state)

    def record(self, report: Report) -> None:
        self.history.record(report)
