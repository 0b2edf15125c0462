"""The side "root": locks, watched paths and timers, and a round for each event.

Strangers have no say here. The other side may ask for a check, and that is all.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from postkeel.contract import (
    Event,
    EventKind,
    Facts,
    JoinFiles,
    Outcome,
    Report,
    Severity,
    Side,
)
from postkeel.core.errors import PostkeelError
from postkeel.core.news import differs, standing
from postkeel.postfix.editing import Texts
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.memory import HostMemory
from postkeel.shell.office import ASKED_APART_SECONDS, Guarding, Office, packages_file
from postkeel.shell.round import END_OF_HOLD, LOOK_AGAIN, TRY_AGAIN, Round
from postkeel.shell.status_file import InstanceStatus
from postkeel.shell.watch import Watcher

RETRY_SECONDS = 60.0
_CLOCK_TICK = 0.02
"""Seconds by which a file's time may be behind the clock."""
_MAY_PASS = (Outcome.FAILED, Outcome.REVERTED)
"""Somebody may just have restarted Postfix; what is reverted again and again ends as a contest."""
INSTALLING_SECONDS = 1.0
"""While packages are being installed dpkg's lock is looked at so often."""


class Guard:
    """Corrects the instances of the office.

    learn: told, after each round, what it knows of the instance.
    """

    def __init__(self, office: Office, learn: Callable[[str, Facts], object]) -> None:
        self._office = office
        self._learn = learn
        self._watcher = Watcher(office.loop, self._changed)
        self._locks: dict[str, InstanceLock] = {}
        self._paths: dict[str, frozenset[str]] = {}
        self._settled: dict[str, Texts | None] = {}
        self._joined: dict[str, dict[str, tuple[int, int] | None]] = {}
        self._last: dict[str, Report] = {}
        self._told: dict[str, Report] = {}
        self._versions: dict[str, tuple[str, str]] = {}
        self._held: set[str] = set()
        self._asked: dict[str, float] = {}
        self._packages = _stamp(packages_file(office.guarding))
        self.memory = HostMemory(office.guarding.configuration)

    def take(self, guarding: Guarding) -> None:
        """Hold each instance's lock, all or none, and let go of those no longer guarded.

        Errors: PostkeelError when another agent guards one of them.
        """
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
            kept = (self._paths, self._settled, self._joined, self._last, self._told)
            for known in (*kept, self._asked, self._versions):
                known.pop(directory, None)

    def begin(self) -> None:
        """A round for each instance; watching and timers come with it."""
        for directory in self._office.guarding.instances:
            self._attend(directory, {})
            self._round(EventKind.STARTED, directory)

    def renew(self) -> None:
        """Take over what was loaded anew; `begin` comes next."""
        for name in [name for name in self._office.loop.due_times() if name.startswith("/")]:
            self._office.loop.cancel(name)
        self.memory.history.close()
        self.memory = HostMemory(self._office.guarding.configuration)

    def close(self) -> None:
        self._watcher.close()
        self.memory.history.close()
        for lock in self._locks.values():
            lock.close()

    def check_now(self, directory: str, reason: str) -> None:
        """Run a round soon, because a monitor asks for it."""
        loop = self._office.loop
        timer = f"{directory} check now"
        if timer in loop.due_times():  # asked for already: asking on must not put it off
            return
        now = loop.clock()
        due = max(now, self._asked.get(directory, now - ASKED_APART_SECONDS) + ASKED_APART_SECONDS)
        self._asked[directory] = due
        ask = functools.partial(self._round, EventKind.REQUESTED, directory, reason)
        loop.after(timer, due - now, ask)

    def check_all(self) -> None:
        """`check_now` for each instance: what the monitors in another process may ask for."""
        for directory in self._office.guarding.instances:
            self.check_now(directory, "asked for by the monitor")

    def summary(self) -> str:
        """The last outcomes in one line."""
        return "; ".join(f"{one}: {report.outcome.value}" for one, report in self._last.items())

    def statuses(self, due: Mapping[str, str]) -> dict[str, InstanceStatus]:
        """What is known of each instance; `due` says when each timer is."""
        return {one: self._status(report, due) for one, report in self._last.items()}

    def _status(self, report: Report, due: Mapping[str, str]) -> InstanceStatus:
        settings = self._office.guarding.configuration.settings(report.instance)
        start = f"{report.instance} "
        stands = Counter(one.finding.severity for one in standing(report))
        postfix, openssl = self._versions.get(report.instance, ("", ""))
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
            problems=(*report.problems, *self._watcher.problems),
            open_errors=stands[Severity.ERROR],
            open_warnings=stands[Severity.WARNING],
            open_infos=stands[Severity.INFO],
            held=report.instance in self._held,
            postfix=postfix,
            openssl=openssl,
        )

    def _lock(self, directory: str) -> InstanceLock:
        lock = InstanceLock(directory)
        if lock.stranger:
            self._office.complain(PostkeelError(lock.stranger))
        return lock

    def _still_locked(self, directory: str) -> bool:
        """Whether the instance is ours; its lock is taken anew when the directory was replaced.

        One that is gone is nobody else's: the round says so in its report.
        """
        if self._locks[directory].still_there() or not os.path.isdir(directory):
            return True
        if self._office.notifier.wanted:
            # In the mount namespace of its unit only the old one can be written to.
            self._office.leave(f"{directory} was replaced: a new process has to go on with it")
            return False
        try:
            lock = self._lock(directory)
        except PostkeelError as error:
            self._office.complain(error)
            return False
        self._locks[directory].close()
        self._locks[directory] = lock
        return True

    def _attend(self, directory: str, facts: Facts) -> None:
        """Watch and time what the plugins ask for, knowing these facts."""
        problems: list[str] = []
        paths: set[str] = {self.memory.holds.path}
        registry = self._office.guarding.registry
        correcting = registry.of(Side.ROOT)
        for plugin, interest in registry.interests(directory, facts, problems, correcting):
            paths.update(interest.paths)
            for timer in interest.timers:
                due = functools.partial(self._round, EventKind.TIMER, directory, timer.name)
                name = f"{directory} {plugin.name} {timer.name}"
                self._office.loop.repeat(name, due, every=timer.every, splay=timer.splay)
        self._paths[directory] = frozenset(paths)
        packages = packages_file(self._office.guarding)
        self._watcher.set_paths(frozenset({packages}).union(*self._paths.values()))

    def _changed(self, paths: frozenset[str]) -> None:
        if packages_file(self._office.guarding) in paths and self._touched():
            for directory in self._paths:
                self._installed(directory)
        for directory, watched in self._paths.items():
            mine = sorted(paths & watched)
            if mine and not self._is_own_write(directory, mine):
                self._round(EventKind.PATHS_CHANGED, directory, *mine)

    def _touched(self) -> bool:
        """Whether dpkg's trigger came: the file's directory may be new, and the file as it was."""
        before, self._packages = self._packages, _stamp(packages_file(self._office.guarding))
        return self._packages not in (None, before)

    def _installed(self, directory: str) -> None:
        """A round after packages were installed, as soon as dpkg is done with them all."""
        if self.memory.installing():
            again = functools.partial(self._installed, directory)
            self._office.loop.after(f"{directory} packages", INSTALLING_SECONDS, again)
        elif not self._office.is_outdated():
            self._round(EventKind.PACKAGES, directory)

    def _is_own_write(self, directory: str, paths: list[str]) -> bool:
        """Whether the files are what the last round left: known by content, not by time.

        A joined file, which has a new inode each time, by that.
        """
        joined = self._joined.get(directory, {})
        paths = [one for one in paths if one not in joined or _stamp(one) != joined[one]]
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
        watched = self._paths.get(directory, frozenset())
        guarding = self._office.guarding
        round_ = Round(
            event=Event(kind=kind, instance=directory, time=now, detail=detail),
            registry=guarding.registry,
            configuration=guarding.configuration,
            memory=self.memory,
            deciding=True,
            served=guarding.served,
            between=self._office.notifier.alive,
        )
        report = round_.run(act=True)
        instance = round_.seen.instance(directory) if round_.seen else None
        self._settled[directory] = round_.left
        self._joined[directory] = {
            one.change.path: _stamp(one.change.path)
            for one in report.plan.changes
            if isinstance(one.change, JoinFiles)
        }
        if round_.seen and instance:
            self._versions[directory] = (instance.version, instance.openssl)
            self._attend(directory, round_.seen.facts)
        waits = [one.seconds for one in round_.seen.waits] if round_.seen else []
        if _changed_since(now, self._paths[directory] - watched):
            waits.append(0.0)  # after it was read, and before it was watched
        self._come_back(report, now, min(waits, default=None))
        # What is under way is no news: it is told as it comes out.
        if not waits or _has_corrected(report) or directory not in self._told:
            if self._is_news(report):
                self._office.deliver(report)
            self._told[directory] = report
        self._last[directory] = report
        self._learn(directory, round_.seen.facts if round_.seen else {})
        self._office.refresh()

    def _come_back(self, report: Report, now: datetime, again: float | None = None) -> None:
        """Arm what brings the next round by itself: a hold's end, a failure that may pass.

        again: seconds until a plugin wants another look.
        """
        directory = report.instance
        hold = self.memory.hold(directory, now)
        (self._held.add if hold else self._held.discard)(directory)
        waits = {
            END_OF_HOLD: (hold.until - now).total_seconds() if hold and hold.until else None,
            TRY_AGAIN: RETRY_SECONDS if report.outcome in _MAY_PASS else None,
            LOOK_AGAIN: again,
        }
        for name, seconds in waits.items():
            timer = f"{directory} {name}"
            self._office.loop.cancel(timer)
            if seconds is not None:
                back = functools.partial(self._round, EventKind.TIMER, directory, name)
                self._office.loop.after(timer, seconds, back)
        if self.memory.installing():  # what is held for that is corrected afterwards
            done = functools.partial(self._installed, directory)
            self._office.loop.after(f"{directory} packages", INSTALLING_SECONDS, done)

    def _is_news(self, report: Report) -> bool:
        """A report that says what the last one said is not worth a log line; a correction is."""
        last = self._told.get(report.instance)
        if report.event.kind is EventKind.STARTED or last is None or _has_corrected(report):
            return True
        return differs(report, last)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _has_corrected(report: Report) -> bool:
    return bool(report.diff) or any(one.outcome is Outcome.FIXED for one in report.judged)


def _holds(path: str, text: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(text) * 4 + 1) == text.encode("utf-8", "surrogateescape")
    except OSError:
        return False


def _changed_since(moment: datetime, paths: Iterable[str]) -> bool:
    """Whether one of these files, or the link to it, is younger."""
    since = moment.timestamp() - _CLOCK_TICK
    for path in paths:
        with suppress(OSError):  # not there: then nothing was read of it either
            if max(os.stat(path).st_ctime, os.lstat(path).st_ctime) >= since:
                return True
    return False
