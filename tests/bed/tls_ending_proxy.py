"""A proxy that ends TLS in front of a mail server, as a load balancer that knows SMTP does.

It answers STARTTLS itself and speaks to the server behind it in clear text.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading


class TlsEndingProxy:
    """Listens on `host` at a free `port`; one connection at a time is enough for a probe."""

    def __init__(self, host: str, behind: tuple[str, int], context: ssl.SSLContext) -> None:
        self._behind = behind
        self._context = context
        self._server = socket.create_server((host, 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), client:
                self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        client.settimeout(20)
        client.sendall(b"220 proxy ESMTP\r\n")
        client.recv(4096)
        client.sendall(b"250-proxy\r\n250 STARTTLS\r\n")
        client.recv(4096)
        client.sendall(b"220 go ahead\r\n")
        with (
            self._context.wrap_socket(client, server_side=True) as near,
            socket.create_connection(self._behind, 20) as far,
        ):
            far.recv(4096)
            one_way = threading.Thread(target=_pump, args=(far, near), daemon=True)
            one_way.start()
            _pump(near, far)
            one_way.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
