"""Tells systemd how the service is doing; says nothing when systemd did not ask."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from postkeel.core.text import one_line

STATUS_LIMIT = 200
"""Octets: `systemctl status` shows one line."""


class Notifier:
    """Speaks sd_notify(3) by systemd.daemon, imported only when there is a socket.

    Diagnostics: each message returns whether systemd took it. One that did not
    arrive is no reason to stop guarding.
    """

    def __init__(
        self, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.wanted = bool(environment.get("NOTIFY_SOCKET"))
        """Whether this is the process of a unit."""
        self._clock = clock
        self.alive_every = _half_of_watchdog(environment) if self.wanted else None
        self._last_alive: float | None = None

    def ready(self, status: str) -> bool:
        return self._send(f"READY=1\nSTATUS={one_line(status, STATUS_LIMIT)}")

    def status(self, text: str) -> bool:
        return self._send(f"STATUS={one_line(text, STATUS_LIMIT)}")

    def reloading(self) -> bool:
        """Say that the configuration is being read again; `ready` says that it was."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> bool:
        return self._send("STOPPING=1")

    def alive(self) -> bool:
        """Feed the watchdog, if half of its time has gone; call after work done.

        `alive_every` is how often, in seconds, the loop must turn for that; None
        when systemd keeps no watchdog for this process.
        """
        if self.alive_every is None:
            return False
        now = self._clock()
        if self._last_alive is not None and now < self._last_alive + self.alive_every * 0.9:
            return False
        self._last_alive = now
        return self._send("WATCHDOG=1")

    def _send(self, message: str) -> bool:
        if not self.wanted:
            return False
        from systemd import daemon

        try:
            return bool(daemon.notify(message))
        except OSError:
            return False


def _half_of_watchdog(environment: Mapping[str, str]) -> float | None:
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 2_000_000 if microseconds > 0 else None
