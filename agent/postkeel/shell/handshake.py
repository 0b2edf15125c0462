"""A TLS handshake with a port that offers TLS: `proving` makes many of them.

Certificates are not verified: what is served is shown, and others judge it.

Security: the peer should be Postfix, and may be anything that took its port.
Each connection has one deadline for all of it and a limit on what is read;
what the peer writes reaches nobody but through `one_line`.

Commands and the agent reach it through `proof`: `ssl` takes 10 ms and 4 MiB.
"""

from __future__ import annotations

import functools
import hashlib
import socket
import ssl
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from postkeel.core.text import one_line
from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel.shell.proof import SILENCE

_ALGORITHMS = {"RSA": "aRSA:!eNULL", "EC": "aECDSA:!eNULL"}
"""OpenSSL's words for the suites up to TLS 1.2 in which such a key signs."""

_MOST_BYTES = 16384
"""What a peer may say before TLS: Postfix's greeting and EHLO answer take under one thousand."""

_SAID = 200
"""How much of a peer's refusal is quoted."""


def handshake(
    endpoint: Endpoint, *, deadline: float, below: str = "", ciphers: str = ""
) -> Handshake:
    """One connection, from greeting to QUIT; `below` offers only protocols older than it.

    deadline: seconds for all of it. ciphers: an OpenSSL cipher string for TLS
    1.2 and older, instead of OpenSSL's default or, with `below`, instead of all.

    Diagnostics: whatever the peer does ends in `Handshake.problem`.
    """
    return _made(Handshake(endpoint=endpoint, below=below), deadline, ciphers)


def made(blank: Handshake, deadline: float, hold: Callable[[], object] = lambda: None) -> Handshake:
    """The handshake that `blank` describes: below, name and algorithm of it say what to ask for.

    deadline: seconds for all of it. hold: called while the connection stands.

    Which algorithm a client wants can be said up to TLS 1.2 only. A server without that is asked
    as other clients ask it; what it shows then is told without algorithm and expectation.
    """
    if not blank.algorithm:
        return _made(blank, deadline, hold=hold)
    end = time.monotonic() + deadline
    shown = _made(blank, deadline, _ALGORITHMS[blank.algorithm], hold)
    if not (shown.refused and shown.problem.endswith("protocol version")):
        return shown
    plain = replace(blank, algorithm="", expected=())
    return _made(plain, end - time.monotonic(), hold=hold)


def is_possible(blank: Handshake) -> bool:
    """Whether anything can be offered. Builds what threads then share; not for threads itself."""
    _context("")
    return _context(*_offer(blank, _ALGORITHMS.get(blank.algorithm, ""))) is not None


def _made(
    blank: Handshake,
    deadline: float,
    ciphers: str = "",
    hold: Callable[[], object] = lambda: None,
) -> Handshake:
    context = _context(*_offer(blank, ciphers))
    if context is None:
        return replace(blank, problem=f"nothing older than {blank.below} can be offered from here")
    try:
        with _Conversation.open(blank.endpoint, deadline) as peer:
            if not blank.endpoint.direct:
                peer.start_tls()
            shown = _served(blank, peer.encrypt(context, blank.name))
            hold()
            peer.leave(greeted=not blank.endpoint.direct)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        # Only what the peer sent as an alert is the peer's own refusal.
        return replace(blank, refused="alert" in reason, problem=f"TLS handshake: {reason}")
    except _PeerError as error:
        return replace(blank, problem=str(error))
    except TimeoutError:
        return replace(blank, problem=SILENCE)
    except OSError as error:
        return replace(blank, problem=f"connection: {error.strerror or error}")
    return shown


def _offer(blank: Handshake, ciphers: str) -> tuple[str, str]:
    """Arguments of `_context`. An algorithm takes TLS 1.3 away, whose suites do not name one."""
    return ("TLSv1.3" if blank.algorithm else blank.below), ciphers


def _served(blank: Handshake, secured: ssl.SSLSocket) -> Handshake:
    certificate = secured.getpeercert(binary_form=True)
    cipher = secured.cipher()
    return replace(
        blank,
        protocol=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate_sha256=hashlib.sha256(certificate).hexdigest() if certificate else "",
    )


@functools.cache  # a context is never changed once built, and serves any number of threads
def _context(below: str, ciphers: str = "") -> ssl.SSLContext | None:
    """A client that takes anything, or only what is older than `below`; None if nothing is.

    Security level 0 lets weak things be offered, for their refusal is the proof.
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


class _PeerError(Exception):
    """The peer did not speak SMTP as a server that offers TLS does; the text says how."""


@dataclass(slots=True)
class _Conversation:
    """SMTP up to and around TLS, within one deadline and one allowance of bytes."""

    connection: socket.socket
    end: float
    buffer: bytes = b""
    allowance: int = _MOST_BYTES

    @classmethod
    def open(cls, endpoint: Endpoint, deadline: float) -> _Conversation:
        end = time.monotonic() + deadline
        if deadline <= 0:
            raise TimeoutError
        connection = socket.create_connection((endpoint.host, int(endpoint.port)), deadline)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection, end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def start_tls(self) -> None:
        """Up to the point where TLS begins."""
        self.expect(b"220", "the greeting")
        self.send(b"EHLO localhost\r\n")
        offer = self.expect(b"250", "EHLO")
        if b"STARTTLS" not in (line[4:].strip().upper() for line in offer):
            raise _PeerError("STARTTLS is not offered")
        self.send(b"STARTTLS\r\n")
        self.expect(b"220", "STARTTLS")
        if self.buffer:
            raise _PeerError("the peer goes on in clear text after STARTTLS")

    def encrypt(self, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
        self._bound()
        secured = context.wrap_socket(self.connection, server_hostname=name or None)
        self.connection = secured
        return secured

    def leave(self, *, greeted: bool) -> None:
        """Say goodbye, so that the mail log shows an orderly client; no answer is no problem."""
        try:
            if not greeted:
                self.expect(b"220", "the greeting")
            self.send(b"QUIT\r\n")
            self.expect(b"221", "QUIT")
        except (_PeerError, OSError):
            return

    def expect(self, code: bytes, to: str) -> list[bytes]:
        """The lines of a reply that has this code."""
        reply = [self.line()]
        while reply[-1][3:4] == b"-":
            reply.append(self.line())
        if reply[-1][:3] != code:
            said = one_line(reply[-1].decode(errors="surrogateescape"), _SAID)
            raise _PeerError(f'the answer to {to} is "{said}"')
        return reply

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            self._bound()
            received = self.connection.recv(min(4096, self.allowance))
            if not received:
                raise _PeerError("the peer closed the connection")
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
            raise _PeerError(f"the peer says more than {_MOST_BYTES} bytes before TLS")
        self.connection.settimeout(left)
        # smtpd's greeting waits behind its session tickets for our acknowledgement: 40 ms
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
