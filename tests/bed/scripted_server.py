"""An SMTP server that follows a script, and then closes: for what no real one can be made to do."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Sequence

TLS = b"(TLS begins)"
"""In a script: the server's side of the handshake."""

GREETING = b"220 x ESMTP\r\n"
OFFER = b"250-x\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n"
GO = b"220 go\r\n"
OK = b"250 2.0.0 Ok\r\n"
TO_TLS = (GREETING, OFFER, GO, TLS)
"""Up to and with the handshake; after it the client speaks first."""


class ScriptedServer:
    """Serves one connection: sends the first line, then one after each thing that it hears.

    heard: what came in, handshakes aside. After `TLS` it waits for the client.
    """

    def __init__(self, script: Sequence[bytes], context: ssl.SSLContext, host: str) -> None:
        self.heard: list[bytes] = []
        self._script = script
        self._context = context
        self._server = socket.create_server((host, 0))
        self.port = str(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            peer, _ = self._server.accept()
            peer.settimeout(10)
            with contextlib.ExitStack() as stack:
                stack.callback(lambda: peer.close())
                for line, after in itertools.zip_longest(self._script, self._script[1:]):
                    if line == TLS:
                        peer = self._context.wrap_socket(peer, server_side=True)
                    else:
                        peer.sendall(line)
                    if after == TLS:
                        continue
                    heard = peer.recv(65536)
                    if not heard:
                        return
                    self.heard.append(heard)
