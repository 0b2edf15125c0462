"""What commands that show many figures write their lines with."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator

from postkeel.cli.charts import draws_blocks, fitted, wrapped
from postkeel.cli.render import Paint

WIDTH = 80


class Page:
    """Colour where it is wanted, blocks or ASCII, and columns."""

    def __init__(self, arguments: Namespace) -> None:
        self.paint = Paint(arguments)
        self.blocks = draws_blocks(sys.stdout)

    def row(self, *cells: tuple[str, int], last: str = "", style: str = "") -> str:
        """Cells with their widths, numbers of negative width on the right; two blanks before."""
        shown = " ".join(
            fitted(text, abs(width), blocks=self.blocks, right=width < 0) for text, width in cells
        )
        line = f"  {shown} {last}".rstrip()
        return self.paint(style, line) if style else line

    def header(self, *cells: tuple[str, int]) -> str:
        return self.row(*cells, style="dim")

    def rest(self, number: int, what: str) -> Iterator[str]:
        if number > 0:
            yield self.row((f"and {number:,} more {what}", WIDTH - 2), style="dim")

    def sentences(self, text: str, indent: str = "  ") -> Iterator[str]:
        """A text as lines of the page's width."""
        yield from wrapped(text, WIDTH, indent=indent, blocks=self.blocks)
