"""Watches files by the directories that hold them, with inotify.

A watch on a file dies with its inode; editors, postconf and certbot replace
files. So each directory on the way to a file that decides what the name means
is watched: the one that holds the file, those that hold a symbolic link on the
way, the one that holds the file's directory, and for what is not there yet the
nearest one that is.

When more happens than the kernel keeps, it says so: then everything asked may have
changed, and watches may have ended unheard. So all are asked for again after each
change, and the kernel's number says whether a name is still of the same directory.
What happens on another machine of a network's file system nobody says: the timers
are the net.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from postkeel.core.coalesce import Burst, joined
from postkeel.core.frozen import frozen
from postkeel.shell import inotify
from postkeel.shell.inotify import FileEvent, Inotify
from postkeel.shell.loop import Loop

_MOST_LINKS = 40
"""As many symbolic links as the kernel follows in one name."""

_MOST_PASSES = 8
"""A directory tree that changes while it is being watched is looked at again, so often."""

_TIMER = "postkeel.watch"

_CHANGES: Final = (
    inotify.MODIFY
    | inotify.ATTRIB
    | inotify.CLOSE_WRITE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.CREATE
    | inotify.DELETE
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
    | inotify.ONLY_DIRECTORY
)

_OF_ITSELF: Final = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT | inotify.IGNORED


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
        self._directories: dict[str, int] = {}
        self._names: dict[int, list[str]] = {}
        self._burst: Burst | None = None
        self._inotify: Inotify | None = None
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
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        self._directories.clear()
        self._names.clear()

    def _happened(self, events: list[FileEvent]) -> None:
        for event in events:
            if event.mask & inotify.OVERFLOW:  # it may be that somebody is still writing
                self._note(self._asked, finished=False)
            else:
                self._take(event)
        if self._burst is not None:
            self._loop.after(_TIMER, self._burst.due - self._loop.clock(), self._fire)

    def _take(self, event: FileEvent) -> None:
        mask = event.mask
        if mask & inotify.IGNORED:
            self._note_end(event.watch)
            return
        if mask & inotify.IS_DIRECTORY and mask & inotify.ATTRIB:
            return
        for directory in self._names.get(event.watch, ()):
            if mask & _OF_ITSELF:
                self._note_moved(directory)
            else:
                path = os.path.join(directory, event.name)
                if path in self._meaning:
                    self._note(self._meaning[path], finished=not _may_be_open(path, mask))

    def _note_end(self, watch: int) -> None:
        """The kernel watches it no longer; it is no news of what `_watch` has given up."""
        for directory in self._names.pop(watch, ()):
            if self._directories.get(directory) == watch:
                del self._directories[directory]
                self._note_moved(directory)

    def _note_moved(self, directory: str) -> None:
        """A watched directory is not where it was: another may be, or nothing."""
        below = directory.rstrip("/") + "/"
        for name, paths in self._meaning.items():
            if name == directory or name.startswith(below):
                self._note(paths, finished=True)

    def _note(self, paths: frozenset[str], *, finished: bool) -> None:
        self._burst = joined(self._burst, paths, finished=finished, now=self._loop.clock())

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
        """Watch exactly these directories; whether to look again, for something has moved."""
        problems = []
        found: dict[str, int] = {}
        moved = False
        for name in sorted(wanted):
            try:
                found[name] = self._number(name)
            except (FileNotFoundError, NotADirectoryError):
                moved = True
            except OSError as error:
                problems.append(f"{name}: cannot be watched: {error.strerror}")
        before, self._directories = self._directories, found
        self._forget(set(before.values()) - set(found.values()))
        self._names |= _by_number(found)
        self.problems = tuple(problems)
        return moved or any(before.get(name) != number for name, number in found.items())

    def _forget(self, numbers: set[int]) -> None:
        """End these watches; their names stay for the events that are still to be read."""
        if self._inotify is not None:
            for number in numbers:
                self._inotify.forget(number)

    def _number(self, directory: str) -> int:
        """The kernel's number of what has this name now: another one when it is another."""
        self._inotify = self._inotify or Inotify(self._loop, self._happened)
        return self._inotify.watch(directory, _CHANGES)


def _by_number(directories: Mapping[str, int]) -> dict[int, list[str]]:
    """The names of each watch: a directory that is mounted in two places has two."""
    found: dict[int, list[str]] = {}
    for name, number in directories.items():
        found.setdefault(number, []).append(name)
    return found


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


def _may_be_open(path: str, mask: int) -> bool:
    """Whether somebody may still be writing the file; then its closing is to come.

    A name is made for a link, too, which nobody writes into or closes. A second name
    moves the time of a file's change and not that of its content.
    """
    if not mask & inotify.CREATE or mask & inotify.IS_DIRECTORY:
        return bool(mask & inotify.MODIFY)
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime_ns == status.st_ctime_ns


def _open_to_strangers(directory: str) -> bool:
    try:
        return bool(os.stat(directory).st_mode & stat.S_IWOTH)
    except OSError:
        return False
