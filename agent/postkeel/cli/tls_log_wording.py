"""How `postkeel tls-log` puts shares, moments and origins, on a terminal as in a document."""

from __future__ import annotations

from datetime import UTC, datetime

from postkeel.cli.tls_log_sources import Source, counted
from postkeel.cli.tls_log_summary import HOUR, Summary, Volume

_LENGTHS = {HOUR: "hour", 24 * HOUR: "day", 7 * 24 * HOUR: "week"}


def percent(part: int, whole: int) -> str:
    """ "12.3%"; what is not all is never shown as all, nor what is not nothing as nothing."""
    if not whole:
        return "-"
    share = 100 * part / whole
    if 0 < part < whole:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f}%"


def shares(volume: Volume) -> str:
    """ "93.4% of 120,000 connections, 96.1% of 80,000 mails"."""
    connections = percent(volume.tls_connections, volume.connections)
    mails = percent(volume.tls_mails, volume.mails)
    text = f"{connections} of {counted(volume.connections, 'connection')}"
    return f"{text}, {mails} of {counted(volume.mails, 'mail')}" if volume.mails else text


def minute(moment: datetime | float) -> str:
    """ "2026-11-22 13:09", of a moment in UTC."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return f"{moment:%Y-%m-%d %H:%M}"


def unit_of(length: int) -> str:
    """Of a stretch of so many seconds: "hour", "day", "week", "4 weeks"."""
    return _LENGTHS.get(length) or f"{length // (7 * 24 * HOUR)} weeks"


def origin(summary: Summary, source: Source) -> str:
    """Where the lines are from, and what that is worth."""
    names = ", ".join("standard input" if one == "-" else one for one in source.names[:3])
    if len(source.names) > 3:  # noqa: PLR2004
        names += f" and {counted(len(source.names) - 3, 'more file')}"
    if summary.statistics.proven:
        return f"from the agent's history ({names}): journald vouches for who wrote the lines"
    worth = "a text file: nobody vouches for who wrote its lines"
    return (
        f"from the agent's history ({names}), of {worth}"
        if source.history
        else (f"from {names}; {worth}")
    )


def span(summary: Summary) -> str:
    """ "1,000,000 lines, 2026-11-01 00:00 to 2026-11-23 04:00 UTC"."""
    statistics = summary.statistics
    text = counted(statistics.lines, "line")
    if statistics.first:
        text += f", {minute(statistics.first)} to {minute(statistics.last or statistics.first)} UTC"
    return text
