"""The way of a message, from its header."""

from __future__ import annotations

from collections.abc import Sequence

from postkeel.core.frozen import frozen
from postkeel.headers.fields import trace_of
from postkeel.headers.received import read_hop
from postkeel.headers.results import read_results
from postkeel.headers.trust import believed, is_own
from postkeel.headers.values import Hop, Own, Results, Way


def read_way(octets: bytes, own: Own) -> Way:
    """Of a message or its header. Total; time and memory are bounded by what is given."""
    trace = trace_of(octets)
    hops = tuple(map(read_hop, trace.received))
    trusted = believed(hops, own)
    results = []
    for value, above in zip(trace.results, trace.above, strict=True):
        found = read_results(value)
        # Below the last line to be believed a stranger's own field may be the first, if no
        # filter of the host took it away (RFC 8601, section 5): Postfix itself does not.
        proven = above < trusted and is_own(found.by, own)
        results.append(Results(by=found.by, methods=found.methods, believed=proven))
    return Way(hops=hops, believed=trusted, results=tuple(results), problems=trace.problems)


def arrival(way: Way) -> Hop | None:
    """The hop over which the message came to one's own hosts; None without any line.

    It is the lowest that can be believed. Where none can, it is the top line, and hearsay.
    """
    return way.hops[max(way.believed, 1) - 1] if way.hops else None


def delays(hops: Sequence[Hop]) -> tuple[float | None, ...]:
    """For each hop the seconds since the one below it; None where a time is missing.

    Clocks differ, so it may be negative; and below the hops to be believed it is hearsay.
    """
    moments = [hop.time for hop in hops]
    earlier = [*moments[1:], None]
    return tuple(
        (now - before).total_seconds() if now and before else None
        for now, before in zip(moments, earlier, strict=False)
    )


@frozen
class Slowest:
    """The longest way between two lines: in seconds, with the host that had it and the next.

    believed: both lines are to be believed.
    """

    seconds: float
    holder: str
    to: str
    believed: bool


def slowest(way: Way) -> Slowest | None:
    """Of the hops to be believed where time passed, else of all; None where none took any."""
    known = [
        (place + 1 < way.believed, seconds, -place)
        for place, seconds in enumerate(delays(way.hops))
        if seconds is not None and seconds > 0
    ]
    if not known:
        return None
    sure, longest, place = max(known)
    return Slowest(
        seconds=longest, holder=way.hops[1 - place].by, to=way.hops[-place].by, believed=sure
    )
