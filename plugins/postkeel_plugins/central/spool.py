"""Reports on their way to a collector, on the disk until one has taken them.

What `put` has taken survives that the process is killed. It survives a power cut as well
when nothing was put in the tenth of a second before; in a flood the disk is waited for once
in that time, and before anything is handed out to be sent. So a power cut costs at most the
last tenth of a second of a flood, and never has a number used for two reports.

At least once: a report that was sent, and not settled before the process or the power went,
is sent again with the same number. One that is dropped while it is on its way may arrive.

When too many wait, the newest of the least severe is let go, so the oldest error is the last.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from postkeel.contract import Standing
from postkeel.database import DamagedError, Database, MisplacedError, PostkeelError
from postkeel.reporting.message import Message
from postkeel_plugins.central import spool_tables
from postkeel_plugins.central.folding import Bounds
from postkeel_plugins.central.reserve import Reserve
from postkeel_plugins.central.spool_contents import Contents, Encode, Spooled, identify

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Bounds", "Encode", "Spool", "Spooled"]

T = TypeVar("T")

_QUIET_SECONDS: Final = 0.1
_PATIENCE: Final = 4.0  # seconds; a reporter has five


class Spool(Database):
    """One file in the directory; for any number of threads of one process.

    Diagnostics: PostkeelError when the disk is full, refuses, or has not answered for
    four seconds; nothing of that call is kept then. A damaged file, or what else stands in
    its place, is moved aside, and a new one begun with another id: `standing` and a message
    say so.
    """

    schema = spool_tables.SCHEMA
    version = spool_tables.VERSION
    cache = spool_tables.CACHE
    damage = spool_tables.DAMAGE
    any_thread = True

    def __init__(self, directory: str, bounds: Bounds, encode: Encode) -> None:
        super().__init__(spool_tables.path_of(directory))
        self._bounds = bounds
        self._encode = encode
        self._lock = threading.RLock()
        self._reserve = Reserve(f"{self.path}-reserve")
        self._contents: Contents | None = None
        self._is_fresh = True
        self._is_synced = False
        self._synced_at = 0.0
        self.generation = 0
        """One more with each file that was begun anew: numbers of an earlier one mean nothing."""

    def put(self, message: Message, now: datetime) -> None:
        """Take a report; one that was taken already is not taken again."""
        self._write(lambda contents: contents.take(message, now))

    def unsent(self, after: int, most: int) -> tuple[Spooled, ...]:
        """What waits, oldest first, of the numbers above `after`. It survives a power cut."""

        def select(contents: Contents) -> tuple[Spooled, ...]:
            if not self._is_synced:
                self._sync()
                self._is_synced = True
            return contents.select(after, most)

        try:
            return self._act(select)
        except PostkeelError:
            self._reserve.give()  # on a full disk a file cannot even be opened
            return self._act(select)

    def settle(self, numbers: Iterable[int], generation: int | None = None) -> None:
        """Let go of what a collector has taken; numbers that are not here do no harm.

        generation: the spool's own when the numbers were given; those of another are left.
        Diagnostics: on a full disk a reserve is used; where that does not do, it fails, and
        the same may be settled again later.
        """
        settled = tuple(numbers)
        if not settled:
            return
        of = self.generation if generation is None else generation

        def delete(contents: Contents) -> None:
            if self.generation == of:
                contents.delete(settled)

        try:
            self._write(delete)
        except PostkeelError:
            self._reserve.give()
            self._write(delete)
        with contextlib.suppress(PostkeelError):
            self._act(Contents.shrink)

    def unwind(self, now: datetime) -> float | None:
        """Put what folding windows owe that have ended; seconds until the next one does.

        None: no window owes anything. Sooner if a report is put meanwhile.
        """
        moment = now.timestamp()
        while self._act(lambda contents: contents.any_due(moment)):
            self._write(lambda contents: contents.end_due(moment))
        return self._act(lambda contents: contents.due_in(moment))

    def note(self, collector: str, problem: str) -> None:
        """Keep for `standing` what is wrong with a collector, "" for nothing. Never fails."""
        with contextlib.suppress(PostkeelError):
            self._write(lambda contents: contents.note(collector, problem))

    def standing(self) -> Standing:
        """How many wait and were dropped, and what there is to say."""
        return self._act(Contents.standing)

    def close(self) -> None:
        with self._held():
            self._contents = None
            super().close()

    def _write(self, act: Callable[[Contents], None]) -> None:
        """Wait for the disk as well, unless that was done just now."""

        def write(contents: Contents) -> None:
            quiet = time.monotonic() - self._synced_at >= _QUIET_SECONDS
            contents.change(act, waits=quiet)
            self._is_synced = quiet
            if quiet:
                self._synced_at = time.monotonic()

        self._act(write)
        self._reserve.keep()

    def _sync(self) -> None:
        """Wait until the disk has what was committed."""
        with contextlib.suppress(FileNotFoundError):
            log = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)

    def _act(self, act: Callable[[Contents], T]) -> T:
        with self._held():
            try:
                return self._attempt(act)
            except (DamagedError, MisplacedError):
                self.close()
                now = datetime.now(UTC)
                aside = self._set_aside(now)
                self.generation += 1
                self._attempt(
                    lambda contents: contents.change(
                        lambda inside: inside.tell_damage(aside, now), waits=True
                    )
                )
                return self._attempt(act)

    def _attempt(self, act: Callable[[Contents], T]) -> T:
        def on(connection: sqlite3.Connection) -> T:
            if self._contents is None:
                self._contents = Contents(connection, self._bounds, self._encode)
            return act(self._contents)

        try:
            return self._guarded(on)
        except BaseException:
            self._contents = None  # it may be ahead of what was rolled back
            raise

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_PATIENCE):
            raise PostkeelError(f"{self.path}: the disk has not answered for {_PATIENCE:g} s")
        try:
            yield
        finally:
            self._lock.release()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        super()._prepare(connection)
        connection.execute("PRAGMA temp_store = MEMORY").fetchall()
        connection.text_factory = lambda octets: octets.decode(errors="replace")
        if self._is_fresh:
            connection.execute("DELETE FROM notes")  # of collectors that are no longer asked
            self._is_fresh = False
        identify(connection)
        self._is_synced = False
        self._synced_at = -_QUIET_SECONDS
