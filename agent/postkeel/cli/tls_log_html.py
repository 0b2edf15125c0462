"""`postkeel tls-log` as a page for a browser.

Security: peers' names, reasons and notices were written by strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from postkeel.cli.html_page import Cell, document, shown, table
from postkeel.cli.tls_log_sources import Source
from postkeel.cli.tls_log_summary import (
    Summary,
    Travel,
    Volume,
    clear_text,
    destinations,
    is_old,
    named,
    stretches,
)
from postkeel.cli.tls_log_wording import origin, shares, span
from postkeel.cli.wording import minute, percent, unit_of
from postkeel.maillog.values import Direction

if TYPE_CHECKING:
    from postkeel.maillog.forecast import Forecast, Harm, Side

_STRETCHES = 120
_CHART = (720, 120)

_STYLE = """\
:root { --tls: #2a78b5; --clear: #d9822b; }
.tls { fill: var(--tls); } .clear { fill: var(--clear); }
"""


def page(summary: Summary, source: Source, forecast: Forecast | None) -> str:
    """The whole document."""
    body = _body(summary, source, forecast)
    return "\n".join(document("TLS of the mail", _STYLE, body)) + "\n"


def _body(summary: Summary, source: Source, forecast: Forecast | None) -> Iterator[str]:
    yield f"<h1>TLS of the mail</h1><p>{shown(span(summary))}<br>"
    yield f"{shown(origin(summary, source))}</p>"
    for note in (*summary.statistics.lost, *source.notes):
        yield f"<p>{shown(note)}</p>"
    if forecast is not None:
        yield from _forecast(forecast)
    for direction in Direction:
        yield from _direction(summary, source, direction)
    yield from _clear(summary)
    yield from _destinations(summary)
    yield from _notices(summary)


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    return table(caption, heads, rows, is_bad=is_old)


def _direction(summary: Summary, source: Source, direction: Direction) -> Iterator[str]:
    volume = summary.volume(direction)
    yield f"<h2>{shown(direction.value.capitalize())}</h2>"
    if not volume.connections:
        yield "<p>No connection with TLS or mail.</p>"
    else:
        yield f"<p>Over TLS {shares(volume)}.</p>"
    hours = {hour: one for (its, hour), one in summary.hours.items() if its is direction}
    yield from _chart(*stretches(hours, source.shortest, _STRETCHES))
    yield from _table(
        "What connections travelled over",
        ("protocol", "cipher", "key exchange", "connections", "share"),
        _kinds(summary, direction, volume),
    )
    yield from _table(
        "Trust in the other side",
        ("trust", "connections", "share"),
        (
            (name, connections, percent(connections, volume.tls_connections))
            for name, connections in summary.travels_by(
                direction, lambda one: one.session.trust or "not logged"
            )
        ),
    )
    yield from _table(
        "Services",
        ("service", "connections", "over TLS", "mails", "over TLS"),
        (
            (
                name,
                one.connections,
                percent(one.tls_connections, one.connections),
                one.mails,
                percent(one.tls_mails, one.mails),
            )
            for (its, name), one in summary.services.items()
            if its is direction
        ),
    )
    yield from _trouble(summary, direction)


def _trouble(summary: Summary, direction: Direction) -> Iterator[str]:
    yield from _table(
        "Peers with the oldest protocols",
        ("peer", "oldest", "TLS connections", "mails"),
        (
            (one.name, one.weakest, one.volume.tls_connections, one.volume.tls_mails)
            for one in named(summary.peers)
            if one.direction is direction and is_old(one.weakest)
        ),
    )
    yield from _table(
        "Handshakes that failed",
        ("reason", "count"),
        ((why, count) for (its, why), count in summary.failures.items() if its is direction),
    )


def _kinds(summary: Summary, direction: Direction, volume: Volume) -> Iterator[Sequence[Cell]]:
    def kind(one: Travel) -> tuple[str, str, str]:
        return (one.session.protocol, one.session.cipher, one.session.key_exchange)

    for (protocol, cipher, group), count in summary.travels_by(direction, kind):
        yield protocol, cipher, group, count, percent(count, volume.connections)
    if volume.clear_connections:
        share = percent(volume.clear_connections, volume.connections)
        yield "clear text", "", "", volume.clear_connections, share


def _chart(length: int, parts: Sequence[tuple[int, Volume]]) -> Iterator[str]:
    """Connections over TLS and in clear text as columns, one on the other."""
    top = max((one.connections for _, one in parts), default=0)
    if len(parts) < 2 or not top:  # noqa: PLR2004  one column shows no course
        return
    wide, high = _CHART
    step = wide / len(parts)
    title = f"connections by {unit_of(length)}, at most {top:,}"
    yield f'<svg viewBox="0 0 {wide} {high + 34}" role="img" aria-label="{shown(title)}">'
    for nth, (begin, one) in enumerate(parts):
        tls, clear = (high * part / top for part in (one.tls_connections, one.clear_connections))
        said = f"{minute(begin)}: {one.tls_connections:,} TLS, {one.clear_connections:,} clear"
        place = f'x="{nth * step:.1f}" width="{step * 0.85:.1f}"'
        yield (
            f"<g><title>{shown(said)}</title>"
            f'<rect class="tls" {place} y="{14 + high - tls:.1f}" height="{tls:.1f}"/>'
            f'<rect class="clear" {place} y="{14 + high - tls - clear:.1f}" height="{clear:.1f}"/>'
            "</g>"
        )
    yield f'<text x="0" y="10">{shown(title)}; blue TLS, orange clear text</text>'
    yield f'<text x="0" y="{high + 30}">{shown(minute(parts[0][0]))}</text>'
    yield f'<text x="{wide}" y="{high + 30}" text-anchor="end">{shown(minute(parts[-1][0]))} UTC'
    yield "</text></svg>"


def _clear(summary: Summary) -> Iterator[str]:
    yield from _table(
        "In clear text",
        ("direction", "service", "peer", "connections", "mails"),
        (
            (one.direction.value, one.service, one.peer, one.connections, one.mails)
            for one in clear_text(summary.statistics)
        ),
    )


def _destinations(summary: Summary) -> Iterator[str]:
    yield from _table(
        "Recipients' domains",
        ("domain", "mails", "in clear text", "taken by"),
        (
            (one.domain, one.mails, one.clear_mails, ", ".join(one.relays[:5]))
            for one in destinations(summary.statistics)
        ),
    )


def _notices(summary: Summary) -> Iterator[str]:
    yield from _table(
        "Notices",
        ("last", "kind", "service", "peer", "text", "count"),
        (
            (minute(one.time), one.kind.value, one.name, one.peer, one.text, one.count)
            for one in sorted(summary.statistics.notices, key=lambda one: -one.time)
        ),
    )


def _forecast(made: Forecast) -> Iterator[str]:
    yield f"<h2>With profile {shown(made.profile)}</h2>"
    hurt = "Somebody" if made.hurts else "Nobody"
    yield f"<p>{hurt} would have been refused or pushed to clear text.</p>"
    for title, side in (("Inbound", made.inbound), ("Outbound", made.outbound)):
        yield from _harm(f"{title}: refused", side, side.refused)
        yield from _harm(f"{title}: most likely pushed to clear text", side, side.to_clear)
    yield from _table(
        "smtp_tls_policy_maps entries that history supports (suggested, never written)",
        ("entry", "mails", "days", "why", "caution"),
        ((one.entry, one.mails, one.days, one.why, one.caution) for one in made.policies),
    )
    for one in made.unknown:
        yield f"<p>Not known: {shown(one)}</p>"


def _harm(title: str, side: Side, harm: Harm) -> Iterator[str]:
    if not harm.connections and not harm.mails:
        return
    connections = percent(harm.connections, side.connections)
    yield from _table(
        f"{title}: {connections} of connections, {percent(harm.mails, side.mails)} of mails",
        ("peer", "service", "protocol", "connections", "mails", "reason", "rule", "certain"),
        (
            (
                one.peer,
                one.name,
                one.protocol or "clear text",
                one.connections,
                one.mails,
                one.reason,
                one.rule,
                "yes" if one.certain else "at most",
            )
            for one in harm.peers
        ),
    )
    if harm.left_off:
        yield f'<p class="dim">and {harm.left_off:,} more entries</p>'
