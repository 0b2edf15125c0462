"""`postkeel tls-log` as a document for programs. Its keys are contracts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from postkeel.cli.tls_log_sources import Source
from postkeel.cli.tls_log_summary import (
    ClearText,
    Destination,
    Peer,
    Summary,
    Volume,
    clear_text,
    destinations,
)
from postkeel.maillog.values import Notice

if TYPE_CHECKING:
    from postkeel.maillog.forecast import Forecast

Data = dict[str, object]

MOST_PEERS = 100
MOST_ROWS = 1000
MOST_RELAYS = 10


def document(summary: Summary, source: Source, forecast: Forecast | None) -> Data:
    """Every list is sorted; `left_off` says how many entries are not in the longest ones."""
    statistics = summary.statistics
    clear, arrived = clear_text(statistics), destinations(statistics)
    data: Data = {
        "lines": statistics.lines,
        "first": _stamp(statistics.first),
        "last": _stamp(statistics.last),
        "sources": list(source.names),
        "history": source.history,
        "proven": statistics.proven,
        "lost": list(statistics.lost),
        "notes": list(source.notes),
        "connections": _connections(summary),
        "failures": [
            {"direction": direction.value, "reason": reason, "count": count}
            for (direction, reason), count in sorted(summary.failures.items())
        ],
        "services": [
            {"direction": direction.value, "name": name, **_volume(volume)}
            for (direction, name), volume in summary.services.items()
        ],
        "key_exchanges": _key_exchanges(summary),
        "peers": [_peer(one) for one in summary.peers[:MOST_PEERS]],
        "clear": [_clear(one) for one in clear[:MOST_ROWS]],
        "destinations": [_destination(one) for one in arrived[:MOST_ROWS]],
        "notices": [_notice(one) for one in sorted(statistics.notices, key=_in_time)],
        "hours": [
            {"hour": _stamp_of(hour), "direction": direction.value, **_volume(volume)}
            for (direction, hour), volume in summary.hours.items()
        ],
        "left_off": {
            "peers": max(len(summary.peers) - MOST_PEERS, 0),
            "clear": max(len(clear) - MOST_ROWS, 0),
            "destinations": max(len(arrived) - MOST_ROWS, 0),
        },
    }
    if forecast is not None:
        from postkeel.cli.tls_log_forecast import forecast_data

        data["forecast"] = forecast_data(forecast)
    return data


def _in_time(one: Notice) -> tuple[float, str, str, str]:
    return (one.time, one.kind.value, one.name, one.peer)


def _connections(summary: Summary) -> list[Data]:
    """One entry for each combination of the keys, summed over all else."""
    found: dict[tuple[str, str, str, str, str, bool], int] = {}
    for one in summary.travels:
        its = one.session
        key = (
            its.direction.value,
            one.service,
            its.trust,
            its.protocol,
            its.cipher,
            its.reused,
        )
        found[key] = found.get(key, 0) + one.connections
    names = ("direction", "service", "trust", "protocol", "cipher", "reused")
    return [
        {**dict(zip(names, key, strict=True)), "count": found[key]}
        for key in sorted(found)
        if found[key]
    ]


def _key_exchanges(summary: Summary) -> list[Data]:
    found: dict[tuple[str, str], int] = {}
    for one in summary.travels:
        if one.session.key_exchange:
            key = (one.session.direction.value, one.session.key_exchange)
            found[key] = found.get(key, 0) + one.connections
    return [
        {"direction": direction, "key_exchange": name, "count": found[direction, name]}
        for direction, name in sorted(found)
    ]


def _peer(one: Peer) -> Data:
    return {
        "direction": one.direction.value,
        "peer": one.name,
        **_volume(one.volume),
        "weakest_protocol": one.weakest or None,
    }


def _clear(one: ClearText) -> Data:
    return {
        "direction": one.direction.value,
        "service": one.service,
        "peer": one.peer,
        "connections": one.connections,
        "mails": one.mails,
    }


def _destination(one: Destination) -> Data:
    return {
        "domain": one.domain,
        "mails": one.mails,
        "clear_mails": one.clear_mails,
        "relays": list(one.relays[:MOST_RELAYS]),
    }


def _notice(one: Notice) -> Data:
    return {
        "kind": one.kind.value,
        "time": _stamp_of(one.time),
        "name": one.name,
        "peer": one.peer,
        "text": one.text,
        "count": one.count,
    }


def _volume(one: Volume) -> Data:
    return {
        "connections": one.connections,
        "mails": one.mails,
        "clear_connections": one.clear_connections,
        "clear_mails": one.clear_mails,
    }


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _stamp_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
