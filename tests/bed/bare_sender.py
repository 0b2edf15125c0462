"""The least that sends syslog messages to a collector: no spool, no second try, no doubles.

It is what postkeel's own sender is measured against, and what tests send messages with
that postkeel would never write.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from collector_certificates import COLLECTOR, Pair
from collectors import Collector

_WINDOW = 128


def framed(octets: bytes) -> bytes:
    """With its length before it, as RFC 6587 has it."""
    return b"%d %b" % (len(octets), octets)


@contextlib.contextmanager
def connected(
    collector: Collector, transport: str, *, pair: Pair | None, ca: Path | None = None
) -> Iterator[socket.socket]:
    """A stream to a collector, with this certificate, or none."""
    plain = socket.create_connection((collector.address, collector.ports[transport]), 10)
    with plain:
        if not transport.endswith("tls"):
            yield plain
            return
        context = ssl.create_default_context(cafile=str(ca or collector.authority.file))
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        with context.wrap_socket(plain, server_hostname=COLLECTOR) as stream:
            yield stream
            with contextlib.suppress(OSError):  # closed in good order, as RFC 5425 wants
                stream.settimeout(2)
                stream.unwrap()


def send(collector: Collector, transport: str, messages: Iterable[bytes]) -> None:
    """Send messages, and with RELP wait until all are acknowledged. Errors: OSError."""
    if transport == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.connect(str(collector.socket))
            for octets in messages:
                one.send(octets)
    elif transport == "udp":
        family = socket.AF_INET6 if ":" in collector.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((collector.address, collector.ports["udp"]))
            for octets in messages:
                one.send(octets)
    else:
        with connected(collector, transport, pair=collector.sender) as stream:
            if transport.startswith("relp"):
                relp(stream, messages)
            else:
                stream.sendall(b"".join(framed(one) for one in messages))


def relp(stream: socket.socket, messages: Iterable[bytes]) -> None:
    """A session of RELP. Errors: OSError for any answer but 200."""
    answers = stream.makefile("rb")
    offers = b"relp_version=0\nrelp_software=bare\ncommands=syslog"
    stream.sendall(b"1 open %d %b\n" % (len(offers), offers))
    _answer(answers)
    waiting = 0
    for number, octets in enumerate(messages, 2):
        stream.sendall(b"%d syslog %d %b\n" % (number, len(octets), octets))
        waiting += 1
        if waiting == _WINDOW:
            _answer(answers)
            waiting -= 1
    for _ in range(waiting):
        _answer(answers)


def _answer(answers: BinaryIO) -> None:
    head = b""
    while head.count(b" ") < 3 and not head.endswith(b"\n"):
        one = answers.read(1)
        if not one:
            raise OSError("the collector closed the connection")
        head += one
    text = b"" if head.endswith(b"\n") else answers.read(int(head.split()[2]) + 1)
    if not text.startswith(b"200"):
        raise OSError(f"the collector answered {text[:200]!r}")
