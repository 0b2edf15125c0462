"""The one event loop: descriptors, timers, signals and calls from other threads.

Rounds run one at a time in the main thread, so nothing here needs asyncio, whose
import alone costs more than all of postkeel's. Idle means asleep: the loop blocks
in one system call until a descriptor is ready or the next timer is due.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Protocol

from postkeel.core.schedule import Schedule

Callback = Callable[[], object]


class HasFileno(Protocol):
    """A file, socket or anything else with a descriptor."""

    def fileno(self) -> int: ...


def _chance() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32


class Loop:
    """Calls back, in the thread that runs it.

    `on_error` is handed what a callback raised, and the loop goes on. `after_each`
    is called after every turn of the loop, work done: the place to tell a
    supervisor that the loop turns.
    """

    def __init__(
        self,
        on_error: Callable[[Exception], object],
        after_each: Callback = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = _chance,
    ) -> None:
        self._on_error = on_error
        self._after_each = after_each
        self.clock = clock
        self._schedule = Schedule(draw)
        self._repeating: dict[str, Callback] = {}
        self._once: dict[str, tuple[float, Callback]] = {}
        self._readers: dict[int, Callback] = {}
        self._woken: deque[Callback] = deque()
        self._signals: dict[int, Callback] = {}
        self._previous: dict[int, object] = {}
        self._arrived: set[int] = set()
        self._stopped = False
        self._poll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake_read, select.EPOLLIN)
        self._previous_wakeup: int | None = None

    def register(self, source: int | HasFileno, callback: Callback) -> None:
        """Call back whenever the descriptor is readable, or has come to its end."""
        number = source if isinstance(source, int) else source.fileno()
        self._poll.register(number, select.EPOLLIN)
        self._readers[number] = callback

    def unregister(self, source: int | HasFileno) -> None:
        """Forget the descriptor; do so before it is closed."""
        number = source if isinstance(source, int) else source.fileno()
        del self._readers[number]
        self._poll.unregister(number)

    def wake(self, callback: Callback) -> None:
        """Call back soon, from the loop's thread. May be called from any thread."""
        self._woken.append(callback)
        with suppress(BlockingIOError):  # then the pipe is full of reasons to wake up
            os.write(self._wake_write, b"\0")

    def repeat(self, name: str, callback: Callback, *, every: float, splay: float = 0.0) -> None:
        """Call back again and again; replaces the timer of this name, see `Schedule.repeat`."""
        self._schedule.repeat(name, every=every, splay=splay, now=self.clock())
        self._repeating[name] = callback

    def after(self, name: str, seconds: float, callback: Callback) -> None:
        """Call back once; replaces the call of this name that is still to come."""
        self._once[name] = (self.clock() + seconds, callback)

    def cancel(self, name: str) -> None:
        """Forget a timer of either kind; no error when there is none."""
        self._schedule.cancel(name)
        self._repeating.pop(name, None)
        self._once.pop(name, None)

    def due_times(self) -> dict[str, float]:
        """When each timer is due next, by the loop's clock."""
        return self._schedule.due_times() | {name: due for name, (due, _) in self._once.items()}

    def on_signal(self, number: int, callback: Callback) -> None:
        """Call back, outside of the signal handler, after this signal. Main thread only."""
        if self._previous_wakeup is None:
            self._previous_wakeup = signal.set_wakeup_fd(
                self._wake_write, warn_on_full_buffer=False
            )
        previous = signal.signal(number, self._note_signal)
        self._previous.setdefault(number, previous)
        self._signals[number] = callback

    def run_until_stopped(self) -> None:
        """Turn until `stop`, which may have been called before; then it can be run again."""
        while not self._stopped:
            self._turn()
        self._stopped = False

    def stop(self) -> None:
        """Return from `run_until_stopped` once the present turn is over."""
        self._stopped = True

    def close(self) -> None:
        """Give back descriptors and signal handlers."""
        for number, previous in self._previous.items():
            signal.signal(number, previous)  # type: ignore[arg-type]
        if self._previous_wakeup is not None:
            signal.set_wakeup_fd(self._previous_wakeup)
        self._poll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.add(number)

    def _turn(self) -> None:
        for callback in self._ready(self._poll.poll(self._timeout())):
            self._call(callback)
        self._after_each()

    def _timeout(self) -> float | None:
        if self._woken or self._arrived:
            return 0.0
        times = [due for due, _ in self._once.values()]
        repeating = self._schedule.next_due()
        if repeating is not None:
            times.append(repeating)
        return max(0.0, min(times) - self.clock()) if times else None

    def _ready(self, events: list[tuple[int, int]]) -> Iterator[Callback]:
        """What to call in this turn: signals first, for they may end it all.

        Descriptors and timers are looked up again when it is their turn: what one call
        has cancelled or unregistered, and perhaps closed, must not be called after it.
        """
        if any(number == self._wake_read for number, _ in events):
            self._drain()
        woken = len(self._woken)
        readable = [(number, self._readers.get(number)) for number, _ in events]
        now = self.clock()
        once = [(name, one) for name, one in self._once.items() if one[0] <= now]
        repeating = [(name, self._repeating[name]) for name in self._schedule.take_due(now)]
        for _ in range(len(self._arrived)):
            yield self._signals[self._arrived.pop()]
        for _ in range(woken):
            yield self._woken.popleft()
        for number, reader in readable:
            if reader is not None and self._readers.get(number) is reader:
                yield reader
        for name, one in once:
            if self._once.get(name) is one:
                yield self._once.pop(name)[1]
        for name, callback in repeating:
            if self._repeating.get(name) is callback:
                yield callback

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001  the source guard: one broken source must not stop the others
            self._on_error(error)
