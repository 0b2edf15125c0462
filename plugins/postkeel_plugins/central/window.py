"""Plain syslog streams, over TCP (RFC 6587) and TLS (RFC 5425), in which nothing is answered.

Each report is framed by octet counting. Since the collector never says what it has taken, a
report that was written stays in the spool until

- `window_seconds` after it was written, with the connection still standing and the collector's
  kernel having acknowledged its octets, or
- 16 MiB were written and acknowledged behind it, which is more than the buffers of both kernels
  hold, or
- as many reports as half the spool takes were written behind it: else the spool would be full of
  what has been sent, and a new report would be dropped for certain.

If the connection ends before that, all that is not done with is sent again, with the same
number, on the next one; the collector's side drops doubles by (host, spool, seq).

Guarantee. Never lost is what was in flight, in whatever buffer, when the collector was killed,
when the connection was cut or refused, when the collector's host lost its power (probes of the
kernel find that within 30 seconds), or when this process was killed, provided that the end is
seen before the window is over. Lost can be what the collector had read and not yet written to its
disk when it ended more than `window_seconds` after the report was written to the connection: it
hung that long with the connection standing, or it queues in memory for that long. RELP has
no such gap.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence

from postkeel.contract import one_line
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.spool import Spooled

BEHIND = 16 * 1024 * 1024
_BATCH = 512
_LOOK_AGAIN = 1.0
"""Seconds between two looks at what the collector's kernel should have acknowledged by now."""

_Written = tuple[float, int, "array[int]"]
"""When reports were written in one go, where their octets end in the connection, their numbers."""


class Window:
    """A `Conversation` of octet-counted frames, see above. most: reports held for sending again."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = max(most, 1)
        self._batch = min(_BATCH, max(1, most // 8))
        self._framed = 0
        self._unwritten: deque[tuple[int, int]] = deque()
        self._sent: deque[_Written] = deque()
        self._held = 0
        self._not_before = 0.0

    def begin(self) -> bytes:
        return b""

    def room(self) -> int:
        return max(0, self._batch - len(self._unwritten))

    def framed(self, reports: Sequence[Spooled]) -> bytes:
        frames = []
        for one in reports:
            frames.append(b"%d %b" % (len(one.octets), one.octets))
            self._framed += len(frames[-1])
            self._unwritten.append((one.seq, self._framed))
        return b"".join(frames)

    def wrote(self, octets: int, now: float) -> None:
        end, numbers = 0, array("Q")
        while self._unwritten and self._unwritten[0][1] <= octets:
            seq, end = self._unwritten.popleft()
            numbers.append(seq)
        if numbers:
            self._sent.append((now, end, numbers))
            self._held += len(numbers)

    def received(self, octets: bytes, now: float) -> None:  # noqa: ARG002  it is refused
        """A collector has nothing to say here; one that talks is something else."""
        said = one_line(octets[:60].decode("utf-8", "surrogateescape"))
        raise LinkError(f'it answers, as no syslog collector does: "{said}"')

    def again(self, now: float) -> bytes:  # noqa: ARG002  the connection's own deadlines do
        return b""

    def settled(self, taken: int, now: float) -> list[int]:
        done: list[int] = []
        while self._sent and self._is_over(taken, now):
            _, _, numbers = self._sent.popleft()
            self._held -= len(numbers)
            done.extend(numbers)
        self._not_before = now + _LOOK_AGAIN
        return done

    def _is_over(self, taken: int, now: float) -> bool:
        """Whether the oldest need not be sent again."""
        moment, end, _ = self._sent[0]
        if self._held > self._most:
            return True
        return taken >= end + BEHIND or (taken >= end and now >= moment + self._seconds)

    def due(self) -> float | None:
        if not self._sent:
            return None
        return max(self._sent[0][0] + self._seconds, self._not_before)

    def complaint(self) -> str:
        return ""

    def end(self) -> bytes:
        return b""
