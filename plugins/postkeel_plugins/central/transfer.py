"""Reports from the spool over one link, for as long as that stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from postkeel.database import PostkeelError
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.link import Link
from postkeel_plugins.central.spool import Spool
from postkeel_plugins.central.waker import Waker

_BATCH: Final = 512
_GATHER_SECONDS: Final = 0.01
"""Reports that come one after the other are gathered for so long before the next batch."""
SPOOL_SECONDS: Final = 5.0
"""The spool is left alone for so long after it failed."""


class Transfer:
    """Begins with the oldest report that is not settled, whatever an earlier link did with it."""

    def __init__(
        self,
        spool: Spool,
        link: Link,
        waker: Waker,
        clock: Callable[[], datetime],
    ) -> None:
        self._spool = spool
        self._link = link
        self._waker = waker
        self._clock = clock
        self._generation = spool.generation
        self._after = 0
        self._owed: list[int] = []
        self._fetch_at = 0.0
        self._unwind_at: float | None = None
        self._rest_until = 0.0
        self.settled_any = False

    def turn(self) -> None:
        """Everything that can be done now. Errors: LinkError."""
        while True:
            now = time.monotonic()
            if self._spool.generation != self._generation:
                raise LinkError("the spool was begun anew while reports of the old one were sent")
            self._owed += self._link.turn(now)
            if now < self._rest_until:
                return
            try:
                took = self._exchange(now)
            except PostkeelError:
                # Whoever puts a report is told; here it is only a matter of another attempt.
                self._rest_until = now + SPOOL_SECONDS
                return
            if not took:
                return

    def sleep(self, until: float | None = None) -> None:
        """Until there is something to do; until: at the latest."""
        now = time.monotonic()
        gathering = self._fetch_at > now
        moments = [until, self._link.due(), self._unwind_at if self._link.room() else None]
        moments += [one for one in (self._fetch_at, self._rest_until) if one > now]
        end = min((one for one in moments if one is not None), default=None)
        seconds = None if end is None else max(0.0, end - now)
        self._waker.sleep(*self._link.watched(), seconds, heeding=not gathering)

    def _exchange(self, now: float) -> bool:
        """Settle what is owed and fetch what there is; whether there was any."""
        if self._owed:
            self._spool.settle(self._owed, self._generation)
            self._owed = []
            self.settled_any = True
        room = min(self._link.room(), _BATCH)
        if not room or now < self._fetch_at:
            return False
        due = self._spool.unwind(self._clock())
        self._unwind_at = None if due is None else now + due
        batch = self._spool.unsent(self._after, room)
        if not batch:
            return False
        self._link.take(batch)
        self._after = batch[-1].seq
        if len(batch) < room:
            self._fetch_at = now + _GATHER_SECONDS
        return True
