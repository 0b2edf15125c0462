"""When timers are due. The clock (steady seconds) and chance come in as arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postkeel.core.frozen import frozen


@frozen
class Armed:
    """A timer that repeats every so many seconds, later by up to `splay`, drawn anew each time."""

    every: float
    splay: float
    due: float


class Schedule:
    """Repeating timers by name.

    A timer is armed anew from the moment it is taken, never from the moment it
    was due: a machine that slept through a hundred periods gets one event. A
    clock that jumps back delays a timer by one period at most.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw  # a number from 0 up to, not including, 1
        self._armed: dict[str, Armed] = {}

    def repeat(self, name: str, *, every: float, splay: float, now: float) -> None:
        """Arm a timer. One of the same name and period keeps its due time.

        Errors: ValueError for a period that is not above 0, or a splay below 0.
        """
        if not every > 0 or not splay >= 0:
            raise ValueError(f"timer {name!r}: every {every!r} seconds, splay {splay!r}")
        known = self._armed.get(name)
        if known is None or (known.every, known.splay) != (every, splay):
            self._armed[name] = self._next(Armed(every=every, splay=splay, due=now), now)

    def cancel(self, name: str) -> None:
        self._armed.pop(name, None)

    def due_times(self) -> dict[str, float]:
        return {name: armed.due for name, armed in self._armed.items()}

    def next_due(self) -> float | None:
        return min((armed.due for armed in self._armed.values()), default=None)

    def take_due(self, now: float) -> tuple[str, ...]:
        """The names of the timers that are due, each once, earliest first; all are armed anew."""
        due = sorted((armed.due, name) for name, armed in self._armed.items() if armed.due <= now)
        for _, name in due:
            self._armed[name] = self._next(self._armed[name], now)
        for name, armed in self._armed.items():
            latest = now + armed.every + armed.splay
            if armed.due > latest:
                self._armed[name] = replace(armed, due=latest)
        return tuple(name for _, name in due)

    def _next(self, armed: Armed, now: float) -> Armed:
        return replace(armed, due=now + armed.every + armed.splay * self._draw())
