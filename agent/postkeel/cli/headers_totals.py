"""What many messages come to, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from postkeel.cli.charts import bar
from postkeel.cli.headers_summary import Summary
from postkeel.cli.headers_wording import IN_A_WORD, STYLES, duration, hosts, your_hosts
from postkeel.cli.text_page import Page
from postkeel.cli.wording import counted, percent
from postkeel.headers.values import Own, Verdict

_BAR = 20
_WIDTHS = (44, -10, -7)
_HOP_WIDTHS = (10, 12, 20, -10, -7)
_MOST = 12


def totals(page: Page, summary: Summary, own: Own) -> Iterator[str]:
    counts = summary.counts
    yield f"{counted(counts.messages, 'message')}, {counted(counts.hops.total(), 'hop')}"
    if hosts(own):
        yield from page.sentences(f"your hosts: {your_hosts(own)}", indent="")
    yield ""
    yield from _arrivals(page, summary)
    yield from _hops(page, summary, believed=True)
    yield from _hops(page, summary, believed=False)
    yield from _slowest(page, summary)
    yield from _faulty(page, summary)


def _arrivals(page: Page, summary: Summary) -> Iterator[str]:
    """By the hop over which each came to one's own hosts."""
    counts = summary.counts
    own = {verdict: number for (mine, verdict), number in counts.arrivals.items() if mine}
    yield page.header(*zip(("came to your hosts", "messages", "share"), _WIDTHS, strict=True))
    rows = [(IN_A_WORD[one], own.get(one, 0), STYLES[one]) for one in Verdict]
    hearsay = sum(number for (mine, _), number in counts.arrivals.items() if not mine)
    rows.append(("not known: no line of your hosts", hearsay, "warning"))
    rows.append(("never sent: no Received line", counts.untraced, ""))
    for name, number, style in rows:
        if number:
            share = number / counts.messages
            cells = (name, f"{number:,}", percent(number, counts.messages))
            drawn = bar(share, _BAR, blocks=page.blocks)
            yield page.row(*zip(cells, _WIDTHS, strict=True), last=drawn, style=style)


def _hops(page: Page, summary: Summary, *, believed: bool) -> Iterator[str]:
    """By verdict, protocol word and server, and by version of TLS."""
    found = {kind: n for kind, n in summary.counts.hops.items() if kind.believed is believed}
    whole = sum(found.values())
    if not whole:
        return
    by_kind: Counter[tuple[Verdict, str, str]] = Counter()
    for kind, number in found.items():
        by_kind[kind.verdict, kind.protocol, kind.mta] += number
    yield ""
    title = "the other hops" if whole < summary.counts.hops.total() else "all of the hops"
    yield "Hops that your hosts wrote down" if believed else f"Hearsay: {title}"
    names = ("how", "with", "server", "hops", "share")
    yield page.header(*zip(names, _HOP_WIDTHS, strict=True))
    for (verdict, protocol, mta), number in by_kind.most_common(_MOST):
        share = percent(number, whole)
        cells = (IN_A_WORD[verdict], protocol or "-", mta or "-", f"{number:,}", share)
        style = STYLES[verdict] if believed else "dim"
        yield page.row(*zip(cells, _HOP_WIDTHS, strict=True), style=style)
    yield from page.rest(len(by_kind) - _MOST, "kinds")
    yield from _versions(page, summary.protocols, whole, believed=believed)


def _versions(
    page: Page, protocols: Mapping[tuple[bool, str], int], whole: int, *, believed: bool
) -> Iterator[str]:
    found = sorted((name, number) for (mine, name), number in protocols.items() if mine is believed)
    shown = [f"{name} {percent(number, whole)}" for name, number in reversed(found)]
    if shown:
        yield from page.sentences(f"TLS versions: {', '.join(shown)} of these hops")


def _slowest(page: Page, summary: Summary) -> Iterator[str]:
    found = summary.counts.slowest
    if found is None:
        return
    yield ""
    worth = "" if found.believed else " (hearsay)"
    told = f"{duration(found.seconds)} from {found.holder or '-'} to {found.to or '-'}{worth}"
    yield from page.sentences(f"The slowest hop took {told}: {summary.slowest_of}", indent="")


def _faulty(page: Page, summary: Summary) -> Iterator[str]:
    """What the exit status is for, by name."""
    if summary.faulty:
        yield ""
        number = counted(summary.faulty, "message")
        yield page.paint("error", f"{number} in clear or weakly encrypted on a hop to be believed")
        for name, verdict in summary.examples:
            yield from page.sentences(f"{IN_A_WORD[verdict]}: {name}")
        yield from page.rest(summary.faulty - len(summary.examples), "like these")
    if summary.damaged:
        yield ""
        yield f"{counted(summary.damaged, 'header')} not wholly read; --verbose says why"
