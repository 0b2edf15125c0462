"""A resolver on loopback that says whatever a test wants, by UDP and by TCP."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Self

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from collectors import free_port

Answers = Callable[[dns.message.Message], Iterable[bytes]]


class Hostile:
    """A server of DNS on loopback that answers each query with what `answers` makes of it.

    answers: of the query, a list of datagrams. frames: by TCP, the octets to send, in parts;
    None for a port that does not listen.
    """

    def __init__(self, answers: Answers, frames: Answers | None = None) -> None:
        self._answers = answers
        self._ends = threading.Event()
        self.host, self.port = "127.0.0.1", free_port()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((self.host, self.port))
        self._tcp = socket.socket()
        self._threads = [threading.Thread(target=self._serve)]
        if frames is not None:
            self._tcp.bind((self.host, self.port))
            self._tcp.listen()
            self._threads.append(threading.Thread(target=self._accept, args=(frames,)))

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        for one in (self._udp, self._tcp):
            one.settimeout(0.05)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _serve(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(OSError):
                octets, peer = self._udp.recvfrom(65535)
                for one in self._answers(dns.message.from_wire(octets)):
                    self._udp.sendto(one, peer)

    def _accept(self, frames: Answers) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(OSError):
                peer, _ = self._tcp.accept()
                with peer:
                    peer.settimeout(1)
                    length = int.from_bytes(peer.recv(2), "big")
                    query = dns.message.from_wire(peer.recv(length))
                    for part in frames(query):
                        if self._ends.is_set():
                            break
                        peer.sendall(part)


def answer(
    query: dns.message.Message,
    *,
    records: Iterable[str],
    flags: int = dns.flags.AD,
    owner: str = "",
    seconds: int = 3600,
) -> dns.message.Message:
    """What an honest and validating resolver would say."""
    made = dns.message.make_response(query)
    made.flags |= flags
    question = query.question[0]
    if question.rdtype == dns.rdatatype.TLSA and records:
        name = owner or question.name
        made.answer.append(dns.rrset.from_text(name, seconds, "IN", "TLSA", *records))
    return made


def framed(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets
