"""Where the sender's thread sleeps: until a descriptor is ready, it is woken, or time is up."""

from __future__ import annotations

import os
import select
import time
import weakref

_LONGEST = 600.0
"""Seconds of one sleep: a clock that jumps puts nothing off for longer."""


class EndedError(Exception):
    """The sender is to end."""


class Waker:
    """Woken from any thread, asleep in one. A wake-up while it is awake is not forgotten."""

    def __init__(self) -> None:
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._bell)
        self._rung = False
        self._ended = False

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            os.eventfd_write(self._bell, 1)

    def end(self) -> None:
        """Raise EndedError in the thread that sleeps here, now or at its next sleep."""
        self._ended = True
        os.eventfd_write(self._bell, 1)

    def sleep(
        self, descriptor: int, events: int, seconds: float | None, *, heeding: bool = True
    ) -> None:
        """Until an event of the descriptor, a ring or the time; None: however long.

        heeding: False puts rings off to the next sleep.
        """
        if heeding:
            self._poll(((descriptor, events),), seconds)
        else:
            poll = select.poll()
            poll.register(descriptor, events)
            poll.poll(_milliseconds(seconds))

    def ready(self, descriptor: int, events: int, seconds: float) -> bool:
        """Whether an event of the descriptor came in time; rings are kept for later."""
        end = time.monotonic() + seconds
        rung = False
        while True:
            left = max(0.0, end - time.monotonic())
            found = self._poll(((descriptor, events),), left)
            rung |= self._bell in found
            if descriptor in found or not left:
                break
        if rung:
            self.ring()
        return descriptor in found

    def rest(self, seconds: float) -> None:
        """So many seconds, whatever is rung."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._poll((), left)

    def _poll(self, descriptors: tuple[tuple[int, int], ...], seconds: float | None) -> set[int]:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for one in descriptors:
            poll.register(*one)
        found = {one for one, _ in poll.poll(_milliseconds(seconds))}
        if self._bell in found:
            os.eventfd_read(self._bell)
            self._rung = False
        if self._ended:
            raise EndedError
        return found


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * min(_LONGEST, seconds)
