"""The side "monitor": plugins that follow the mail log, or look at mail, and keep records of it.

What they find is reported and never corrected here; at most the other side is asked
to check. Facts about the instance come from the other side's last round.
"""

from __future__ import annotations

from postkeel.contract import Facts, Side
from postkeel.core.configuration import Configuration
from postkeel.registry import Registry
from postkeel.shell.loop import Loop
from postkeel.shell.monitor import Monitor, Watch
from postkeel.shell.records import RecordStore


class Monitoring:
    """All monitors of the agent: one for each plugin of side "monitor" and instance."""

    def __init__(
        self, loop: Loop, configuration: Configuration, registry: Registry, watch: Watch
    ) -> None:
        self._loop = loop
        self._configuration = configuration
        self._registry = registry
        self._watch = watch
        self._store = RecordStore(configuration.monitor_state_directory)
        self._monitors: dict[str, list[Monitor]] = {}

    def learn(self, directory: str, facts: Facts) -> None:
        """Take what the last round knew of the instance; the first time, begin."""
        if directory in self._monitors:
            for monitor in self._monitors[directory]:
                monitor.learn(facts)
            return
        self._monitors[directory] = [
            Monitor(
                self._loop,
                self._configuration,
                self._registry,
                self._store,
                one,
                directory,
                self._watch,
            )
            for one in self._registry.of(Side.MONITOR)
        ]
        for monitor in self._monitors[directory]:
            monitor.begin(facts)

    def followed(self, directory: str) -> tuple[str, ...]:
        """What is followed for the instance, or why it is not, one sentence each."""
        return tuple(text for one in self._monitors.get(directory, ()) for text in one.said)

    def corrected(self, directory: str) -> None:
        """The instance's configuration was corrected."""
        for monitor in self._monitors.get(directory, ()):
            monitor.corrected()

    def close(self) -> None:
        for monitor in [one for monitors in self._monitors.values() for one in monitors]:
            monitor.close()
        self._monitors.clear()
        self._store.close()
