"""Takes samples of new messages in mailboxes: what their headers say of the way they came.

    inotify ─► a name, or a longer file ─► two fields of the header ─► those of a moment, at once

Nothing wakes it but mail that arrives, and nothing at all once the samples of a minute are taken:
then the watch is given up until the minute is over, so 50,000 messages cost what 60 do.
What cannot be watched, because it is not there or not to be read, is waited for in the
directory above. Most watches are for one event only, so nobody can keep the agent busy.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from typing import Final

from postkeel.core.mail import Mailboxes
from postkeel.core.text import one_line
from postkeel.shell import inotify
from postkeel.shell.inotify import FileEvent, Inotify
from postkeel.shell.loop import Loop
from postkeel.shell.sampled_files import Maildir, Mbox

MINUTE: Final = 60.0
MOMENT: Final = 0.2
"""Seconds in which messages are gathered, and for which a growing mbox is left alone."""

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 60.0
"""Seconds between two looks for directories that move about, or that are still not there."""

_MOST_HALF: Final = 64

_OF_ITSELF: Final = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT | inotify.IGNORED
_OF_MAILDIR: Final = (
    inotify.MOVED_TO
    | inotify.CREATE
    | inotify.CLOSE_WRITE
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
    | inotify.ONLY_DIRECTORY
    | inotify.DO_NOT_FOLLOW
    | inotify.ADD_TO_MASK
)
_OF_MBOX: Final = (
    inotify.MODIFY
    | inotify.ATTRIB
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
    | inotify.ONE_SHOT
    | inotify.DO_NOT_FOLLOW
    | inotify.ADD_TO_MASK
)
_OF_PLACE: Final = (
    inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.ONLY_DIRECTORY | inotify.ADD_TO_MASK
)
_WHAT_COMES: Final = (
    _OF_PLACE | inotify.CREATE | inotify.MOVED_TO | inotify.ATTRIB | inotify.ONE_SHOT
)
_MOST_PASSES: Final = 8
_LOST = "more happened in the mailboxes than the kernel keeps: some messages were not looked at"


class Sampling:
    """Calls `ready` in the loop's thread with the fields Received and Authentication-Results.

    One item for each message, and those of a moment in one call. Diagnostics: nothing is raised;
    `complain` is told each problem once, and `problems` are those of now.
    Security: see `sampled_files`. Of a message nothing else is kept, and nothing is stored.
    """

    def __init__(
        self,
        loop: Loop,
        wanted: Mailboxes,
        ready: Callable[[tuple[bytes, ...]], object],
        complain: Callable[[str], object],
    ) -> None:
        self._loop = loop
        self._most = wanted.most
        self._ready = ready
        self._complain = complain
        self._name = f"sampling {id(self)}"
        self._places = tuple(map(_place_of, wanted.paths))
        self._inotify: Inotify | None = None
        self._watched: dict[int, Maildir | Mbox] = {}
        self._above: set[int] = set()
        self._written: set[Mbox] = set()
        self._half: dict[tuple[Maildir, str], None] = {}
        self._batch: list[bytes] = []
        self._left = wanted.most
        self._minute_ends = 0.0
        self._pause = _FIRST_PAUSE
        self._waiting: set[str] = set()
        self._told: set[str] = set()
        self._problems: dict[tuple[str, str], str] = {}
        if self._most > 0:
            self._begin()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, one sentence each."""
        return tuple(self._problems[key] for key in sorted(self._problems))

    def close(self) -> None:
        """Nothing is called back from now on."""
        self._give_up()
        self._batch.clear()
        for timer in (*self._waiting, "minute"):
            self._loop.cancel(f"{self._name} {timer}")

    def _begin(self) -> None:
        """Watch for what comes from now on."""
        try:
            self._inotify = Inotify(self._loop, self._happened)
        except OSError as error:
            self._trouble("", "", f"mailboxes cannot be watched: {error.strerror}")
            self._loop.after(f"{self._name} minute", MINUTE, self._begin)
            return
        self._well("", "")
        for place in self._places:
            place.skip()
        self._visit_all()

    def _give_up(self) -> None:
        """Forget the watches, and with them what the kernel has still to tell."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        self._watched.clear()
        self._above.clear()
        self._written.clear()
        self._half.clear()

    def _happened(self, events: list[FileEvent]) -> None:
        for event in events:
            place = self._watched.get(event.watch)
            if event.mask & inotify.OVERFLOW:
                self._trouble("", "lost", _LOST)
                self._later("places", self._pause, self._visit_all)
            elif isinstance(place, Mbox):
                del self._watched[event.watch]
                self._written.add(place)
                self._later("written", MOMENT, self._visit_written)
            elif event.watch in self._above or event.mask & _OF_ITSELF:
                self._moved(event.watch, place)
            elif place is not None:
                self._arrived(place, event)
            if self._inotify is None:  # the samples of this minute are taken
                return

    def _moved(self, watch: int, place: Maildir | None) -> None:
        """A directory on the way is another one now, or nothing; it may be one that was left."""
        if place is None and watch not in self._above:
            return
        self._above.discard(watch)
        self._watched.pop(watch, None)
        self._later("places", self._pause, self._visit_all)

    def _arrived(self, place: Maildir, event: FileEvent) -> None:
        name = event.name
        if event.mask & inotify.IS_DIRECTORY or name.startswith(".") or place.is_newcomer(name):
            return
        if event.mask & inotify.CLOSE_WRITE and (place, name) not in self._half:
            return  # it was whole before
        self._half.pop((place, name), None)
        self._take(place, name, being_written=bool(event.mask & inotify.CREATE))

    def _take(self, place: Maildir, name: str, *, being_written: bool = False) -> None:
        """Read one message of a Maildir; so does who can only try, for it costs as much."""
        if not self._allowed():
            return
        self._left -= 1
        try:
            header = place.header(name)
        except OSError as error:
            self._unreadable(place.path, error)
        else:
            self._well(place.path, "message")
            if header is not None and (header.ended or not being_written):
                self._gather([header.fields])
            elif header is not None and len(self._half) < _MOST_HALF:
                self._half[place, name] = None
        self._allowed()

    def _visit_written(self) -> None:
        """Ask for the next events first: what is written from now on is one."""
        places, self._written = self._written, set()
        for place in sorted(places, key=lambda one: one.path):
            self._visit(place)

    def _visit_all(self) -> None:
        """Ask anew for all that decides what the names mean, and look less often in vain."""
        before = set(self._watched) | self._above
        found = set(self._watched.values())
        self._watched.clear()
        self._above.clear()
        for place in self._places:
            self._visit(place)
        if self._inotify is not None:
            for watch in before - set(self._watched) - self._above:
                self._inotify.forget(watch)
        changed = found != set(self._watched.values())
        self._pause = _FIRST_PAUSE if changed else min(self._pause * 2, _LONGEST_PAUSE)

    def _visit(self, place: Maildir | Mbox) -> None:
        """Watch it, and take what came while it was not."""
        if self._inotify is None or not self._watch(self._inotify, place):
            return
        try:
            if isinstance(place, Maildir):
                for name in place.newcomers():
                    self._take(place, name)
            elif self._allowed():
                found = place.headers(self._left)
                self._well(place.path, "message")
                self._left -= len(found)
                self._gather(found)
                self._allowed()
        except FileNotFoundError:
            place.miss()
        except OSError as error:
            self._unreadable(place.path, error)

    def _watch(self, kernel: Inotify, place: Maildir | Mbox) -> bool:
        """Whether it is watched; if not, then the nearest directory above that can be."""
        mask = _OF_MAILDIR if isinstance(place, Maildir) else _OF_MBOX
        directories = _directories_of(place.watched)
        waited_in = ""
        for _ in range(_MOST_PASSES):
            for one in directories:
                self._watch_above(kernel, one, _OF_PLACE)
            try:
                self._watched[kernel.watch(place.watched, mask)] = place
            except OSError as error:
                self._not_there(place, error)
            else:
                self._well(place.path, "place")
                return True
            before, waited_in = waited_in, self._wait_in(kernel, directories)
            if waited_in == before:  # it was tried once more since somebody listens
                break
        if not waited_in:
            self._later("places", _LONGEST_PAUSE, self._visit_all)
        return False

    def _wait_in(self, kernel: Inotify, directories: Iterable[str]) -> str:
        """The nearest directory that can be watched for what is missing; "" when there is none."""
        for one in directories:
            if self._watch_above(kernel, one, _WHAT_COMES):
                return one
        return ""

    def _watch_above(self, kernel: Inotify, name: str, mask: int) -> bool:
        try:
            self._above.add(kernel.watch(name, mask))
        except OSError:  # not there, or closed to the agent
            return False
        return True

    def _not_there(self, place: Maildir | Mbox, error: OSError) -> None:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            place.miss()
            why = "there is no such mailbox now; its messages are sampled once it is there"
        elif isinstance(error, PermissionError):
            why = "the user of the side monitor may not read it: give it leave, as with setfacl"
        else:
            why = f"it cannot be watched: {error.strerror}"
        self._trouble(place.path, "place", f"{place.path}: {why}")

    def _unreadable(self, path: str, error: OSError) -> None:
        why = f"new messages cannot be read: {error.strerror}"
        self._trouble(path, "message", f"{path}: {why}")

    def _trouble(self, path: str, about: str, text: str) -> None:
        sentence = one_line(text)
        self._problems[path, about] = sentence
        if sentence not in self._told:
            self._told.add(sentence)
            self._complain(sentence)

    def _well(self, path: str, about: str) -> None:
        self._problems.pop((path, about), None)

    def _allowed(self) -> bool:
        """Whether another sample may be taken; if not, all rests until the minute is over."""
        now = self._loop.clock()
        if now >= self._minute_ends:
            self._minute_ends = now + MINUTE
            self._left = self._most
        if self._left > 0:
            return True
        self._give_up()
        self._loop.after(f"{self._name} minute", self._minute_ends - now, self._begin)
        return False

    def _gather(self, found: Iterable[bytes]) -> None:
        self._batch += found
        if self._batch:
            self._later("batch", MOMENT, self._hand_on)

    def _hand_on(self) -> None:
        batch, self._batch = tuple(self._batch), []
        self._ready(batch)

    def _later(self, timer: str, seconds: float, act: Callable[[], object]) -> None:
        """Once, however often it is asked for until then."""
        if timer not in self._waiting:
            self._waiting.add(timer)
            due = functools.partial(self._due, timer, act)
            self._loop.after(f"{self._name} {timer}", seconds, due)

    def _due(self, timer: str, act: Callable[[], object]) -> None:
        self._waiting.discard(timer)
        act()


def _place_of(path: str) -> Maildir | Mbox:
    return Maildir(path) if path.endswith("/") else Mbox(path)


def _directories_of(path: str) -> list[str]:
    """Those that hold it, the nearest first."""
    found = []
    while path != "/":
        path = os.path.dirname(path)
        found.append(path)
    return found
