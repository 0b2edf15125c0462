"""The long-running agent: sources in, one round at a time, reports out.

Everything happens in the loop's thread. Between events the process sleeps in
one system call. An agent is of one side, or of both; see `guard` and `listening`.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from postkeel import __version__
from postkeel.contract import Facts, Records, Report, Side
from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line
from postkeel.shell.delivery import Delivery, Others
from postkeel.shell.history import History
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.loop import Loop
from postkeel.shell.notify import Notifier
from postkeel.shell.office import ASKED_APART_SECONDS, Guarding
from postkeel.shell.status_file import AgentStatus, InstanceStatus, remove_status, write_status

if TYPE_CHECKING:
    from postkeel.shell.channel import Requests
    from postkeel.shell.correcting import Correcting
    from postkeel.shell.guard import Guard
    from postkeel.shell.inbox import Inbox
    from postkeel.shell.listening import Bystander, Listening
    from postkeel.shell.pulse import Pulse

_OUTBOX = "the outbox"


class Agent:
    """Guards the instances until it is told to stop.

    load: builds configuration, plugins and instances; called at the start and
    for each SIGHUP, when a PostkeelError of its keeps what was there before.
    side: "root" corrects and takes requests, "monitor" listens and makes them; None does both.
    """

    def __init__(
        self,
        load: Callable[[], Guarding],
        say: Callable[[Report], None],
        notifier: Notifier,
        side: Side | None = None,
    ) -> None:
        self.notifier = notifier
        self.loop = Loop(on_error=self.complain, after_each=notifier.alive)
        self.guarding = load()
        self._load = load
        self._say = say
        self._side = side
        self._since = datetime.now(UTC)
        self._interpreter = _identity(sys.executable)
        self._leaving = ""
        self._requests: Requests | None = None
        self._monitor_lock: InstanceLock | None = None
        self._ask_again = 0.0
        self._taken = False
        self.guard: Guard | None = None
        self.listening: Listening | None = None
        self.bystander: Bystander | None = None
        self.inbox: Inbox | None = None
        self.pulse: Pulse | None = None
        # Imported here, for each side alone is to do without what only the other needs.
        if side is not Side.MONITOR:
            from postkeel.shell.guard import Guard

            self.guard = Guard(self, self._learn)
        self.history = self._open_history()
        if side is not Side.ROOT:
            from postkeel.shell.listening import Bystander, Listening
            from postkeel.shell.pulse import Pulse

            self.listening = Listening(self, self.history, self._check_now, self._kept)
            self.pulse = Pulse(self, self._correcting, self.listening.listened)
            self.bystander = Bystander(self, self._learn) if side is Side.MONITOR else None
        self.delivery = Delivery(
            self.loop, self.guarding.registry, self.history, self.complain, self._others()
        )

    def run(self) -> None:
        """Guard until SIGTERM or SIGINT.

        Errors: PostkeelError when another agent guards one of the instances, and when
        only a new process can go on.
        """
        try:
            self._take(self.guarding)
            self._taken = True
            for number in (signal.SIGTERM, signal.SIGINT):
                self.loop.on_signal(number, self.loop.stop)
            self.loop.on_signal(signal.SIGHUP, self.reload)
            if self.notifier.alive_every:
                self.loop.repeat("watchdog", lambda: None, every=self.notifier.alive_every)
            self.delivery.begin()
            self._begin()
            # What is loaded now stays; the collector need not walk it again.
            gc.collect()
            gc.freeze()
            self.loop.run_until_stopped()
            if self._leaving:
                raise PostkeelError(self._leaving)
        finally:
            self.notifier.stopping()
            if self._taken:
                remove_status(self._runtime_directory)
            self.close()

    def close(self) -> None:
        """Give back everything."""
        parts = (self.pulse, self._requests, self.inbox, self.listening, self.bystander, self.guard)
        for part in parts:
            if part is not None:
                part.close()
        self.history.close()
        self.loop.close()
        if self._monitor_lock is not None:
            self._monitor_lock.close()

    def reload(self) -> None:
        """Read the configuration again; a bad one changes nothing but the status."""
        self.notifier.reloading()
        try:
            guarding = self._load()
            self._take(guarding)
        except PostkeelError as error:
            self.complain(error, "configuration not reloaded, the previous one stays: ")
            self.notifier.ready(f"configuration not reloaded: {error}")
            return
        self.guarding = guarding
        self.history.close()
        if self.guard is not None:
            self.guard.renew()
        self.history = self._open_history()
        if self.listening is not None:
            self.listening.renew(self.history)
        self.delivery.renew(guarding.registry, self.history, self._others())
        self._begin()

    def is_outdated(self) -> bool:
        """Whether Python was replaced under this process, which then ends.

        After an upgrade of Debian what it has yet to import is made for another Python.
        """
        found = _identity(sys.executable)
        if found is None or found == self._interpreter:
            return False
        self.leave("Python was replaced: a new process has to go on with the new one")
        return True

    def leave(self, reason: str) -> None:
        """End, so that whoever supervises this process starts another one."""
        self._leaving = reason
        self.loop.stop()

    def deliver(self, report: Report) -> None:
        self._say(report)
        self.delivery.deliver(report)
        self._passed(report)

    def pass_on(self, report: Report) -> bool:
        """Hand a report of the correcting side's process to those who have not heard of it.

        False when it must be offered again.
        """
        names = [one.name for one in self.guarding.registry.of(Side.MONITOR)]
        taken = self.delivery.pass_on(report, names)
        if taken:
            self._passed(report)
        return taken

    def _passed(self, report: Report) -> None:
        """Tell those who draw conclusions from reports."""
        if self.pulse is not None:
            self.pulse.passed(report)
        if self.listening is not None:
            self.listening.passed(report)

    def refresh(self) -> None:
        """Write the status, and tell systemd."""
        if self.pulse is not None:
            self.pulse.touch()
        self.notifier.status(self._summary())
        status = AgentStatus(
            pid=os.getpid(),
            postkeel=__version__,
            since=self._since.isoformat(timespec="seconds"),
            instances=tuple(self._statuses().values()),
        )
        try:
            write_status(self._runtime_directory, status)
        except PostkeelError as error:
            self.complain(error)

    def complain(self, error: Exception, before: str = "") -> None:
        text = (
            str(error) if isinstance(error, PostkeelError) else f"{type(error).__name__}: {error}"
        )
        print(f"postkeel: {before}{one_line(text)}", file=sys.stderr, flush=True)  # noqa: T201

    @property
    def _runtime_directory(self) -> str:
        configuration = self.guarding.configuration
        if self._side is Side.MONITOR:
            return configuration.monitor_runtime_directory
        return configuration.runtime_directory

    def _open_history(self) -> History:
        """That of the corrections, or the monitor's own."""
        if self.guard is not None:
            return self.guard.memory.history
        return History(self.guarding.configuration.monitor_state_directory)

    def _take(self, guarding: Guarding) -> None:
        """Hold the locks of what is to be guarded. Errors: PostkeelError; nothing is held anew."""
        if self.guard is not None:
            self.guard.take(guarding)
        if self.listening is None:
            return
        directory = guarding.configuration.monitor_state_directory
        before = self._monitor_lock
        if before is not None and before.directory == directory:
            return
        try:
            self._monitor_lock = _monitor_lock(directory)
        except PostkeelError:
            if self.guard is not None and self._taken:
                self.guard.take(self.guarding)
            raise
        if before is not None:
            before.close()

    def _begin(self) -> None:
        self._take_requests()
        if self.guard is not None:
            self.guard.begin()
        if self.bystander is not None:
            self.bystander.begin()
            self._take_reports()
        if self.pulse is not None:
            self.pulse.begin()
        self.notifier.ready(self._summary())

    def _take_requests(self) -> None:
        """Let the monitors in their own process ask for a check."""
        if self._side is not Side.ROOT or self.guard is None:
            return
        from postkeel.shell.channel import Requests

        if self._requests is not None:
            self._requests.close()
        path = self.guarding.configuration.channel
        try:
            self._requests = Requests(self.loop, path, self.guard.check_all, self.complain)
        except PostkeelError as error:  # corrections do not need it
            self._requests = None
            self.complain(error)

    def _others(self) -> Others:
        """Where reports go beside the plugins: those of the other side are in another process."""
        if self._side is not Side.ROOT:
            return {}
        from postkeel.shell.outbox import Outbox

        return {_OUTBOX: Outbox(self.guarding.configuration.state_directory).append}

    def _take_reports(self) -> None:
        """Hand on what the correcting side reports in its own process."""
        from postkeel.shell.inbox import Inbox

        if self.inbox is not None:
            self.inbox.close()
        configuration = self.guarding.configuration
        self.inbox = Inbox(self.loop, configuration, self.pass_on, self.complain, self.refresh)
        self.inbox.begin()

    def _learn(self, directory: str, facts: Facts) -> None:
        if self.listening is not None:
            self.listening.learn(directory, facts)

    def _check_now(self, directory: str, reason: str) -> None:
        """Ask the correcting side: by name in this process, without a word of it in the other."""
        if self.guard is not None:
            self.guard.check_now(directory, reason)
            return
        now = self.loop.clock()
        if now < self._ask_again:
            return
        self._ask_again = now + ASKED_APART_SECONDS
        from postkeel.shell.channel import ask_check

        try:
            ask_check(self.guarding.configuration.channel)
        except PostkeelError as error:
            # It checks by itself when it starts: what was asked meanwhile is not lost.
            self.complain(error)

    def _statuses(self) -> dict[str, InstanceStatus]:
        now, wall = self.loop.clock(), datetime.now(UTC)
        due = {
            name: (wall + timedelta(seconds=when - now)).isoformat(timespec="seconds")
            for name, when in self.loop.due_times().items()
        }
        found = self._guarded() if self.guard is None else self.guard.statuses(due)
        if self.listening is None:
            return found
        listened = {one: self.listening.listened(one) for one in found}
        return {
            name: replace(one, followed=listened[name].followed, alarms=listened[name].alarms)
            for name, one in found.items()
        }

    def _guarded(self) -> dict[str, InstanceStatus]:
        """The instances of a side that has no rounds."""
        parts = (self.bystander, self.inbox)
        problems = tuple(text for one in parts if one is not None for text in one.problems)
        configuration = self.guarding.configuration
        return {
            one: InstanceStatus(
                config_directory=one,
                mode=configuration.settings(one).mode.value,
                profile=configuration.settings(one).profile,
                timers={},
                problems=problems,
            )
            for one in self.guarding.instances
        }

    def _kept(self, directory: str, records: Records) -> None:
        if self.pulse is not None:
            self.pulse.kept(directory, records)

    def _correcting(self) -> Correcting:
        """What the correcting side says, in this process or in the other one."""
        from postkeel.shell.correcting import Correcting, correcting_side

        if self.guard is None:
            return correcting_side(self.guarding.configuration, self.guarding.instances)
        known = self.guard.statuses({})
        return Correcting(instances=known, guarded=frozenset(known))

    def _summary(self) -> str:
        """One line for `systemctl status`."""
        if self.guard is not None:
            return self.guard.summary()
        listening = self.listening
        if listening is None:
            return ""
        listened = [(one, listening.listened(one).followed) for one in self.guarding.instances]
        return "; ".join(f"{name}: {', '.join(said) or 'nothing'}" for name, said in listened)


def _identity(program: str) -> tuple[int, int] | None:
    try:
        found = os.stat(program)
    except OSError:  # dpkg is about to put another one there
        return None
    return found.st_dev, found.st_ino


def _monitor_lock(directory: str) -> InstanceLock:
    """Two agents must not count the same log into the same records."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise PostkeelError(f"{directory}: cannot be made: {error.strerror}") from error
    return InstanceLock(directory)
