"""SMTP as a client speaks it up to, around and within TLS: of handshakes and of probes.

Security: the peer should be Postfix, and may be anything that took its port. A conversation has
one deadline for all of it and one allowance of bytes; what the peer writes reaches nobody but
through `one_line`.
"""

from __future__ import annotations

import functools
import socket
import ssl
import time
import warnings
from dataclasses import dataclass
from typing import Self

from postkeel.core.text import one_line

_MOST_BYTES = 16384
"""What a peer may say: Postfix's greeting and its answers to EHLO take under two thousand."""

_SAID = 200
"""How much of a peer's refusal is quoted."""


class PeerError(Exception):
    """The peer did not speak SMTP as a server that offers TLS does; the text says how.

    code: of the answer that was not the expected one, 0 where there was none.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Conversation:
    """From the connection to QUIT. end: by `time.monotonic`."""

    connection: socket.socket
    end: float
    buffer: bytes = b""
    allowance: int = _MOST_BYTES

    @classmethod
    def open(cls, host: str, port: str, deadline: float) -> Conversation:
        """deadline: seconds for all of it. Errors: OSError, TimeoutError among them."""
        end = time.monotonic() + deadline
        if deadline <= 0:
            raise TimeoutError
        connection = socket.create_connection((host, int(port)), deadline)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection, end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def greet(self, name: bytes = b"localhost") -> list[bytes]:
        """What the peer offers: the lines after the first of its answer to EHLO, in capitals."""
        self.send(b"EHLO %b\r\n" % name)
        return [line[4:].strip().upper() for line in self.expect(b"250", "EHLO")[1:]]

    def ask_for_tls(self, offer: list[bytes]) -> None:
        """Up to the point where TLS begins."""
        if b"STARTTLS" not in offer:
            raise PeerError("STARTTLS is not offered")
        self.send(b"STARTTLS\r\n")
        self.expect(b"220", "STARTTLS")
        if self.buffer:
            raise PeerError("the peer goes on in clear text after STARTTLS")

    def encrypt(self, context: ssl.SSLContext, name: str = "") -> ssl.SSLSocket:
        """Make the handshake; name: of the SNI."""
        self._bound()
        secured = context.wrap_socket(self.connection, server_hostname=name or None)
        self.connection = secured
        return secured

    def leave(self, *, greeted: bool = True) -> None:
        """Say goodbye, so that the mail log shows an orderly client; no answer is no problem."""
        try:
            if not greeted:
                self.expect(b"220", "the greeting")
            self.send(b"QUIT\r\n")
            self.expect(b"221", "QUIT")
        except (PeerError, OSError):
            return

    def expect(self, code: bytes, to: str) -> list[bytes]:
        """The lines of a reply that has this code."""
        reply = [self.line()]
        while reply[-1][3:4] == b"-":
            reply.append(self.line())
        if reply[-1][:3] != code:
            said = one_line(reply[-1].decode(errors="surrogateescape"), _SAID)
            raise PeerError(f'the answer to {to} is "{said}"', _code(reply[-1][:3]))
        return reply

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            self._bound()
            received = self.connection.recv(min(4096, self.allowance))
            if not received:
                raise PeerError("the peer closed the connection")
            self.buffer += received
            self.allowance -= len(received)
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def send(self, data: bytes) -> None:
        self._bound()
        self.connection.sendall(data)

    def _bound(self) -> None:
        """Hold the next step to what is left of time and bytes."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if self.allowance <= 0:
            before = "" if isinstance(self.connection, ssl.SSLSocket) else " before TLS"
            raise PeerError(f"the peer says more than {_MOST_BYTES} bytes{before}")
        self.connection.settimeout(left)
        # smtpd's greeting waits behind its session tickets for our acknowledgement: 40 ms
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _code(number: bytes) -> int:
    return int(number) if len(number) == 3 and number.isdigit() else 0  # noqa: PLR2004


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's words: "wrong version number"."""
    return (error.reason or str(error)).replace("_", " ").lower()


@functools.cache  # a context is never changed once built, and serves any number of threads
def client_context(below: str = "", ciphers: str = "") -> ssl.SSLContext | None:
    """A client that takes anything, or only what is older than `below`; None if nothing is.

    Security level 0 lets weak things be offered: their refusal is the proof, and so is what a
    server agrees to.
    """
    older = {
        "": ssl.TLSVersion.MAXIMUM_SUPPORTED,
        "TLSv1.1": ssl.TLSVersion.TLSv1,
        "TLSv1.2": ssl.TLSVersion.TLSv1_1,
        "TLSv1.3": ssl.TLSVersion.TLSv1_2,
    }
    if below not in older:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"{ciphers or ('ALL' if below else 'DEFAULT')}:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old protocols are the point here
        context.maximum_version = older[below]
    return context
