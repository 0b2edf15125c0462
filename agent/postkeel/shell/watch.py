"""Watches files by the directories that hold them, with watchdog.

A watch on a file dies with its inode; editors, postconf and certbot replace
files. So each directory on the way to a file that decides what the name means
is watched: the one that holds the file, those that hold a symbolic link on the
way, the one that holds the file's directory, and for what is not there yet the
nearest one that is.

watchdog's threads drop what nobody asked for; the loop is woken for the rest.
An event that the kernel drops is lost to every watcher: the timers are the net.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from postkeel.core.coalesce import Burst, joined
from postkeel.core.frozen import frozen
from postkeel.shell.loop import Loop

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

_MOST_LINKS = 40
"""As many symbolic links as the kernel follows in one name."""

_MOST_PASSES = 8
"""A directory tree that changes while it is being watched is looked at again, so often."""

_TIMER = "postkeel.watch"


@frozen
class _Watched:
    """A scheduled directory, known by its inode: another one may get its name."""

    watch: ObservedWatch
    identity: tuple[int, int]


class Watcher:
    """Calls `on_change` in the loop's thread with the asked paths that may have changed.

    Many events of a moment are one call, see `core.coalesce`. Reads are no
    change. Whether the content differs is for the caller to see: a file that is
    touched, or that the agent itself wrote, is reported too.

    Diagnostics: `problems` says which directories cannot be watched, and why.
    """

    def __init__(self, loop: Loop, on_change: Callable[[frozenset[str]], object]) -> None:
        self._loop = loop
        self._on_change = on_change
        self._asked: frozenset[str] = frozenset()
        self._meaning: Mapping[str, frozenset[str]] = {}
        self._directories: dict[str, _Watched] = {}
        self._dead: set[str] = set()
        self._events: deque[tuple[frozenset[str], bool]] = deque()
        self._burst: Burst | None = None
        self._observer: BaseObserver | None = None
        self.problems: tuple[str, ...] = ()

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that are watched now."""
        return tuple(sorted(self._directories))

    def set_paths(self, paths: Iterable[str]) -> frozenset[str]:
        """Watch these absolute names from now on, and no others; returns the new ones.

        A new path may have changed between the moment it was read and this one:
        read it again.
        """
        asked = frozenset(paths)
        new = asked - self._asked
        self._asked = asked
        self._arm()
        return new

    def close(self) -> None:
        """Stop watching; nothing is called back afterwards."""
        self._loop.cancel(_TIMER)
        self._asked = frozenset()
        self._meaning = {}
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None
        self._directories.clear()

    def note(self, path: str, other: str, *, finished: bool) -> None:
        """Take an event in watchdog's thread; wake the loop if somebody asked for its path."""
        meaning = self._meaning
        paths = meaning.get(path, frozenset()) | meaning.get(other, frozenset())
        if paths:
            self._events.append((paths, finished))
            if len(self._events) == 1:  # else the wake for those before it is still to come
                self._loop.wake(self._collect)

    def note_lost(self, directory: str) -> None:
        """A watched directory is gone, and its watch with it; in watchdog's thread."""
        self._dead.add(directory)
        self.note(directory, "", finished=True)

    def _collect(self) -> None:
        now = self._loop.clock()
        while self._events:
            paths, finished = self._events.popleft()
            self._burst = joined(self._burst, paths, finished=finished, now=now)
        if self._burst is not None:
            self._loop.after(_TIMER, self._burst.due - now, self._fire)

    def _fire(self) -> None:
        burst, self._burst = self._burst, None
        self._arm()  # first: what the caller reads next is then watched already
        if burst is not None and burst.paths & self._asked:
            self._on_change(burst.paths & self._asked)

    def _arm(self) -> None:
        """Watch what the asked paths pass through, again until nothing moves underneath."""
        for _ in range(_MOST_PASSES):
            places = [(path, _place(path)) for path in self._asked]
            self._meaning = _meaning(places)
            if not self._watch({one for _, place in places for one in place.directories}):
                return

    def _watch(self, wanted: set[str]) -> bool:
        """Watch exactly these directories; whether that took a new watch."""
        identities = {one: _identity(one) for one in wanted}
        problems = []
        started = False
        for name, known in list(self._directories.items()):
            if identities.get(name) != known.identity or name in self._dead:
                self._forget(name, known)
        for name, identity in sorted(identities.items()):
            if identity is None or name in self._directories:
                continue
            try:
                watch = self._schedule(name)
            except OSError as error:
                problems.append(f"{name}: cannot be watched: {error.strerror or error}")
                continue
            self._directories[name] = _Watched(watch=watch, identity=identity)
            started = True
        self.problems = tuple(problems)
        return started

    def _forget(self, name: str, known: _Watched) -> None:
        del self._directories[name]
        self._dead.discard(name)
        if self._observer is not None:
            self._observer.unschedule(known.watch)

    def _schedule(self, directory: str) -> ObservedWatch:
        # Imported at the first watch: 35 ms that only the agent needs.
        from postkeel.shell.watchdog_events import Handler, schedule, start

        if self._observer is None:
            self._observer = start()
        return schedule(self._observer, Handler(directory, self.note, self.note_lost), directory)


@frozen
class _Place:
    """The real names that decide what a path means: the symbolic `links` on the way,
    the file itself or the first part that is missing (`last`), and the
    directories that hold these.
    """

    links: frozenset[str]
    last: str

    @property
    def names(self) -> set[str]:
        return {*self.links, self.last} | self._holding

    @property
    def directories(self) -> set[str]:
        """The directories to watch: those that hold the names, and the ones above these.

        The one above shows a directory that is moved away and another put in its
        place. It is left out where strangers may write: they could keep the
        agent busy, and cannot touch a directory of root's in there.
        """
        above = {os.path.dirname(one) for one in self._holding}
        return self._holding | {one for one in above if not _open_to_strangers(one)}

    @property
    def _holding(self) -> set[str]:
        return {os.path.dirname(one) for one in (*self.links, self.last)}


def _meaning(places: Iterable[tuple[str, _Place]]) -> dict[str, frozenset[str]]:
    """Each real name that decides what an asked path means, with the paths it decides."""
    found: dict[str, set[str]] = {}
    for path, place in places:
        for name in place.names:
            found.setdefault(name, set()).add(path)
    return {name: frozenset(paths) for name, paths in found.items()}


def _place(path: str) -> _Place:
    """Follow the path as the kernel does, and keep what it passes."""
    links: set[str] = set()
    left = path.split("/")[::-1]
    here = "/"
    while left:
        part = left.pop()
        if part in ("", ".", ".."):
            here = os.path.dirname(here) if part == ".." else here
            continue
        full = os.path.join(here, part)
        kind = _kind(full)
        if kind == stat.S_IFLNK and len(links) < _MOST_LINKS and full not in links:
            links.add(full)
            target = _target(full)
            here = "/" if target.startswith("/") else here
            left += target.split("/")[::-1]
        elif kind == stat.S_IFDIR and any(left):
            here = full
        else:
            return _Place(links=frozenset(links), last=full)
    return _Place(links=frozenset(links), last=here)


def _kind(path: str) -> int:
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return 0


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _identity(directory: str) -> tuple[int, int] | None:
    try:
        found = os.stat(directory)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _open_to_strangers(directory: str) -> bool:
    try:
        return bool(os.stat(directory).st_mode & stat.S_IWOTH)
    except OSError:
        return False
