"""A server of TLS on loopback that shows a certificate for each name, and counts who asks.

    with named_server(directory) as server:
        server.shows("mx.test", "ecdsa")        # the sha256 of a new certificate
        server.asked                            # names, "" without SNI, in order

TLS begins with the first byte, as on port 465, and SMTP is spoken in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from certificates import make_certificate


@contextlib.contextmanager
def named_server(directory: Path) -> Iterator[NamedServer]:
    """A server that shows a certificate of its own to whoever names nothing that it knows."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = NamedServer(directory, listener)
        server.shows("")
        threading.Thread(target=server.serve, daemon=True).start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # which ends accept()


class NamedServer:
    """Get it from `named_server`. `met` connections there were, `most` of them at once."""

    def __init__(self, directory: Path, listener: socket.socket) -> None:
        self.port = str(listener.getsockname()[1])
        self.asked: list[str] = []
        self.met = 0
        self.most = 0
        self._directory = directory
        self._listener = listener
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._open = 0
        self._silent = False
        self._beside: ssl.SSLContext | None = None
        self._places = threading.Semaphore(100)

    def shows(
        self, name: str, kind: str = "ecdsa", oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ) -> str:
        """Show a new certificate from now on; returns its sha256."""
        made = make_certificate(kind, host=name or "mx.test", address="127.0.0.1")
        self._load(name, made.key + made.certificate, oldest)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate)).hexdigest()

    def shows_as(self, other: NamedServer) -> None:
        """Show to all what the other one shows to those who name nothing."""
        self._load("", other._file("").read_text())

    def shows_beside(self, other: NamedServer) -> None:
        """Show what the other one shows to each who comes while another is still there."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(other._file(""))
        self._beside = context

    def serves_at_once(self, count: int) -> None:
        self._places = threading.Semaphore(count)

    def _load(self, name: str, pem: str, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> None:
        self._file(name).write_text(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = oldest
        context.load_cert_chain(self._file(name))
        context.sni_callback = self._choose
        self._contexts[name] = context

    def _file(self, name: str) -> Path:
        return self._directory / f"{self.port}-{name or 'default'}.pem"

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """Within it connections come about, and nobody answers."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def counted(self) -> list[str]:
        """What was asked for since the last call, sorted."""
        with self._lock:
            asked, self.asked = self.asked, []
        return sorted(asked)

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.met += 1
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with self._places:
            self._converse(peer)

    def _converse(self, peer: socket.socket) -> None:
        with self._lock:
            context = self._beside if self._open and self._beside else self._contexts[""]
            self._open += 1
            self.most = max(self.most, self._open)
        with contextlib.suppress(OSError), peer:
            peer.settimeout(10)
            while self._silent:
                time.sleep(0.01)
            with context.wrap_socket(peer, server_side=True) as secured:
                secured.sendall(b"220 mx.test\r\n")
                secured.recv(100)
                with self._lock:  # before the goodbye, so that who has heard it is counted
                    self._open -= 1
                secured.sendall(b"221 bye\r\n")

    def _choose(self, secured: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        with self._lock:
            self.asked.append(name or "")
        secured.context = self._contexts.get(name or "", self._contexts[""])
