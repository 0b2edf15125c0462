"""Asks a validating resolver of this host for TLSA records, in a process that ends with that.

dnspython makes the messages; what is sent, and when, is decided here. All questions are
under way at once, by UDP; one whose answer is cut is asked again by TCP.

Security: an answer is taken only from the address that was asked, with the number and the
question of a query. Whether it was validated is its AD bit, so this is for loopback only.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from postkeel.core.errors import PostkeelError
from postkeel.shell.resolver_replies import SILENCE, Said, State, is_cut, read, said

if TYPE_CHECKING:
    from dns.message import QueryMessage

SECONDS: Final = 3.0
"""For all questions and servers together."""

Server = tuple[str, int]
"""Address and port."""

_DATAGRAM_SECONDS: Final = (1.0, 1.0)
"""How long answers are waited for after the first sending, and after the second."""

_AT_ONCE: Final = 25
_PAUSE: Final = 0.005
"""Datagrams, and seconds of silence before the next: a socket drops what it has no room for."""

_PAYLOAD: Final = 1232
"""Octets of an answer by UDP that no network has to cut (dnsflagday.net of 2020)."""

_LARGEST: Final = 65535

_PROBE: Final = (".", "NS")
"""What is signed for certain; Postfix's dnssec_probe asks the same."""


def ask(servers: Iterable[Server], questions: Iterable[tuple[str, str]]) -> dict[str, object]:
    """What the first of these servers that answers at all says, as JSON has it.

    answers: for each port and name its `State`, the seconds that it holds, and the records
    or the code. validates: whether it said of anything that it was validated. silence: why
    no server answered.
    Errors: PostkeelError where dnspython is missing.
    """
    try:
        import dns.message  # noqa: F401  before anything is sent
    except ImportError:
        raise PostkeelError(
            "dnspython is not installed, which reads TLSA records: apt install python3-dnspython"
        ) from None
    ends = time.monotonic() + SECONDS
    names = [(f"_{port}._tcp.{name}.", "TLSA") for port, name in questions]
    silence = ""
    told: dict[str, object] = {}
    for server in servers:
        asking = _Asking(server, [*names, _PROBE], ends)
        try:
            asking.run()
        except OSError as error:
            silence = error.strerror or str(error)
        answers = list(asking.answers())
        validates = any(one[0] == State.VALIDATED for one in answers)
        told = {"server": server, "answers": answers[:-1], "validates": validates}
        if any(one[0] != State.SILENT for one in answers):
            break
    return {**told, "silence": silence}


class _Asking:
    """Questions under way to one server."""

    def __init__(self, server: Server, names: Iterable[tuple[str, str]], ends: float) -> None:
        from random import SystemRandom

        from dns.flags import AD
        from dns.message import make_query

        self._server = server
        self._ends = ends
        self._queries = [make_query(*one, want_dnssec=True, payload=_PAYLOAD) for one in names]
        numbers = SystemRandom().sample(range(_LARGEST + 1), len(self._queries))
        for query, number in zip(self._queries, numbers, strict=True):
            query.id = number
            query.flags |= AD
        self._missing = {one.id: one for one in self._queries}
        self._answers: dict[int, Said] = {}

    def run(self) -> None:
        """Errors: OSError when nobody listens; what was answered until then is kept."""
        cut = list(self._by_datagrams())
        for query in cut:
            self._by_stream(query)

    def answers(self) -> Iterator[Said]:
        """In the order of the questions."""
        return (self._answers.get(one.id, SILENCE) for one in self._queries)

    def _by_datagrams(self) -> Iterator[QueryMessage]:
        """Gives each query back whose answer does not fit."""
        with socket.socket(_family(self._server), socket.SOCK_DGRAM) as udp:
            udp.connect(self._server)
            for seconds in _DATAGRAM_SECONDS:
                ends = min(self._ends, time.monotonic() + seconds)
                for number, query in enumerate(list(self._missing.values()), 1):
                    udp.send(query.to_wire())
                    if number % _AT_ONCE == 0:
                        yield from self._arrived(udp, ends, _PAUSE)
                yield from self._arrived(udp, ends, seconds)

    def _arrived(self, udp: socket.socket, ends: float, pause: float) -> Iterator[QueryMessage]:
        """What arrives until then, or until nothing has for the pause."""
        while self._missing:
            octets = _received(udp, _LARGEST, min(ends, time.monotonic() + pause))
            if octets is None:
                return
            yield from self._take(octets, self._missing)

    def _by_stream(self, query: QueryMessage) -> None:
        left = self._ends - time.monotonic()
        if left <= 0:
            return
        wire = query.to_wire()
        wanted = {query.id: query}
        with socket.create_connection(self._server, timeout=left) as tcp:
            tcp.sendall(len(wire).to_bytes(2, "big") + wire)
            while wanted and (octets := _framed(tcp, self._ends)) is not None:
                if list(self._take(octets, wanted)):
                    return  # cut again, where nothing has to be

    def _take(self, octets: bytes, wanted: dict[int, QueryMessage]) -> Iterator[QueryMessage]:
        """Keep an answer to one of these queries, or give the query back when it is cut."""
        message = read(octets)
        query = None if message is None else wanted.get(message.id)
        if message is None or query is None or not query.is_response(message):
            return
        del wanted[query.id]
        if is_cut(message):
            yield query
        else:
            self._answers[query.id] = said(message)


def _framed(tcp: socket.socket, ends: float) -> bytes | None:
    """One message, behind two octets that say how long it is; None at the end, or too late."""
    length = _exactly(tcp, 2, ends)
    return None if length is None else _exactly(tcp, int.from_bytes(length, "big"), ends)


def _exactly(tcp: socket.socket, count: int, ends: float) -> bytes | None:
    octets = b""
    while len(octets) < count:
        part = _received(tcp, count - len(octets), ends)
        if not part:
            return None
        octets += part
    return octets


def _received(one: socket.socket, most: int, ends: float) -> bytes | None:
    """What arrives next; None when nothing has by then."""
    left = ends - time.monotonic()
    if left <= 0:
        return None
    one.settimeout(left)
    try:
        return one.recv(most)
    except TimeoutError:
        return None


def _family(server: Server) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server[0] else socket.AF_INET
