"""`postkeel headers` for people: the hops of a message, or what many messages come to."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections.abc import Iterable, Iterator

from postkeel.cli.charts import columns_of
from postkeel.cli.headers_summary import Seen, Summary
from postkeel.cli.headers_totals import totals
from postkeel.cli.headers_wording import (
    IN_A_WORD,
    STYLES,
    agreed,
    arrived,
    details,
    duration,
    found_by,
    hosts,
    receiver,
    sender,
    your_hosts,
)
from postkeel.cli.text_page import WIDTH, Page
from postkeel.cli.wording import counted
from postkeel.headers.trust import own_of
from postkeel.headers.values import Hop, Own, Verdict, Way
from postkeel.headers.way import arrival, delays

_NUMBER = -4
_WORD = 9
_HOST = 25
_DELAY = -10
_VERSION = 8
_CIPHER = 30
_INDENT = " " * 7
_MOST_HOPS = 100
_TELLING = (Verdict.WELL, Verdict.LOCAL)
"""Verdicts whose reason is in the table already."""


def lines(
    arguments: Namespace, messages: Iterable[Seen], summary: Summary, own: Own
) -> Iterator[str]:
    """One message as a table; of many what they come to, with --verbose after each of them."""
    page = Page(arguments)
    first = next(reading := iter(messages), None)
    second = next(reading, None)
    if first is None:
        yield "There is no message in it."
        return
    if second is None:
        yield from _message(page, first, own, verbose=arguments.verbose)
        yield from _hint(page, first.way, own)
        return
    for one in itertools.chain((first, second), reading):
        if arguments.verbose:
            yield from _message(page, one, own, verbose=True)
            yield ""
    yield from totals(page, summary, own)
    if not any(believed for believed, _ in summary.counts.arrivals):
        yield from _hint(page, first.way, own)


def _message(page: Page, seen: Seen, own: Own, *, verbose: bool) -> Iterator[str]:
    way = seen.way
    yield from page.sentences(f"{seen.name}: {_headline(way)}", indent="")
    came = arrival(way)
    if came is None:
        yield from page.sentences(
            "Every mail server that takes a message writes a line Received on top of it: this one"
            " was never sent, or it is not whole."
        )
    else:
        yield from _conclusion(page, way, came)
        yield from _hops(page, way, verbose=verbose)
    yield from _results(page, way, verbose=verbose)
    for problem in seen.problems:
        yield from _painted(page, "warning", f"Note: {problem}.")
    if verbose and hosts(own):
        yield from page.sentences(f"Your hosts: {your_hosts(own)}.")


def _headline(way: Way) -> str:
    if not way.hops:
        return "no hop, as it has no Received line"
    return f"{counted(len(way.hops), 'hop')}, the newest first, as in its header"


def _conclusion(page: Page, way: Way, came: Hop) -> Iterator[str]:
    if way.believed:
        told = f"It came to your hosts {arrived(came)}."
        yield from _painted(page, STYLES[came.verdict], told)


def _painted(page: Page, style: str, text: str) -> Iterator[str]:
    yield from (page.paint(style, one) for one in page.sentences(text))


def _hops(page: Page, way: Way, *, verbose: bool) -> Iterator[str]:
    yield page.header(
        ("#", _NUMBER), ("how", _WORD), ("from", _HOST), ("to", _HOST), ("after", _DELAY)
    )
    head = (("", -_NUMBER), ("with", _WORD), ("TLS", _VERSION), ("cipher", _CIPHER))
    yield page.header(*head, ("key exchange", 15))
    if not way.believed:
        yield _boundary(page, "hearsay: no host that is known as yours wrote any of it")
    for place, (hop, seconds) in enumerate(zip(way.hops, delays(way.hops), strict=True)):
        if place == _MOST_HOPS and not verbose:
            yield from page.rest(len(way.hops) - place, "hops")
            break
        yield from _hop(page, place + 1, hop, seconds, believed=place < way.believed)
        if verbose:
            yield from _details(page, hop)
        if place + 1 == way.believed:
            below = place + 1 < len(way.hops)
            yield _boundary(page, _BELOW if below else "all of it was written by your hosts")


_BELOW = "above: written by your hosts; below: hearsay, anybody can write it"


def _boundary(page: Page, text: str) -> str:
    """A line across the page with a text in it."""
    dash = "─" if page.blocks else "-"
    line = f"  {dash * 2} {text} "
    return page.paint("info", line + dash * (WIDTH - columns_of(line)))


def _hop(
    page: Page, number: int, hop: Hop, seconds: float | None, *, believed: bool
) -> Iterator[str]:
    style = STYLES[hop.verdict] if believed else "dim"
    yield page.row(
        (str(number), _NUMBER),
        (IN_A_WORD[hop.verdict], _WORD),
        (sender(hop), _HOST),
        (receiver(hop), _HOST),
        ("" if seconds is None else duration(seconds), _DELAY),
        style=style,
    )
    version, cipher, group = agreed(hop.tls)
    shown = (("", -_NUMBER), (hop.protocol or "-", _WORD), (version, _VERSION), (cipher, _CIPHER))
    if hop.protocol or hop.tls:
        yield page.row(*shown, (group, 15), style="" if believed else "dim")
    if hop.verdict not in _TELLING:
        for line in page.sentences(f"{hop.reason}.", indent=_INDENT):
            yield page.paint(style, line)


def _details(page: Page, hop: Hop) -> Iterator[str]:
    for name, value in details(hop):
        yield from page.sentences(f"{name}: {value}", indent=_INDENT)


def _results(page: Page, way: Way, *, verbose: bool) -> Iterator[str]:
    told = [one for one in way.results if one.believed]
    for one in told:
        yield from page.sentences(f"{found_by(one)}.")
    others = [one for one in way.results if not one.believed]
    for one in others if verbose else ():
        yield from _painted(page, "dim", f"Hearsay: {found_by(one)}.")
    if others and not verbose:
        number = counted(len(others), "line")
        yield page.paint(
            "dim", f"  {number} Authentication-Results that no host of yours vouches for."
        )


def _hint(page: Page, way: Way, own: Own) -> Iterator[str]:
    """What to say where nothing is believed that could be."""
    if way.believed or not way.hops:
        return
    writer = way.hops[0].by
    known = hosts(own)
    yield ""
    if known:
        yield from page.sentences(
            f"Your hosts are {your_hosts(own)}; the line on top is not of one of them.", indent=""
        )
    mine = _is_host(writer)
    text = f"If {writer} is a host of yours, say so" if mine else "Say which hosts are yours"
    yield from page.sentences(f"{text}; its lines are believed then:", indent="")
    yield f"  postkeel headers --own {writer if mine else 'mx.example.org'} ..."


def _is_host(word: str) -> bool:
    try:
        own_of((word,))
    except ValueError:
        return False
    return True
