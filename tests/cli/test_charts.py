"""Charts and columns: what is drawn for which numbers, and that strangers' text keeps its room."""

from __future__ import annotations

import io

import pytest

from postkeel.cli.charts import bar, columns_of, cut, draws_blocks, fitted, sparkline, wrapped

BARS = {
    (0, True): "",
    (0.001, True): "▏",
    (0.5, True): "██",
    (0.53125, True): "██▏",
    (1, True): "████",
    (7, True): "████",
    (-1, True): "",
    (0.001, False): "#",
    (0.5, False): "##",
    (1, False): "####",
    (0, False): "",
}


@pytest.mark.parametrize(("given", "drawn"), BARS.items(), ids=str)
def test_bar(given, drawn):
    share, blocks = given
    assert bar(share, 4, blocks=blocks) == drawn


def test_sparkline():
    assert sparkline([0, 1, 50, 100], 100, blocks=True) == " ▁▅█"
    assert sparkline([0, 1, 50, 100], 100, blocks=False) == " .+@"
    assert sparkline([0, 0], 0, blocks=True) == "  "


HOSTILE = [
    "",
    "plain.example",
    "x" * 1000,
    "\x1b[31mred\x1b[0m",
    "a\nb\r\tc",
    "\u202egnp.exe",
    "日本語.example" * 4,
    "e\u0301" * 40,
    "\udc80\udcff" * 30,
    "\x00" * 200,
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("width", [1, 2, 9, 40])
def test_any_text_takes_its_columns_and_no_more(text, blocks, width):
    for right in (True, False):
        made = fitted(text, width, blocks=blocks, right=right)
        assert made.isprintable()
        assert columns_of(made) == width
        assert blocks or made.isascii()


def test_what_was_cut_shows_that_it_was():
    assert cut("abcdef", 6, blocks=True) == "abcdef"
    assert cut("abcdefg", 6, blocks=True) == "abcde…"
    assert cut("abcdefg", 6, blocks=False) == "abcde~"
    assert cut("日本語", 5, blocks=True) == "日本…"
    assert fitted("12", 4, blocks=True, right=True) == "  12"


def test_wrapped():
    text = "one two three four " + "x" * 30
    assert list(wrapped(text, 14, indent="  ", blocks=False)) == [
        "  one two",
        "    three four",
        "    xxxxxxxxx~",
    ]
    assert list(wrapped("", 14, indent="  ", blocks=False)) == []
    for hostile in HOSTILE:
        for line in wrapped(hostile, 30, indent="  ", blocks=True):
            assert line.isprintable()
            assert columns_of(line) <= 30


@pytest.mark.parametrize(
    ("encoding", "draws"), [("utf-8", True), ("ascii", False), ("latin-1", False)]
)
def test_blocks_are_for_encodings_that_have_them(encoding, draws):
    assert draws_blocks(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is draws
