"""What is known of one Postfix process between its lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from postkeel.maillog.messages import Failure, Parameters
from postkeel.maillog.tally import Counts, Kind, Tally, Travelled
from postkeel.maillog.values import Direction

_WRAPPED: Final = ("submissions", "smtps")
"""How master.cf's samples name the services that have TLS from the first octet."""

Handler = Callable[[Any, "Process", bytes, int], None]
"""Of a reader, for a line of the process whose message starts there."""
Handlers = Mapping[bytes, Handler | None]
Kinds = dict[tuple[bytes, bytes], Counts]
"""Where to count a summary, by what stands before the peer and after it."""


class Process:
    """One process, which serves one connection at a time.

    handlers: by the first octets of a message; `otherwise` for all others. kinds: shared
    by the processes of this name. whole: whether its connection was seen from the
    beginning. travelled, host: of the last summary, and the octets that name the other end;
    kept_host: the same as it was kept, where a reader before this one read it. failure: one
    whose reason is still to come, and its hour. problem: a reason that came before its
    failure (tlsproxy). delivery: queue file and relay of the last delivery; counted: whether
    that mail was.
    """

    __slots__ = (
        "counted",
        "delivery",
        "failure",
        "handlers",
        "host",
        "kept_host",
        "kinds",
        "name",
        "otherwise",
        "problem",
        "program",
        "proxy",
        "travelled",
        "whole",
        "wrapped",
    )

    def __init__(
        self, syslog_name: str, program: str, handlers: Handlers, otherwise: Handler | None
    ) -> None:
        self.name = f"{syslog_name}/{program}"
        self.program = program
        self.handlers = handlers
        self.otherwise = otherwise
        self.proxy = program == "tlsproxy"
        self.wrapped = syslog_name.rpartition("/")[2] in _WRAPPED
        self.kinds: Kinds = {}
        self.whole = False
        self.travelled: Travelled | None = None
        self.host = b""
        self.kept_host = ""
        self.failure: tuple[int, Failure] | None = None
        self.problem = ""
        self.delivery: tuple[bytes, str] | None = None
        self.counted = False

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by forgetting it."""
        joined = self.travelled, self.failure, self.delivery
        return joined == (None, None, None) and not self.problem

    def kept(self, rename: Callable[[str], str]) -> dict[str, object]:
        """What a later reader has to know, of JSON's types. rename: of peers."""
        travelled, failure, delivery = self.travelled, self.failure, self.delivery
        return {
            "travelled": travelled and (travelled[0].kind, rename(travelled[1])),
            "host": self.kept_host or rename(self.host.decode("ascii", "backslashreplace")),
            "failure": failure and (failure[0], failure[1]._replace(peer=rename(failure[1].peer))),
            "problem": self.problem,
            "delivery": delivery and (delivery[0].decode("latin-1"), rename(delivery[1])),
            "counted": self.counted,
        }

    def restore(self, kept: Mapping[str, Any], tally: Tally) -> None:
        """Take what `kept` gave, before JSON or after it."""
        self.whole = True
        if kept["travelled"]:
            (name, direction, trust, reused, agreed), peer = kept["travelled"]
            parameters = Parameters(*agreed) if agreed else None
            kind = Kind(name, Direction(direction), trust, reused, parameters)
            self.travelled = tally.of(kind), peer
        if kept["failure"]:
            hour, (direction, peer, reason) = kept["failure"]
            self.failure = hour, Failure(Direction(direction), peer, reason)
        self.kept_host = kept["host"]
        self.problem = kept["problem"]
        self.counted = kept["counted"]
        if kept["delivery"]:
            queue_id, relay = kept["delivery"]
            self.delivery = queue_id.encode("latin-1"), relay
