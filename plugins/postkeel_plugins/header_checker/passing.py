"""Sampled mail: each header is read, added up, and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from postkeel.contract import Options, Row
from postkeel.headers.counting import Counts
from postkeel.headers.hosts import own_hosts
from postkeel.headers.way import read_way
from postkeel.postfix.instance import Instance
from postkeel_plugins.header_checker.options import OWN_HOSTS, texts
from postkeel_plugins.header_checker.tables import HOPS, MESSAGES


def count_mail(
    hour: int, headers: Iterable[bytes], instance: Instance | None, options: Options
) -> Mapping[str, Mapping[Row, tuple[int, ...]]]:
    """Rows to add, of messages and of their hops."""
    own = own_hosts((instance,) if instance else (), texts(options, OWN_HOSTS))
    counts = Counts()
    for header in headers:
        counts.add(read_way(header, own))
    arrived = {
        verdict.value: count for (believed, verdict), count in counts.arrivals.items() if believed
    }
    untold = counts.messages - sum(arrived.values())
    messages = arrived | ({"": untold} if untold else {})
    hops: dict[Row, tuple[int, ...]] = {
        (hour, "yes" if one.believed else "no", one.verdict.value, one.protocol, one.mta): (count,)
        for one, count in counts.hops.items()
    }
    return {
        MESSAGES.name: {(hour, verdict): (count,) for verdict, count in messages.items()},
        HOPS.name: hops,
    }
