"""Many ways added up, in memory that is bounded whatever names strangers choose."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from postkeel.headers.received import PROTOCOLS
from postkeel.headers.values import Hop, Verdict, Way
from postkeel.headers.way import Slowest, arrival, slowest

OTHERS: Final = "(others)"


class Kind(NamedTuple):
    """Hops that are counted together. mta: "" for one not known."""

    believed: bool
    verdict: Verdict
    protocol: str
    mta: str


class Counts:
    """messages: all. untraced: those without a Received line. arrivals: the others, by whether
    the hop is to be believed over which they reached one's own hosts, and its verdict. hops: of
    all messages. slowest: the hop that took longest, of those to be believed where there are any.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.untraced = 0
        self.arrivals: Counter[tuple[bool, Verdict]] = Counter()
        self.hops: Counter[Kind] = Counter()
        self.slowest: Slowest | None = None

    def add(self, way: Way) -> None:
        self.messages += 1
        came = arrival(way)
        if came is None:
            self.untraced += 1
            return
        self.arrivals[way.believed > 0, came.verdict] += 1
        for place, hop in enumerate(way.hops):
            self.hops[kind_of(hop, believed=place < way.believed)] += 1
        longest = slowest(way)
        if longest and (self.slowest is None or _rank(longest) > _rank(self.slowest)):
            self.slowest = longest


def _rank(one: Slowest) -> tuple[bool, float]:
    return one.believed, one.seconds


def kind_of(hop: Hop, *, believed: bool) -> Kind:
    """Each part is of a closed set: verdicts, registered protocols, forms that are read."""
    protocol = hop.protocol if hop.protocol in PROTOCOLS or not hop.protocol else OTHERS
    return Kind(believed, hop.verdict, protocol, hop.mta)
