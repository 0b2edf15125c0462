"""A collector that does what no real one does on demand: hangs, lies, cuts, refuses.

What it was sent is in `messages`; each connection is served by a function of one's own, in a
thread. Certificates come from `collector_certificates`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

Serve = Callable[["FakeCollector", socket.socket], None]

_HEAD = re.compile(rb"(\d+) ([a-z]+) (\d+)[ \n]")


@dataclass(slots=True)
class FakeCollector:
    """Listens until it is stopped; `start` again listens on the same port."""

    serve: Serve
    address: str = "127.0.0.1"
    port: int = 0
    context: ssl.SSLContext | None = None
    room: int = 0
    """Octets of the kernel's receive buffer; 0 is the system's choice."""
    messages: list[bytes] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    _listener: socket.socket | None = None
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.room:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.room)
        listener.bind((self.address, self.port))
        listener.listen(16)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._run(self._accept, listener)

    def stop(self) -> None:
        """As when it is killed: no more connections, and those that stand are reset."""
        if self._listener is None:
            return
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._listener = None
        for one in self.connections:
            reset(one)
        for thread in self._threads:
            thread.join(20)
        self.connections, self._threads = [], []

    def numbers(self) -> list[int]:
        """The numbers in the spool of what was sent, in order, doubles included."""
        found = (re.search(rb' seq="(\d+)"', one) for one in list(self.messages))
        return [int(one[1]) for one in found if one]

    def _run(self, work: Callable[..., None], *given: Any) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self._run(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
            with contextlib.closing(connection):
                self.serve(self, connection)


def reset(connection: socket.socket) -> None:
    """Cut it, so that the other end sees a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()


def octet_counted(collector: FakeCollector, connection: socket.socket) -> None:
    """Take frames of RFC 6587 for as long as they come."""
    held = b""
    while octets := connection.recv(65536):
        held += octets
        while (place := held.find(b" ")) > 0:
            end = place + 1 + int(held[:place])
            if len(held) < end:
                break
            collector.messages.append(held[place + 1 : end])
            held = held[end:]


def relp_frames(connection: socket.socket) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, command and data of each frame that a sender of RELP sends."""
    held = b""
    while octets := connection.recv(65536):
        held += octets
        while head := _HEAD.match(held):
            length = int(head[3])
            end = head.end() + (length + 1 if length else 0)
            if len(held) < end:
                break
            yield int(head[1]), head[2], held[head.end() : head.end() + length]
            held = held[end:]


def relp_answer(connection: socket.socket, number: int, data: bytes) -> None:
    connection.sendall(b"%d rsp %d %b\n" % (number, len(data), data))


OPENED = b"200 OK\nrelp_version=0\nrelp_software=fake\ncommands=syslog"


def relp(
    answer: Callable[[FakeCollector, bytes], bytes] = lambda *_: b"200 OK",
    opened: bytes = OPENED,
) -> Serve:
    """Takes reports by RELP; `answer` says what to answer to one, b"" for nothing."""

    def serve(collector: FakeCollector, connection: socket.socket) -> None:
        for number, command, data in relp_frames(connection):
            if command == b"open":
                relp_answer(connection, number, opened)
            elif command == b"close":
                relp_answer(connection, number, b"200 OK")
                return
            else:
                said = answer(collector, data)
                if said.startswith(b"200"):
                    collector.messages.append(data)
                if said:
                    relp_answer(connection, number, said)

    return serve


def silence(_: FakeCollector, connection: socket.socket) -> None:
    """Read and say nothing, until the other end is gone."""
    while connection.recv(65536):
        pass


def deafness(_: FakeCollector, connection: socket.socket) -> None:
    """Neither read nor say anything, until the connection is cut here."""
    while connection.fileno() >= 0:
        time.sleep(0.02)
