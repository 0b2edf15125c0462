"""A mail server that takes a message as any does, until the test has it do something else.

Real sockets and real TLS; what it takes is written to an mbox as local(8) does.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from certificates import make_certificate

HOST: Final = "127.0.0.1"
STAGES: Final = (
    "greeting",
    "EHLO",
    "STARTTLS",
    "TLS",
    "EHLO in TLS",
    "MAIL",
    "RCPT",
    "DATA",
    "message",
)
_ANSWERS: Final = {
    "greeting": b"220 mx.example.test ESMTP\r\n",
    "EHLO": b"250-mx.example.test\r\n250-SIZE 1000\r\n250 STARTTLS\r\n",
    "STARTTLS": b"220 2.0.0 Ready to start TLS\r\n",
    "EHLO in TLS": b"250-mx.example.test\r\n250 AUTH PLAIN LOGIN\r\n",
    "AUTH": b"235 2.7.0 Authentication successful\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    "message": b"250 2.0.0 Ok: queued as 4F1282AC977\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}
RECEIVED: Final = (
    b"Received: from [127.0.0.1] (localhost [127.0.0.1])\n"
    b"\tby mx.example.test (Postfix) with ESMTPS id 4F1282AC977\n"
    b"\tfor <probe@mx.example.test>; Mon, 23 Nov 2026 12:00:00 +0000 (UTC)\n"
)


class Peer:
    """The server's end of one connection. heard: the lines that came, by whether TLS was on."""

    def __init__(self, connection: socket.socket, heard: list[tuple[bool, bytes]]) -> None:
        self.connection = connection
        self.heard = heard
        self._buffer = b""

    def say(self, octets: bytes) -> None:
        self.connection.sendall(octets)

    def hear(self) -> bytes:
        """The next line. Errors: ConnectionError when there is none."""
        while b"\r\n" not in self._buffer:
            octets = self.connection.recv(65536)
            if not octets:
                raise ConnectionError("the client is gone")
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        self.heard.append((isinstance(self.connection, ssl.SSLSocket), line))
        return line

    def message(self) -> bytes:
        lines = []
        while (line := self.hear()) != b".":
            lines.append(line + b"\n")
        return b"".join(lines)


Act = Callable[[Peer], object]


class HostileSmtp:
    """Listens at a free `port` until it is closed. acts: what is done at a stage, in place of its
    answer; nothing more is said after it. deliver: what is done with a message."""

    def __init__(
        self, acts: Mapping[str, Act] | None = None, deliver: Callable[[bytes], object] = len
    ) -> None:
        self.heard: list[tuple[bool, bytes]] = []
        self._acts = acts or {}
        self._deliver = deliver
        self._context = _context()
        self._server = socket.create_server((HOST, 0))
        self.port = str(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        for one in (self._server, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.settimeout(30)
            self._open.append(connection)
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        peer = Peer(connection, self.heard)
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.callback(lambda: peer.connection.close())
            self._talk(peer)

    def _talk(self, peer: Peer) -> None:
        if not self._answers(peer, "greeting"):
            return
        while line := peer.hear():
            verb = line.partition(b" ")[0].decode("latin-1").upper()
            secured = isinstance(peer.connection, ssl.SSLSocket)
            if not self._answers(peer, "EHLO in TLS" if verb == "EHLO" and secured else verb):
                return
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and not self._encrypts(peer):
                return
            if verb == "DATA":
                self._deliver(peer.message())
                if not self._answers(peer, "message"):
                    return

    def _answers(self, peer: Peer, stage: str) -> bool:
        if stage in self._acts:
            self._acts[stage](peer)
            return False
        peer.say(_ANSWERS[stage])
        return True

    def _encrypts(self, peer: Peer) -> bool:
        if "TLS" in self._acts:
            peer.connection.recv(1, socket.MSG_PEEK)  # its hello: what comes before is other talk
            self._acts["TLS"](peer)
            return False
        peer.connection = self._context.wrap_socket(peer.connection, server_side=True)
        self._open.append(peer.connection)
        return True


def as_delivered(message: bytes) -> bytes:
    """A message as local(8) writes it into an mbox."""
    return b"From MAILER-DAEMON  Mon Nov 23 12:00:00 2026\n" + RECEIVED + message + b"\n"


def add_to(mailbox: Path, octets: bytes) -> None:
    """Write at the end of an mbox under the lock by name, as local(8) does."""
    lock = mailbox.with_name(f"{mailbox.name}.lock")
    while True:
        with contextlib.suppress(FileExistsError), lock.open("x"):
            break
        time.sleep(0.001)
    with mailbox.open("ab") as file:
        file.write(octets)
    lock.unlink()


def appending(mailbox: Path) -> Callable[[bytes], object]:
    """Delivery to an mbox."""
    return lambda message: add_to(mailbox, as_delivered(message))


def _context() -> ssl.SSLContext:
    made = make_certificate("ecdsa", host="mx.example.test", address=HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(made.certificate + made.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
