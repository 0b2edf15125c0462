"""Connections to collectors by TCP, with or without TLS."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Sequence
from typing import Any

from postkeel_plugins.central.collectors import Collector
from postkeel_plugins.central.conversation import Conversation, LinkError, reason_of
from postkeel_plugins.central.spool import Spooled
from postkeel_plugins.central.waker import Waker

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
"""How long a collector may take nothing of what is written, and how long it may be silent as TCP
understands it: acknowledge neither what was sent nor the kernel's probes."""

_PROBES = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # whole batches are written
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_SECONDS * 1000)),
)
_PIECE = 65536

Address = tuple[int, int, int, str, Any]
"""Family, kind, protocol, name, and what connect() takes."""


def connected(collector: Collector, waker: Waker) -> socket.socket:
    """A TCP connection that does not block, to the first address that takes it.

    Errors: LinkError. Waits up to ten seconds for each address, and for the resolver.
    """
    failure = LinkError("")  # the resolver gives one address or more, or fails
    for family, kind, protocol, _, address in addresses(collector, socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            _connect(connection, address, waker)
        except OSError as error:
            connection.close()
            place = f"{address[0]} port {address[1]}"
            failure = LinkError(f"cannot connect to {place}: {reason_of(error)}")
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


def addresses(collector: Collector, kind: int) -> Sequence[Address]:
    """What the resolver says, one or more. Errors: LinkError. Waits for it."""
    try:
        return socket.getaddrinfo(collector.host, collector.port, type=kind)
    except OSError as error:
        reason = reason_of(error)
        raise LinkError(f"cannot find the address of {collector.host}: {reason}") from error


def _connect(connection: socket.socket, address: Any, waker: Waker) -> None:
    connection.setblocking(False)
    for option in _PROBES:
        connection.setsockopt(*option)
    with contextlib.suppress(BlockingIOError):
        connection.connect(address)
    if not waker.ready(connection.fileno(), select.POLLOUT, CONNECT_SECONDS):
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s")
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    if connection.getsockname() == connection.getpeername():
        # On this host a client can meet itself on a port that nobody listens on (RFC 9293, 3.5).
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


class Stream:
    """A `Link` over a connection that does not block.

    busy: the errors by which it says that nothing can be read or written at present.
    """

    def __init__(
        self,
        connection: socket.socket,
        conversation: Conversation,
        busy: tuple[type[OSError], ...] = (BlockingIOError,),
    ) -> None:
        self._busy = busy
        self._connection = connection
        self._conversation = conversation
        self._unwritten = bytearray(conversation.begin())
        self._written = 0
        self._stalled: float | None = None

    def turn(self, now: float) -> list[int]:
        # First of all: what was written after the other end had gone would be lost without a word.
        while octets := self._read():
            self._conversation.received(octets, now)
        self._unwritten += self._conversation.again(now)
        self._write(now)
        taken = self._written - self._unacknowledged()
        return self._conversation.settled(taken, now)

    def room(self) -> int:
        return self._conversation.room()

    def take(self, reports: Sequence[Spooled]) -> None:
        self._unwritten += self._conversation.framed(reports)

    def watched(self) -> tuple[int, int]:
        events = select.POLLIN | (select.POLLOUT if self._unwritten else 0)
        return self._connection.fileno(), events

    def due(self) -> float | None:
        moments = [self._conversation.due(), self._stalled and self._stalled + STALL_SECONDS]
        return min((one for one in moments if one is not None), default=None)

    def complaint(self) -> str:
        return self._conversation.complaint()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if not self._unwritten:
                self._connection.send(self._conversation.end())
        self._connection.close()

    def _read(self) -> bytes:
        """What has arrived; b"" for nothing."""
        try:
            octets = self._connection.recv(_PIECE)
        except self._busy:
            return b""
        except OSError as error:
            raise LinkError(f"the connection broke: {reason_of(error)}") from error
        if not octets:
            raise LinkError("it closed the connection")
        return octets

    def _write(self, now: float) -> None:
        before = self._written
        try:
            while self._unwritten:
                # A TLS library that could not write wants the same octets again: they are.
                count = self._connection.send(bytes(self._unwritten[:_PIECE]))
                del self._unwritten[:count]
                self._written += count
        except self._busy:
            pass
        except OSError as error:
            raise LinkError(f"the connection broke: {reason_of(error)}") from error
        if self._written > before:
            self._conversation.wrote(self._written, now)
        self._watch_stall(now, progress=self._written > before)

    def _watch_stall(self, now: float, *, progress: bool) -> None:
        if not self._unwritten:
            self._stalled = None
        elif self._stalled is None or progress:
            self._stalled = now
        elif now >= self._stalled + STALL_SECONDS:
            raise LinkError(f"it took nothing for {STALL_SECONDS:g} s")

    def _unacknowledged(self) -> int:
        """Octets that its kernel has not acknowledged; with TLS some more than were written."""
        answer = fcntl.ioctl(self._connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", answer)[0])
