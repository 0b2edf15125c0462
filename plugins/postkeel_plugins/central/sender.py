"""Sends what is in the spool to the first collector that takes it, in a thread of its own.

The thread sleeps in one system call while there is nothing to do. It is woken by a report, by
the collector, and by the moments at which something is due: the end of a window, an answer that
is owed, a repeat that is to be told, another attempt.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from postkeel_plugins.central.collectors import Collector
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.opening import Manner, opened
from postkeel_plugins.central.spool import Spool
from postkeel_plugins.central.transfer import Transfer
from postkeel_plugins.central.waker import EndedError, Waker

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
_JITTER: Final = 0.25  # of a wait: thirty hosts do not come back in the same second
_PROVEN_SECONDS: Final = 1.0
"""A link that stood for so long, or took a report, was a good one."""
RETURN_SECONDS: Final = 300.0
"""After so long with another collector the first one is tried again, at the next report."""


class Sender:
    """One thread, which ends with the process or at `close`. It owns the spool and closes it."""

    def __init__(
        self,
        spool: Spool,
        collectors: Sequence[Collector],
        manner: Manner,
        clock: Callable[[], datetime],
    ) -> None:
        self._spool = spool
        self._collectors = collectors
        self._manner = manner
        self._clock = clock
        self._waker = Waker()
        self._wait = 0.0
        self._noted: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="central", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        """A report was put into the spool."""
        self._waker.ring()

    def close(self, seconds: float = 2.0) -> None:
        """End the thread, and wait for it; one that waits for the resolver ends later."""
        self._waker.end()
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while True:
                self._try_collectors()
        except EndedError:
            return
        finally:
            self._spool.close()

    def _try_collectors(self) -> None:
        """One after the other, until one was there for a while; if none was, wait."""
        for one in self._collectors:
            if self._was_there(one):
                return
        self._wait = min(LONGEST_WAIT, max(FIRST_WAIT, self._wait * 2))
        drawn = int.from_bytes(os.urandom(2), "big") / 65536
        self._waker.rest(self._wait * (1 + _JITTER * drawn))

    def _was_there(self, collector: Collector) -> bool:
        """Send to it for as long as that goes well; False when it did not even begin to."""
        good = False
        try:
            with contextlib.closing(opened(collector, self._manner, self._waker)) as link:
                proven = time.monotonic() + _PROVEN_SECONDS
                transfer = Transfer(self._spool, link, self._waker, self._clock)
                until = self._until(collector)
                while time.monotonic() < until:
                    transfer.turn()
                    stood = time.monotonic() >= proven
                    good = good or stood or transfer.settled_any
                    if good:
                        self._wait = 0.0
                        self._note(collector, link.complaint())
                    transfer.sleep(None if good else proven)
        except LinkError as error:
            self._note(collector, str(error))
        return good

    def _until(self, collector: Collector) -> float:
        if collector is self._collectors[0]:
            return math.inf
        return time.monotonic() + RETURN_SECONDS

    def _note(self, collector: Collector, problem: str) -> None:
        """Keep for the status what is wrong with a collector, once for each change."""
        if self._noted.get(collector.url) != problem:
            self._noted[collector.url] = problem
            self._spool.note(collector.url, problem)
