"""A proxy on loopback that forwards a stream, and resets it when it is told to."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterator

from collectors import free_port

_PIECE = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: a close is a reset


class CuttingProxy:
    """Forwards connections to `port` to `target`; one at a time is enough for a sender."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.port = free_port()
        self.cuts = 0
        self._target = target
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def cut(self) -> bool:
        """Reset what is open, both ways; whether anything was."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        end.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
                    end.close()
        self.cuts += bool(pairs)
        return bool(pairs)

    def close(self) -> None:
        """End it."""
        self._ended = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._ended:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, 5)
            except OSError:
                near.close()  # as refused as a proxy can
                continue
            far.settimeout(None)
            with self._lock:
                self._pairs.append((near, far))
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as waiting, contextlib.suppress(OSError, ValueError):
            waiting.register(near, selectors.EVENT_READ, far)
            waiting.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in waiting.select():
                    source: socket.socket = key.fileobj  # type: ignore[assignment]  # as registered
                    octets = source.recv(_PIECE)
                    if not octets:
                        return self._drop(near, far)
                    key.data.sendall(octets)
        return self._drop(near, far)

    def _drop(self, near: socket.socket, far: socket.socket) -> None:
        with self._lock:
            self._pairs = [pair for pair in self._pairs if pair != (near, far)]
            near.close()
            far.close()


@contextlib.contextmanager
def cutting_proxy(target: tuple[str, int]) -> Iterator[CuttingProxy]:
    """A proxy that runs."""
    proxy = CuttingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
