"""Pages for a browser: one file each, nothing loaded from anywhere, no scripts.

Security: what is shown was written by strangers. Each text goes through `shown`; the page's
policy forbids scripts and every foreign address besides.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from postkeel import __version__
from postkeel.core.text import one_line

Cell = str | int

_MOST: Final = 100
_LONGEST: Final = 300
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = """\
:root { color-scheme: light dark; --bad: #c0392b; --line: #8885; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8f80; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
caption, th { text-align: left; font-weight: 600; }
td, th { padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; vertical-align: top; }
p { overflow-wrap: anywhere; } th { overflow-wrap: normal; } .n { text-align: right; }
td.n { white-space: nowrap; overflow-wrap: normal; }
.bad { color: var(--bad); } .dim { opacity: .7; }
svg { max-width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; }
"""


def document(title: str, style: str, body: Iterable[str]) -> Iterator[str]:
    """The lines of a whole page; style is added to what all pages share."""
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>{shown(title)}</title><style>{_STYLE}{style}</style></head><body>"
    yield from body
    yield f'<p class="dim">postkeel {shown(__version__)}</p></body></html>'


def write(page: str) -> None:
    """The page alone on standard output, in UTF-8 whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(page.encode("utf-8", "backslashreplace"))


def shown(text: str) -> str:
    """Any text as one that shows itself and is no markup."""
    return html.escape(one_line(text, _LONGEST))


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    is_bad: Callable[[str], bool] = lambda _: False,
) -> Iterator[str]:
    """Numbers on the right; at most a hundred rows, and how many more there are."""
    found = list(rows)
    if not found:
        return
    on_the_right = [' class="n"' if _is_number(one) else "" for one in found[0]]
    named = zip(on_the_right, heads, strict=True)
    cells = "".join(f"<th{side}>{shown(one)}</th>" for side, one in named)
    yield f"<table><caption>{shown(caption)}</caption><thead><tr>{cells}</tr></thead><tbody>"
    for row in found[:_MOST]:
        yield f"<tr>{''.join(_cell(one, is_bad) for one in row)}</tr>"
    yield "</tbody></table>"
    if len(found) > _MOST:
        yield f'<p class="dim">and {len(found) - _MOST:,} more</p>'


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int) or cell.endswith("%")


def _cell(cell: Cell, is_bad: Callable[[str], bool]) -> str:
    if isinstance(cell, int):
        return f'<td class="n">{cell:,}</td>'
    if _is_number(cell):
        return f'<td class="n">{shown(cell)}</td>'
    return f'<td class="bad">{shown(cell)}</td>' if is_bad(cell) else f"<td>{shown(cell)}</td>"
