"""The charts of the fleet's page: SVG that stretches to any width, its words in HTML beside it.

Text within a drawing would shrink with it on a small screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from postkeel.cli.html_page import shown
from postkeel.cli.wording import counted, minute, percent, stretch_length, unit_of
from postkeel.reporting.fleet_values import FleetSummary, State, Stretch

_MOST_COLUMNS: Final = 96
_MOST_VERSIONS: Final = 8
_HIGH: Final = 100
_KINDS: Final = (("corrected", "corrected"), ("left open", "open"), ("alarms", "alarm"))

STYLE: Final = """\
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; padding: 0; margin: 1.5rem 0 1rem; }
.tiles li { list-style: none; flex: 1 1 6.5rem; padding: .5rem .8rem; border-radius: .5rem;
  border: 1px solid var(--line); border-left: .4rem solid var(--its); }
.tiles b { display: block; font-size: 1.8rem; line-height: 1.2; } .none { opacity: .45; }
.bar { display: block; width: 100%; height: .8rem; border-radius: .4rem; }
.course { display: block; width: 100%; height: 9rem; border-bottom: 1px solid var(--line); }
.ends, .key { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; font-size: .85rem; }
.ends { justify-content: space-between; opacity: .7; }
.key span::before { content: ""; display: inline-block; width: .8em; height: .8em;
  margin-right: .4em; border-radius: .2em; background: var(--its); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 0 2rem; }
.grid h3 { margin: 1rem 0 .2rem; font-size: 1rem; } .grid p { margin: .5rem 0 .1rem;
  display: flex; justify-content: space-between; gap: 1rem; font-size: .9rem; }
.grid p span { overflow-wrap: anywhere; } .grid .bar { height: .45rem; }
.corrected { --its: #2a78b5; } .open { --its: #c8402f; } .alarm { --its: #d9962b; }
.rest { fill: var(--line); } .fill { fill: var(--its, #2a78b5); }
"""


def tiles(summary: FleetSummary) -> Iterator[str]:
    """How many are how, and the shares of the whole as a bar."""
    counts = summary.counts
    yield '<ul class="tiles">'
    for state, count in counts.items():
        none = "" if count else " none"
        yield f'<li class="{state.value}{none}"><b>{count:,}</b>{shown(state.value)}</li>'
    yield "</ul>"
    total = sum(counts.values())
    if not total:
        return
    said = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
    yield _drawing("bar", total, 1, f"states of the fleet: {said}")
    at = 0
    for state in State:
        if counts[state]:
            text = f"{state.value}: {counts[state]:,}, {percent(counts[state], total)}"
            yield _column(state.value, (at, counts[state]), (0, 1), text)
        at += counts[state]
    yield "</svg>"


def course(summary: FleetSummary) -> Iterator[str]:
    """Reports of corrections, of what was left open and of alarms, as columns over time."""
    length, parts = _columns(summary)
    top = max((sum(_heights(one)) for one in parts), default=0)
    if not top:
        yield "<p>Nothing was corrected, left open or seen in the mail log.</p>"
        return
    title = f"reports by {unit_of(length)}, at most {top:,}"
    yield '<p class="key">'
    yield from (f'<span class="{kind}">{shown(name)}</span>' for name, kind in _KINDS)
    yield f'<i class="dim">{shown(title)}</i></p>'
    yield _drawing("course", len(parts), _HIGH, title)
    for place, one in enumerate(parts):
        yield from _stack(place, one, top)
    yield "</svg>"
    end = parts[-1].begin + length
    yield f'<p class="ends"><span>{shown(minute(parts[0].begin))}</span>'
    yield f"<span>{shown(minute(end))} UTC</span></p>"


def _heights(one: Stretch) -> tuple[int, int, int]:
    return (one.corrected, one.left_open, one.alarms)


def _stack(place: int, one: Stretch, top: int) -> Iterator[str]:
    base = 0.0
    for (name, kind), count in zip(_KINDS, _heights(one), strict=True):
        high = _HIGH * count / top
        base += high
        if count:
            text = f"{minute(one.begin)}: {counted(count, 'report')} {name}"
            yield _column(kind, (place + 0.06, 0.88), (_HIGH - base, high), text)


def _columns(summary: FleetSummary) -> tuple[int, list[Stretch]]:
    """The stretches added up until they fit, those without a report among them."""
    if not summary.stretches or summary.first is None or summary.last is None:
        return summary.width, []
    known = [one.begin for one in summary.stretches]
    first, last = known[0], max(known[-1], int(summary.last))
    length = stretch_length(first, last, summary.width, _MOST_COLUMNS)
    sums = {one: [0, 0, 0] for one in range(first // length, last // length + 1)}
    for one in summary.stretches:
        into = sums[one.begin // length]
        into[:] = map(sum, zip(into, _heights(one), strict=True))
    return length, [
        Stretch(begin=place * length, corrected=corrected, left_open=left_open, alarms=alarms)
        for place, (corrected, left_open, alarms) in sums.items()
    ]


def versions(found: dict[str, list[tuple[str, int]]]) -> Iterator[str]:
    """A bar for each version of each kind."""
    yield '<div class="grid">'
    for kind, known in found.items():
        total = sum(count for _, count in known)
        yield f"<div><h3>{shown(kind)}</h3>"
        others = sum(count for _, count in known[_MOST_VERSIONS:])
        for version, count in [*known[:_MOST_VERSIONS], *([("others", others)] if others else [])]:
            yield f"<p><span>{shown(version)}</span><b>{count:,}</b></p>"
            yield _drawing("bar", total, 1, f"{version}: {percent(count, total)}")
            yield f'<rect class="rest" width="{total}" height="1"/>'
            yield f'<rect class="fill" width="{count}" height="1"/></svg>'
        yield "</div>"
    yield "</div>"


def _drawing(kind: str, wide: int, high: int, label: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {wide} {high}" preserveAspectRatio="none" role="img"'
        f' aria-label="{shown(label)}">'
    )


def _column(kind: str, across: Sequence[float], down: Sequence[float], text: str) -> str:
    x, width = across
    y, height = down
    return (
        f'<rect class="{kind} fill" x="{x:.3f}" y="{y:.2f}" width="{width:.3f}"'
        f' height="{height:.2f}"><title>{shown(text)}</title></rect>'
    )
