"""What postkeel needs of watchdog, from 2.2 (Debian 12) to 7: the one module that imports it."""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from watchdog import events
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

_CHANGES = (
    "FileCreatedEvent",
    "FileModifiedEvent",
    "FileAttribEvent",
    "FileClosedEvent",
    "FileMovedEvent",
    "FileDeletedEvent",
    "DirCreatedEvent",
    "DirMovedEvent",
    "DirDeletedEvent",
)
_UNFINISHED = ("created", "modified")
_HOLDERS_OF_MOVES = (
    ("watchdog.observers.inotify_buffer", "InotifyBuffer"),  # to 6
    ("watchdog.observers.inotify_move_event_grouper", "InotifyMoveEventGrouper"),  # from 7
)


class _Note(Protocol):
    def __call__(self, path: str, other: str, *, finished: bool) -> object: ...


class Handler(FileSystemEventHandler):
    """Hands on the events that change what a name means, or what is in it."""

    def __init__(self, directory: str, note: _Note, note_lost: Callable[[str], object]) -> None:
        super().__init__()
        self._directory = directory
        self._note = note
        self._note_lost = note_lost

    def dispatch(self, event: FileSystemEvent) -> None:
        kind = event.event_type
        if kind in ("opened", "closed_no_write") or (event.is_directory and kind == "modified"):
            return
        path = _text(event.src_path)
        unfinished = kind in _UNFINISHED and not event.is_directory and _may_be_open(path)
        self._note(path, _text(getattr(event, "dest_path", "")), finished=not unfinished)
        if path == self._directory and kind == "deleted":
            self._note_lost(path)


def _may_be_open(path: str) -> bool:
    """Whether somebody may still be writing the file.

    watchdog calls a new mode or owner "modified" too, which moves the time of the
    change and not that of the content. Nobody writes into a symbolic link.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime_ns == status.st_ctime_ns


def start() -> BaseObserver:
    """An observer that runs, and tells a file that is moved in from one that is made."""
    _do_not_hold_moves()
    observer = InotifyObserver(generate_full_events=True)
    observer.daemon = True
    observer.start()
    return observer


def schedule(observer: BaseObserver, handler: Handler, directory: str) -> ObservedWatch:
    """Watch the directory, not what is below it. OSError when the kernel refuses."""
    if "event_filter" in inspect.signature(observer.schedule).parameters:
        wanted = [getattr(events, name) for name in _CHANGES if hasattr(events, name)]
        return observer.schedule(handler, directory, event_filter=wanted)
    return observer.schedule(handler, directory)


def _do_not_hold_moves() -> None:
    """Have a file's departure reported at once.

    watchdog holds it, and every event behind it, for half a second, to join it
    with the arrival into one event. Nobody here needs them joined.
    """
    for module, name in _HOLDERS_OF_MOVES:
        try:
            holder = getattr(import_module(module), name)
        except ImportError:
            continue
        holder.delay = 0.0


def _text(path: bytes | str | None) -> str:
    return path.decode(errors="surrogateescape") if isinstance(path, bytes) else path or ""
