"""Collectors that take datagrams: by UDP, or the unix socket of a syslog on this host.

Guarantee: at most once. A report is done with when the kernel has taken its datagram. A unix
socket that is full or missing is waited for, and what its syslog has been handed is handed over;
of a datagram by UDP nobody ever learns what became of it, and only a host that says "nobody
listens here" is noticed, a report too late. Nothing is sent twice, unless this process was killed
between sending and noting it.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

from postkeel_plugins.central.collectors import Collector
from postkeel_plugins.central.conversation import LinkError, reason_of
from postkeel_plugins.central.spool import Spooled
from postkeel_plugins.central.streams import STALL_SECONDS, addresses

_BATCH = 64


def datagrams(collector: Collector) -> Datagrams:
    """A link to a collector of kind "unix" or "datagram". Errors: LinkError."""
    family: int = socket.AF_UNIX
    address: Any = collector.path
    place = collector.path
    if not place:
        family, _, _, _, address = addresses(collector, socket.SOCK_DGRAM)[0]
        place = f"{address[0]} port {address[1]}"
    connection = socket.socket(family, socket.SOCK_DGRAM)
    try:
        connection.setblocking(False)
        connection.connect(address)
    except OSError as error:
        connection.close()
        raise LinkError(f"cannot send to {place}: {reason_of(error)}") from error
    return Datagrams(connection)


class Datagrams:
    """A `Link`: one datagram a report."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: deque[Spooled] = deque()
        self._stalled: float | None = None
        self._failure: OSError | None = None

    def turn(self, now: float) -> list[int]:
        code = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        failure = self._failure or (OSError(code, os.strerror(code)) if code else None)
        if failure:
            raise LinkError(f"it takes no datagram: {reason_of(failure)}") from failure
        done = self._sent()
        if not self._waiting:
            self._stalled = None
        elif self._stalled is None or done:
            self._stalled = now
        elif now >= self._stalled + STALL_SECONDS:
            raise LinkError(f"it took nothing for {STALL_SECONDS:g} s")
        return done

    def _sent(self) -> list[int]:
        done = []
        try:
            while self._waiting:
                self._connection.send(self._waiting[0].octets)
                done.append(self._waiting.popleft().seq)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failure = error  # told at the next turn: what was sent before is settled first
        return done

    def room(self) -> int:
        return _BATCH - len(self._waiting)

    def take(self, reports: Sequence[Spooled]) -> None:
        self._waiting.extend(reports)

    def watched(self) -> tuple[int, int]:
        return self._connection.fileno(), select.POLLOUT if self._waiting else 0

    def due(self) -> float | None:
        if self._failure:
            return 0.0
        return None if self._stalled is None else self._stalled + STALL_SECONDS

    def complaint(self) -> str:
        return ""

    def close(self) -> None:
        self._connection.close()
