"""`postkeel fleet` for people: what is not well, the worst first, on a page of 80 columns."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Final

from postkeel.cli.fleet_wording import (
    about,
    clock_text,
    gap_text,
    headline,
    name_of,
    notes,
    span,
    troubles,
    versions,
)
from postkeel.cli.text_page import Page
from postkeel.cli.wording import counted, minute
from postkeel.reporting.fleet_values import FleetSummary, HostSummary, InstanceSummary, State

_MOST: Final = 20
_STYLES: Final = {
    State.CONTESTED: "error",
    State.DRIFTING: "error",
    State.SILENT: "warning",
    State.UNGUARDED: "warning",
    State.UNKNOWN: "warning",
    State.COMPLIANT: "good",
}


def lines(arguments: Namespace, summary: FleetSummary) -> Iterator[str]:
    """The page, line by line."""
    page = Page(arguments)
    yield from page.sentences(headline(summary), indent="")
    yield from page.sentences(span(summary), indent="")
    yield from _instances(page, summary, everything=arguments.all)
    yield from _versions(page, summary)
    yield from _numbers(page, summary, everything=arguments.all)
    yield from _section(page, "Clocks", [clock_text(one) for one in summary.hosts if one.ahead])
    yield from _section(page, "Notes", list(notes(summary)))


def _section(page: Page, title: str, sentences: list[str]) -> Iterator[str]:
    if not sentences:
        return
    yield ""
    yield title
    for one in sentences[:_MOST]:
        yield from page.sentences(one)
    yield from page.rest(len(sentences) - _MOST, "like these")


def _instances(page: Page, summary: FleetSummary, *, everything: bool) -> Iterator[str]:
    shown = [one for one in summary.instances if everything or any(troubles(one, summary.at))]
    if not shown:
        return
    yield ""
    widths = (10, 38, -16, -9)
    names = ("state", "host", "last heard, UTC", "corrected")
    yield page.header(*zip(names, widths, strict=True))
    most = len(shown) if everything else _MOST
    for one in shown[:most]:
        yield from _instance(page, one, summary.at, widths)
    yield from page.rest(len(shown) - most, "hosts with something to tell; --all shows them")


def _instance(
    page: Page, one: InstanceSummary, at: float, widths: tuple[int, ...]
) -> Iterator[str]:
    cells = (one.state.value, name_of(one), minute(one.heard), f"{one.corrections:,}")
    yield page.row(*zip(cells, widths, strict=True), style=_STYLES[one.state])
    for phrase in troubles(one, at):
        yield from page.sentences(phrase, indent=" " * 13)
    yield from page.sentences(about(one), indent=" " * 13)


def _versions(page: Page, summary: FleetSummary) -> Iterator[str]:
    found = versions(summary)
    if found:
        yield ""
    for kind, known in found.items():
        listed = ", ".join(f"{version} ({count:,})" for version, count in known[:_MOST])
        yield from page.sentences(f"{kind}: {listed}", indent="")


def _numbers(page: Page, summary: FleetSummary, *, everything: bool) -> Iterator[str]:
    """What is missing, what came twice, and what the hosts themselves let go of."""
    missing = [text for host in summary.hosts for text in _missing(host)]
    if missing:
        yield ""
        lost = counted(summary.unexplained, "report")
        yield page.paint("error" if summary.unexplained else "warning", f"Missing: {lost} lost")
        for one in missing[:_MOST]:
            yield from page.sentences(one)
        yield from page.rest(len(missing) - _MOST, "gaps")
    told = [text for host in summary.hosts for text in _dropped(host)]
    yield from _section(page, "Dropped by the hosts", told)
    twice = [host for host in summary.hosts if host.doubles]
    if twice:
        listed = ", ".join(f"{one.name} {one.doubles:,}" for one in twice[:_MOST])
        more = f" and {len(twice) - _MOST} hosts more" if len(twice) > _MOST else ""
        yield ""
        doubles = counted(summary.doubles, "double")
        yield from page.sentences(f"{doubles} left out: {listed}{more}", indent="")
    if everything:
        begins = [
            f"{spool.host}, spool {spool.spool}: {spool.begins:,} to {spool.ends:,}"
            for host in summary.hosts
            for spool in host.spools
        ]
        yield from _section(page, "Numbers that the lines begin and end with", begins)


def _missing(host: HostSummary) -> Iterator[str]:
    for spool in host.spools:
        for gap in spool.gaps:
            yield f"{host.name}, spool {spool.spool}: {gap_text(gap)}"
        if spool.left_off:
            yield f"{host.name}, spool {spool.spool}: and {counted(spool.left_off, 'gap')} more"


def _dropped(host: HostSummary) -> Iterator[str]:
    if host.dropped:
        yield f"{host.name}: {counted(host.dropped, 'report')}"
    if host.uncounted:
        times = counted(host.uncounted, "time")
        yield f"{host.name}: {times} nobody knows how many, for its spool was damaged"
