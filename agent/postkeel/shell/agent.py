"""The long-running agent: sources in, one round at a time, reports out.

Everything happens in the loop's thread. Between events the process sleeps in
one system call.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from postkeel import __version__
from postkeel.contract import Event, EventKind, Facts, Judged, Outcome, Report, Side
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line
from postkeel.postfix.editing import Texts
from postkeel.registry import Registry
from postkeel.shell.delivery import Delivery
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.loop import Loop
from postkeel.shell.memory import HostMemory
from postkeel.shell.monitoring import Monitoring
from postkeel.shell.notify import Notifier
from postkeel.shell.round import END_OF_HOLD, TRY_AGAIN, Round
from postkeel.shell.status_file import AgentStatus, InstanceStatus, remove_status, write_status
from postkeel.shell.watch import Watcher

RETRY_SECONDS = 60.0
ASKED_APART_SECONDS = 60.0
"""The monitors may ask for a check so often, whatever strangers write into a log."""


@frozen
class Guarding:
    """What the agent works with until the next reload, built whole or not at all."""

    configuration: Configuration
    registry: Registry
    instances: tuple[str, ...]


class Agent:
    """Guards the instances until it is told to stop.

    load: builds configuration, plugins and instances; called at the start and
    for each SIGHUP, when a PostkeelError of its keeps what was there before.
    """

    def __init__(
        self, load: Callable[[], Guarding], say: Callable[[Report], None], notifier: Notifier
    ) -> None:
        self._load = load
        self._say = say
        self._notifier = notifier
        self._loop = Loop(on_error=self.complain, after_each=notifier.alive)
        self._watcher = Watcher(self._loop, self._changed)
        self._locks: dict[str, InstanceLock] = {}
        self._paths: dict[str, frozenset[str]] = {}
        self._settled: dict[str, Texts | None] = {}
        self._last: dict[str, Report] = {}
        self._heard: dict[tuple[str, str], Report] = {}
        self._asked: dict[str, float] = {}
        self._guarding = load()
        self._delivery = Delivery(self._loop, self._guarding.registry, self.complain)
        self._memory = HostMemory(self._guarding.configuration)
        self._monitoring = self._new_monitoring()
        self._since = datetime.now(UTC)

    def _new_monitoring(self) -> Monitoring:
        guarding = self._guarding
        return Monitoring(self._loop, guarding.configuration, guarding.registry, self)

    def run(self) -> None:
        """Guard until SIGTERM or SIGINT.

        Errors: PostkeelError when another agent guards one of the instances.
        """
        try:
            self._take(self._guarding)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.on_signal(number, self._loop.stop)
            self._loop.on_signal(signal.SIGHUP, self.reload)
            if self._notifier.alive_every:
                self._loop.repeat("watchdog", lambda: None, every=self._notifier.alive_every)
            self._begin()
            # What is loaded now stays; the collector need not walk it again.
            gc.collect()
            gc.freeze()
            self._loop.run_until_stopped()
        finally:
            self._notifier.stopping()
            self._monitoring.close()
            self._watcher.close()
            self._loop.close()
            if self._locks:
                remove_status(self._guarding.configuration.runtime_directory)
            for lock in self._locks.values():
                lock.close()

    def reload(self) -> None:
        """Read the configuration again; a bad one changes nothing but the status."""
        self._notifier.reloading()
        try:
            guarding = self._load()
            self._take(guarding)
        except PostkeelError as error:
            self.complain(error, "configuration not reloaded, the previous one stays: ")
            self._notifier.ready(f"configuration not reloaded: {error}")
            return
        for name in [name for name in self._loop.due_times() if name.startswith("/")]:
            self._loop.cancel(name)
        self._monitoring.close()
        self._guarding = guarding
        self._delivery.registry = guarding.registry
        self._memory.history.close()
        self._memory = HostMemory(guarding.configuration)
        self._monitoring = self._new_monitoring()
        self._begin()

    def _take(self, guarding: Guarding) -> None:
        """Hold each instance's lock, all or none, and let go of those no longer guarded."""
        taken: dict[str, InstanceLock] = {}
        try:
            for directory in guarding.instances:
                if directory not in self._locks:
                    taken[directory] = self._lock(directory)
        except PostkeelError:
            for lock in taken.values():
                lock.close()
            raise
        self._locks.update(taken)
        for directory in [one for one in self._locks if one not in guarding.instances]:
            self._locks.pop(directory).close()
            for known in (self._paths, self._settled, self._last, self._asked):
                known.pop(directory, None)
            for key in [one for one in self._heard if one[0] == directory]:
                del self._heard[key]

    def _lock(self, directory: str) -> InstanceLock:
        lock = InstanceLock(directory)
        if lock.stranger:
            self.complain(PostkeelError(lock.stranger))
        return lock

    def _still_locked(self, directory: str) -> bool:
        """Whether the instance is ours; its lock is taken anew when the directory was replaced.

        One that is gone is nobody else's: the round says so in its report.
        """
        if self._locks[directory].still_there() or not os.path.isdir(directory):
            return True
        try:
            lock = self._lock(directory)
        except PostkeelError as error:
            self.complain(error)
            return False
        self._locks[directory].close()
        self._locks[directory] = lock
        return True

    def _begin(self) -> None:
        for directory in self._guarding.instances:
            self._attend(directory, {})
            self._round(EventKind.STARTED, directory)
        self._notifier.ready(self._summary())

    def _attend(self, directory: str, facts: Facts) -> None:
        """Watch and time what the plugins ask for, knowing these facts."""
        problems: list[str] = []
        paths: set[str] = {self._memory.holds.path}
        registry = self._guarding.registry
        correcting = registry.of(Side.ROOT)
        for plugin, interest in registry.interests(directory, facts, problems, correcting):
            paths.update(interest.paths)
            for timer in interest.timers:
                name = f"{directory} {plugin.name} {timer.name}"
                self._loop.repeat(
                    name,
                    lambda name=timer.name: self._round(EventKind.TIMER, directory, name),  # type: ignore[misc]
                    every=timer.every,
                    splay=timer.splay,
                )
        self._paths[directory] = frozenset(paths)
        self._watcher.set_paths(frozenset().union(*self._paths.values()))

    def _changed(self, paths: frozenset[str]) -> None:
        for directory, watched in self._paths.items():
            mine = sorted(paths & watched)
            if mine and not self._is_own_write(directory, mine):
                self._round(EventKind.PATHS_CHANGED, directory, *mine)

    def _is_own_write(self, directory: str, paths: list[str]) -> bool:
        """Whether both files hold what the last round left: known by content, not by time."""
        settled = self._settled.get(directory)
        texts = (
            {}
            if settled is None
            else {
                os.path.join(directory, "main.cf"): settled.main_cf,
                os.path.join(directory, "master.cf"): settled.master_cf,
            }
        )
        return all(path in texts and _holds(path, texts[path]) for path in paths)

    def _round(self, kind: EventKind, directory: str, *detail: str) -> None:
        if not self._still_locked(directory):
            return
        now = datetime.now(UTC)
        round_ = Round(
            event=Event(kind=kind, instance=directory, time=now, detail=detail),
            registry=self._guarding.registry,
            configuration=self._guarding.configuration,
            memory=self._memory,
            between=self._notifier.alive,
        )
        report = round_.run(act=True)
        instance = round_.seen.instance(directory) if round_.seen else None
        self._settled[directory] = round_.left
        if round_.seen and instance:
            self._attend(directory, round_.seen.facts)
        self._come_back(report, now)
        if self._is_news(report):
            self._deliver(report)
        self._last[directory] = report
        self._monitoring.learn(directory, round_.seen.facts if round_.seen else {})
        self._status()

    def heard(self, plugin: str, report: Report) -> None:
        """Hand on what a monitor finds, if it is another thing than before."""
        last = self._heard.get((report.instance, plugin))
        self._heard[report.instance, plugin] = report
        if _gist(report) == (_gist(last) if last else _NOTHING):
            return
        report = replace(report, proof=(*report.proof, *_over(report, last)))
        try:
            self._memory.record(report)
        except PostkeelError as error:
            report = replace(report, problems=(*report.problems, str(error)))
        self._deliver(report)
        self._status()

    def check_now(self, directory: str, reason: str) -> None:
        """Run a round soon, because a monitor asks for it."""
        timer = f"{directory} check now"
        if timer in self._loop.due_times():  # asked for already: asking on must not put it off
            return
        now = self._loop.clock()
        due = max(now, self._asked.get(directory, now - ASKED_APART_SECONDS) + ASKED_APART_SECONDS)
        self._asked[directory] = due
        ask = functools.partial(self._round, EventKind.REQUESTED, directory, reason)
        self._loop.after(timer, due - now, ask)

    def refresh(self) -> None:
        """Tell what the monitors follow now."""
        self._status()

    def _come_back(self, report: Report, now: datetime) -> None:
        """Arm what brings the next round by itself: a hold's end, a failure that may pass."""
        directory = report.instance
        hold = self._memory.hold(directory, now)
        waits = {
            END_OF_HOLD: (hold.until - now).total_seconds() if hold and hold.until else None,
            TRY_AGAIN: RETRY_SECONDS if report.outcome is Outcome.FAILED else None,
        }
        for name, seconds in waits.items():
            timer = f"{directory} {name}"
            self._loop.cancel(timer)
            if seconds is not None:
                again = functools.partial(self._round, EventKind.TIMER, directory, name)
                self._loop.after(timer, seconds, again)

    def _is_news(self, report: Report) -> bool:
        """A report that says what the last one said is not worth a log line."""
        last = self._last.get(report.instance)
        if report.event.kind is EventKind.STARTED or last is None or report.diff:
            return True
        return _gist(report) != _gist(last)

    def _deliver(self, report: Report) -> None:
        self._say(report)
        self._delivery.deliver(report)

    def _status(self) -> None:
        self._notifier.status(self._summary())
        now = self._loop.clock()
        wall = datetime.now(UTC)
        due = {
            name: (wall + timedelta(seconds=when - now)).isoformat(timespec="seconds")
            for name, when in self._loop.due_times().items()
        }
        status = AgentStatus(
            pid=os.getpid(),
            postkeel=__version__,
            since=self._since.isoformat(timespec="seconds"),
            instances=tuple(self._instance_status(one, due) for one in self._last.values()),
        )
        try:
            write_status(self._guarding.configuration.runtime_directory, status)
        except PostkeelError as error:
            self.complain(error)

    def _instance_status(self, report: Report, due: Mapping[str, str]) -> InstanceStatus:
        settings = self._guarding.configuration.settings(report.instance)
        start = f"{report.instance} "
        return InstanceStatus(
            config_directory=report.instance,
            mode=settings.mode.value,
            profile=settings.profile,
            event=report.event.kind.value,
            outcome=report.outcome.value,
            time=report.event.time.isoformat(timespec="seconds"),
            findings=sum(one.outcome is not Outcome.FIXED for one in report.judged),
            timers={
                name.removeprefix(start): when
                for name, when in due.items()
                if name.startswith(start)
            },
            watched=self._watcher.directories,
            followed=self._monitoring.followed(report.instance),
            alarms=tuple(
                f"{one.finding.rule}: {one.finding.effective}, wanted {one.finding.wanted}"
                for (directory, _), heard in self._heard.items()
                if directory == report.instance
                for one in _alarms(heard)
            ),
            problems=(*report.problems, *self._watcher.problems),
        )

    def _summary(self) -> str:
        return "; ".join(
            f"{directory}: {report.outcome.value}" for directory, report in self._last.items()
        )

    def complain(self, error: Exception, before: str = "") -> None:
        text = (
            str(error) if isinstance(error, PostkeelError) else f"{type(error).__name__}: {error}"
        )
        print(f"postkeel: {before}{one_line(text)}", file=sys.stderr, flush=True)  # noqa: T201


_NOTHING: Final = (Outcome.CLEAN, frozenset[object](), ())


def _gist(report: Report) -> tuple[object, ...]:
    judged = frozenset(
        (one.finding.subject, one.finding.effective, one.outcome) for one in report.judged
    )
    return (report.outcome, judged, report.problems)


def _alarms(report: Report) -> list[Judged]:
    """What a monitor found and nobody waived."""
    return [one for one in report.judged if one.outcome is not Outcome.WAIVED]


def _over(report: Report, last: Report | None) -> tuple[str, ...]:
    """A sentence for each alarm that does not stand any more."""
    standing = {(one.finding.subject, one.finding.effective) for one in report.judged}
    return tuple(
        f"{one.finding.rule} is over: {one.finding.effective}"
        for one in (_alarms(last) if last else ())
        if (one.finding.subject, one.finding.effective) not in standing
    )


def _holds(path: str, text: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(text) * 4 + 1) == text.encode("utf-8", "surrogateescape")
    except OSError:
        return False
