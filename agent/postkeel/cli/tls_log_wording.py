"""How `postkeel tls-log` puts shares, moments and origins, on a terminal as in a document."""

from __future__ import annotations

from postkeel.cli.tls_log_sources import Source
from postkeel.cli.tls_log_summary import Summary, Volume
from postkeel.cli.wording import counted, minute, percent


def shares(volume: Volume) -> str:
    """ "93.4% of 120,000 connections, 96.1% of 80,000 mails"."""
    connections = percent(volume.tls_connections, volume.connections)
    mails = percent(volume.tls_mails, volume.mails)
    text = f"{connections} of {counted(volume.connections, 'connection')}"
    return f"{text}, {mails} of {counted(volume.mails, 'mail')}" if volume.mails else text


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
