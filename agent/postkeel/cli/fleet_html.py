"""`postkeel fleet` as a page for a browser.

Security: hosts' names and all that they report were written by strangers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.cli import fleet_charts
from postkeel.cli.fleet_wording import (
    clock_text,
    gap_text,
    headline,
    name_of,
    notes,
    openssl,
    span,
    troubles,
    versions,
)
from postkeel.cli.html_page import document, shown, table
from postkeel.cli.wording import minute
from postkeel.reporting.fleet_values import FleetSummary, InstanceSummary

_TITLE: Final = "Fleet of mail servers"
_MOST: Final = 500
_HEADS: Final = ("State", "Host", "Last heard", "Profile", "Versions", "Corrected")
_STYLE: Final = """\
h1 { margin-bottom: .3rem; } .lead { font-size: 1.1rem; margin: 0; }
h1, .lead { overflow-wrap: anywhere; }
.contested { --its: #a2378f; } .drifting { --its: #c8402f; } .silent { --its: #75808a; }
.unguarded { --its: #c2701a; } .unknown { --its: #8a7d3c; } .compliant { --its: #2b8a57; }
.pill { background: var(--its); color: #fff; border-radius: 1rem; padding: .1rem .6rem;
  font-size: .85rem; white-space: nowrap; }
.hosts td { padding-top: .4rem; padding-bottom: .4rem; } .hosts p { margin: .15rem 0 0; }
.hosts td:nth-child(2) { width: 36%; } .hosts td:nth-child(3) { white-space: nowrap; }
.hosts td:nth-child(n+3):not(.n) > div { min-width: 6.3rem; }
.hosts small { display: block; opacity: .75; }
@media (max-width: 45rem) {
  .hosts thead { display: none; }
  .hosts tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); }
  .hosts td:nth-child(n) { display: flex; gap: 1rem; width: auto; border: 0;
    padding: .1rem 0; text-align: left; white-space: normal; }
  .hosts td::before { content: attr(data-head); flex: 0 0 7.5rem; opacity: .65; }
  .hosts td > div { flex: 1; min-width: 0; }
}
"""


def page(summary: FleetSummary) -> str:
    """The whole document."""
    style = _STYLE + fleet_charts.STYLE
    return "\n".join(document(_TITLE, style, _body(summary))) + "\n"


def _body(summary: FleetSummary) -> Iterator[str]:
    yield f'<h1>{_TITLE}</h1><p class="lead">{shown(headline(summary))}</p>'
    yield f'<p class="dim">{shown(span(summary))}</p>'
    yield from fleet_charts.tiles(summary)
    for note in notes(summary):
        yield f"<p>{shown(note)}</p>"
    yield "<h2>Over time</h2>"
    yield from fleet_charts.course(summary)
    yield from _hosts(summary)
    found = versions(summary)
    if found:
        yield "<h2>Versions and profiles</h2>"
        yield from fleet_charts.versions(found)
    yield from _numbers(summary)


def _hosts(summary: FleetSummary) -> Iterator[str]:
    instances = summary.instances
    if not instances:
        return
    heads = "".join(f"<th>{shown(one)}</th>" for one in _HEADS[:-1])
    yield '<h2>Hosts</h2><table class="hosts"><thead>'
    yield f'<tr>{heads}<th class="n">{_HEADS[-1]}</th></tr></thead><tbody>'
    for one in instances[:_MOST]:
        yield _host(one, summary.at)
    yield "</tbody></table>"
    if len(instances) > _MOST:
        yield f'<p class="dim">and {len(instances) - _MOST:,} more</p>'


def _host(one: InstanceSummary, at: float) -> str:
    told = "".join(f'<p class="bad">{shown(text)}</p>' for text in troubles(one, at))
    beside = ", ".join(filter(None, (openssl(one), one.postkeel and f"postkeel {one.postkeel}")))
    postfix = f"Postfix {one.postfix}" if one.postfix else ""
    mode = f"<small>{shown(one.mode)}</small>" if one.mode else ""
    cells = (
        f'<span class="pill {one.state.value}">{one.state.value}</span>',
        f"{shown(name_of(one))}{told}",
        shown(minute(one.heard)),
        f"{shown(one.profile)}{mode}",
        f"{shown(postfix)}<small>{shown(beside)}</small>",
        f"{one.corrections:,}",
    )
    kinds = ("", "", "", "", "", ' class="n"')
    columns = zip(_HEADS, cells, kinds, strict=True)
    row = "".join(
        f'<td{kind} data-head="{head}"><div>{cell}</div></td>' for head, cell, kind in columns
    )
    return f"<tr>{row}</tr>"


def _numbers(summary: FleetSummary) -> Iterator[str]:
    """What is missing, what the hosts dropped, what came twice, and clocks."""
    missing = [
        (spool.host, spool.spool, gap_text(gap))
        for host in summary.hosts
        for spool in host.spools
        for gap in spool.gaps
    ]
    counts = [
        (one.name, one.reports, one.doubles, one.unexplained, _dropped(one.dropped, one.uncounted))
        for one in summary.hosts
        if one.doubles or one.dropped or one.uncounted or one.unexplained
    ]
    clocks = [clock_text(one) for one in summary.hosts if one.ahead]
    if not (missing or counts or clocks):
        return
    yield "<h2>Reports and clocks</h2>"
    yield from table("Missing numbers", ("host", "spool", "numbers"), missing)
    heads = ("host", "reports", "doubles left out", "lost", "dropped by the host")
    yield from table("Hosts whose reports are not each here once", heads, counts)
    yield from (f"<p>{shown(one)}</p>" for one in clocks[:_MOST])


def _dropped(number: int, uncounted: int) -> str:
    return f"{number:,} and more, nobody knows how many" if uncounted else f"{number:,}"
