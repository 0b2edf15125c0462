"""`postkeel tls-log` for people: a page of 80 columns."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from postkeel.cli.charts import bar, cut, sparkline
from postkeel.cli.text_page import WIDTH, Page
from postkeel.cli.tls_log_sources import Source
from postkeel.cli.tls_log_summary import (
    Peer,
    Summary,
    Travel,
    Volume,
    is_old,
    named,
    rank,
    stretches,
)
from postkeel.cli.tls_log_wording import origin, shares, span
from postkeel.cli.wording import counted, minute, percent, unit_of
from postkeel.maillog.values import Direction, Notice

if TYPE_CHECKING:
    from postkeel.maillog.forecast import Forecast

_MOST = 10
_MOST_KINDS = 20
_BAR = 4
_CHART = 64


def lines(
    arguments: Namespace, summary: Summary, source: Source, forecast: Forecast | None
) -> Iterator[str]:
    """The page, line by line."""
    page = Page(arguments)
    yield from _headline(page, summary, source)
    for direction in Direction:
        yield ""
        yield from _direction(page, summary, source, direction)
    if summary.statistics.notices:
        yield ""
        yield from _notices(page, summary.statistics.notices)
    if forecast is not None:
        from postkeel.cli.tls_log_forecast import forecast_lines

        yield ""
        yield from forecast_lines(page, forecast)
    notes = [*summary.statistics.lost, *source.notes]
    if notes:
        yield ""
        yield "Notes"
        for note in notes:
            yield from page.sentences(note)


def _headline(page: Page, summary: Summary, source: Source) -> Iterator[str]:
    yield span(summary)
    yield from page.sentences(origin(summary, source), indent="")


def _direction(page: Page, summary: Summary, source: Source, direction: Direction) -> Iterator[str]:
    volume = summary.volume(direction)
    title = direction.value.capitalize()
    failures = [
        (reason, count) for (its, reason), count in summary.failures.items() if its is direction
    ]
    if not volume.connections and not volume.mails:
        yield f"{title}: no connection with TLS or mail"
    else:
        yield f"{title}: over TLS {shares(volume)}"
        yield from _timeline(page, summary, source, direction)
        yield from _kinds(page, summary, direction, volume)
        yield from _trust(page, summary, direction, volume)
        yield from _services(page, summary, direction)
        peers = named(one for one in summary.peers if one.direction is direction)
        yield from _in_clear(page, peers)
        yield from _oldest(page, peers)
    yield from _failures(page, failures)


def _timeline(page: Page, summary: Summary, source: Source, direction: Direction) -> Iterator[str]:
    hours = {hour: one for (its, hour), one in summary.hours.items() if its is direction}
    length, parts = stretches(hours, source.shortest, _CHART)
    if len(parts) < 2:  # noqa: PLR2004  one stretch shows no course
        return
    top = max(max(one.tls_connections, one.clear_connections) for _, one in parts)
    begin, end = minute(parts[0][0]), minute(parts[-1][0])
    title = f"connections by {unit_of(length)}, {begin} to {end} UTC, at most {top:,}"
    yield page.header((title, WIDTH - 2))
    for name, values in (
        ("TLS", [one.tls_connections for _, one in parts]),
        ("clear", [one.clear_connections for _, one in parts]),
    ):
        drawn = sparkline(values, top, blocks=page.blocks)
        yield page.row((name, 8), last=drawn, style="warning" if name == "clear" else "")


def _kinds(page: Page, summary: Summary, direction: Direction, volume: Volume) -> Iterator[str]:
    """Protocol, cipher and key exchange together, with the share of all connections."""
    widths = (8, 30, 15, -9, -7)
    names = ("protocol", "cipher", "key exchange", "connect.", "share")
    yield page.header(*zip(names, widths, strict=True))
    kinds = summary.travels_by(direction, _kind)
    for (protocol, cipher, group), connections in kinds[:_MOST_KINDS]:
        share = percent(connections, volume.connections)
        cells = (protocol, cipher, group or "-", f"{connections:,}", share)
        drawn = bar(connections / (volume.connections or 1), _BAR, blocks=page.blocks)
        style = "error" if is_old(protocol) else ""
        yield page.row(*zip(cells, widths, strict=True), last=drawn, style=style)
    yield from page.rest(len(kinds) - _MOST_KINDS, "kinds")
    if volume.clear_connections:
        share = percent(volume.clear_connections, volume.connections)
        cells = ("clear", "-", "-", f"{volume.clear_connections:,}", share)
        drawn = bar(volume.clear_connections / volume.connections, _BAR, blocks=page.blocks)
        yield page.row(*zip(cells, widths, strict=True), last=drawn, style="warning")


def _kind(one: Travel) -> tuple[str, str, str]:
    return (one.session.protocol, one.session.cipher, one.session.key_exchange)


def _trust(page: Page, summary: Summary, direction: Direction, volume: Volume) -> Iterator[str]:
    found = summary.travels_by(direction, lambda one: one.session.trust or "not logged")
    shown = [
        f"{name} {connections:,} ({percent(connections, volume.tls_connections)})"
        for name, connections in found
    ]
    if shown:
        yield from page.sentences(f"trust: {', '.join(shown)}")


def _services(page: Page, summary: Summary, direction: Direction) -> Iterator[str]:
    widths = (39, -11, -7, -10, -7)
    names = ("service", "connections", "TLS", "mails", "TLS")
    yield page.header(*zip(names, widths, strict=True))
    found = [(name, one) for (its, name), one in summary.services.items() if its is direction]
    found.sort(key=lambda one: (-one[1].connections, one[0]))
    for name, one in found[:_MOST]:
        cells = (
            name,
            f"{one.connections:,}",
            percent(one.tls_connections, one.connections),
            f"{one.mails:,}",
            percent(one.tls_mails, one.mails),
        )
        yield page.row(*zip(cells, widths, strict=True))
    yield from page.rest(len(found) - _MOST, "services")


def _in_clear(page: Page, peers: Sequence[Peer]) -> Iterator[str]:
    found = [one for one in peers if one.volume.clear_connections or one.volume.clear_mails]
    found.sort(key=lambda one: (-one.volume.clear_mails, -one.volume.clear_connections, one.name))
    widths = (40, -11, -10, -13)
    names = ("peers in clear text", "connections", "mails", "and over TLS")
    yield from _peers(
        page,
        (names, widths),
        found,
        lambda one: (
            one.name,
            f"{one.volume.clear_connections:,}",
            f"{one.volume.clear_mails:,}",
            f"{one.volume.tls_connections:,}" if one.volume.tls_connections else "never",
        ),
        "warning",
    )


def _oldest(page: Page, peers: Sequence[Peer]) -> Iterator[str]:
    found = [one for one in peers if is_old(one.weakest)]
    found.sort(key=lambda one: (rank(one.weakest), -one.volume.tls_mails, one.name))
    widths = (40, -11, -10, -13)
    names = ("peers with the oldest protocols", "TLS conn.", "mails", "oldest")
    yield from _peers(
        page,
        (names, widths),
        found,
        lambda one: (
            one.name,
            f"{one.volume.tls_connections:,}",
            f"{one.volume.tls_mails:,}",
            one.weakest,
        ),
        "error",
    )


def _peers(
    page: Page,
    head: tuple[Sequence[str], Sequence[int]],
    found: Sequence[Peer],
    cells: Callable[[Peer], Sequence[str]],
    style: str,
) -> Iterator[str]:
    if not found:
        return
    names, widths = head
    yield page.header(*zip(names, widths, strict=True))
    for one in found[:_MOST]:
        yield page.row(*zip(cells(one), widths, strict=True), style=style)
    yield from page.rest(len(found) - _MOST, "peers")


def _failures(page: Page, found: Sequence[tuple[str, int]]) -> Iterator[str]:
    if not found:
        return
    yield page.header(("failed", -9), ("reason", 60))
    for reason, count in found[:_MOST]:
        yield page.row((f"{count:,}", -9), last=cut(reason, 66, blocks=page.blocks))
    yield from page.rest(len(found) - _MOST, "reasons")


def _notices(page: Page, notices: Iterable[Notice]) -> Iterator[str]:
    """By kind: how many, and the newest few of them in their own words."""
    kinds: dict[str, list[Notice]] = {}
    for one in notices:
        kinds.setdefault(one.kind.value, []).append(one)
    yield "Notices"
    for kind, found in sorted(kinds.items()):
        yield page.paint("warning", f"  {kind}: {counted(sum(one.count for one in found), 'time')}")
        found.sort(key=lambda one: (-one.time, one.peer))
        for one in found[:3]:
            times = f" ({one.count:,} x)" if one.count > 1 else ""
            peer = "" if one.peer in one.text else f"{one.peer}: "
            text = f"{minute(one.time)} {one.name}{times}: {peer}{one.text}"
            yield from page.sentences(text, indent="    ")
        yield from page.rest(len(found) - 3, "like these")
