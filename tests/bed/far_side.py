"""The other ends of mail: SMTP and LMTP servers with their troubles, a DNS server, clients.

    with FarServer(("127.0.0.1", 0), context, trouble="close") as server: server.port
    with secure_client(address, 25, "-tls1_2") as client: client.mail("somebody@example.test")

The clients are `openssl s_client` and bare sockets, so that a test can say what they
offer to the last group, and can misbehave.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import IO, Any

_PATIENCE = 10  # seconds for any answer
_ANSWERS = {
    "garbage": b"this is no TLS, and never was\r\n",
    "ancient": b"\x16\x03\x01\0\x2a\x02\0\0\x26\x03\x01" + b"r" * 32 + b"\0\xc0\x14\0",
}
CLIENT = "client.example.test"


class _Served:
    """Serves in a thread from `with` to its end."""

    _server: socketserver.TCPServer  # its kin for Unix sockets and UDP are made from it

    def __enter__(self) -> Any:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class FarServer(_Served):
    """A mail server of somebody else's: takes every mail and forgets it.

    address: host and port (0 chooses one), or a path for LMTP on a Unix socket.
    context: None offers no STARTTLS. trouble: what happens at STARTTLS: "refuse" (454),
    "close", "garbage" (words that are no TLS), "ancient" (a ServerHello of TLS 1.0),
    "" (a handshake).
    """

    def __init__(
        self, address: tuple[str, int] | str, context: ssl.SSLContext | None, trouble: str = ""
    ) -> None:
        kind: type[socketserver.TCPServer] = (
            socketserver.ThreadingUnixStreamServer
            if isinstance(address, str)
            else socketserver.ThreadingTCPServer
        )
        self._server = kind(address, _handler(context, trouble))  # type: ignore[arg-type]
        self._server.daemon_threads = True  # type: ignore[attr-defined]

    @property
    def port(self) -> int:
        return int(self._server.socket.getsockname()[1])


def _handler(context: ssl.SSLContext | None, trouble: str) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(_PATIENCE)
            with contextlib.suppress(OSError, EOFError):
                _serve(self.request, context, trouble)

    return Handler


def _serve(connection: socket.socket, context: ssl.SSLContext | None, trouble: str) -> None:
    connection.sendall(b"220 far.example ESMTP\r\n")
    offers = {"250-STARTTLS"} if context else set()
    if not _converse(connection, offers, refuses=trouble == "refuse"):
        return
    if trouble or context is None:
        _misbehave(connection, trouble)
        return
    with context.wrap_socket(connection, server_side=True) as secured:
        _converse(secured, set())


def _converse(connection: socket.socket, offers: set[str], *, refuses: bool = False) -> bool:
    """Answer until the client goes, False, or a TLS handshake may begin, True."""
    with connection.makefile("rwb", buffering=0) as lines:
        while line := lines.readline():
            match line.split()[0].upper():
                case b"EHLO" | b"LHLO":
                    _say(lines, "250-far.example", *offers, "250 8BITMIME")
                case b"STARTTLS" if refuses:
                    _say(lines, "454 4.7.0 TLS not available")
                case b"STARTTLS":
                    _say(lines, "220 go ahead")
                    return True
                case b"DATA":
                    _say(lines, "354 go ahead")
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    _say(lines, "250 2.0.0 taken")
                case b"QUIT":
                    _say(lines, "221 bye")
                    break
                case _:
                    _say(lines, "250 2.0.0 fine")
    return False


def _misbehave(connection: socket.socket, trouble: str) -> None:
    connection.sendall(_ANSWERS.get(trouble, b""))
    if trouble in _ANSWERS:
        connection.recv(4096)


def _say(lines: Any, *replies: str) -> None:
    for one in replies:
        lines.write(f"{one}\r\n".encode())


class FarNames(_Served):
    """A DNS server that knows these names, on port 53 of an address.

    answers: (name, type) to the data of its records: type 1 (A), 15 (MX), 52 (TLSA) and
    2 (NS). signed: names whose answers it vouches for, as a validating resolver does.
    """

    def __init__(
        self, address: str, answers: Mapping[tuple[str, int], list[bytes]], signed: frozenset[str]
    ) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, endpoint = self.request
                endpoint.sendto(_answer(data, answers, signed), self.client_address)

        self._server = socketserver.ThreadingUDPServer((address, 53), Handler)


def mx_data(host: str) -> bytes:
    """The data of an MX record of preference 10."""
    labels = b"".join(bytes([len(one)]) + one.encode() for one in host.split("."))
    return struct.pack("!H", 10) + labels + b"\0"


def _answer(
    query: bytes, answers: Mapping[tuple[str, int], list[bytes]], signed: frozenset[str]
) -> bytes:
    labels, place = [], 12
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode("latin-1").lower())
        place += 1 + length
    question = query[12 : place + 5]
    name, kind = ".".join(labels), struct.unpack("!H", query[place + 1 : place + 3])[0]
    known = any(one == name for one, _ in answers)
    records = answers.get((name, kind), [])
    flags = 0x8180 | (0x20 if name in signed else 0) | (0 if known else 3)
    header = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    return (
        header
        + question
        + b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data for data in records)
    )


class Client:
    """A client in the middle of an SMTP conversation. Get it from one of the functions below."""

    def __init__(self, replies: IO[bytes], commands: IO[bytes]) -> None:
        self._replies = replies
        self._commands = commands

    def say(self, line: str | bytes) -> str:
        """Send a line and wait for the reply's last line; "" when the server hung up."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._commands.write(data)
            self._commands.flush()

    def reply(self) -> str:
        with contextlib.suppress(ConnectionResetError):
            while line := self._replies.readline().decode("latin-1"):
                if line[3:4] != "-":
                    return line
        return ""

    def mail(self, recipient: str = "somebody@example.test", last: str = "QUIT") -> str:
        """One mail, and a last command; the reply to the mail, or what refused it."""
        for line in (f"EHLO {CLIENT}", f"MAIL FROM:<sender@{CLIENT}>", f"RCPT TO:<{recipient}>"):
            self.say(line)
        answer = self.say("DATA")
        if answer.startswith("354"):
            answer = self.say("Subject: test\r\n\r\n.")
        self.say(last)
        return answer


@contextlib.contextmanager
def clear_client(
    address: str, port: int, source: str = "127.84.0.1", *, greeted: bool = True
) -> Iterator[Client]:
    """A client in clear text that has been greeted, unless told otherwise."""
    peer = socket.create_connection((address, port), _PATIENCE, (source, 0))
    with peer, peer.makefile("rwb", buffering=0) as lines:
        client = Client(lines, lines)  # type: ignore[arg-type]
        if greeted:
            client.reply()
        yield client


@contextlib.contextmanager
def secure_client(
    address: str, port: int, *options: str, source: str = "127.84.0.1"
) -> Iterator[Client]:
    """A client after its handshake, by STARTTLS unless the port is 465.

    options: those of `openssl s_client`: "-tls1_2", "-groups", "X448"…
    """
    wrapped = port == 465
    with subprocess.Popen(
        _s_client(address, port, source, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        assert process.stdout
        client = Client(process.stdout, process.stdin)
        if wrapped:
            client.reply()
        try:
            yield client
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
            process.kill()


def shake_hands(address: str, port: int, *options: str, source: str = "127.84.0.1") -> str:
    """Only the handshake, whether it works or not; what s_client says of it."""
    done = subprocess.run(
        [one for one in _s_client(address, port, source, *options) if one != "-quiet"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
    )
    return (done.stdout + done.stderr).decode("latin-1")


def _s_client(address: str, port: int, source: str, *options: str) -> list[str]:
    start = [] if port == 465 else ["-starttls", "smtp", "-name", CLIENT]
    where = ["-connect", f"{address}:{port}", "-bind", f"{source}:0"]
    name = [] if "-servername" in options else ["-noservername"]
    return ["openssl", "s_client", "-quiet", *where, *start, *name, *options]
