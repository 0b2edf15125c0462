"""The fleet's page as a browser lays it out: charts have size, nothing overlaps or runs over."""

from __future__ import annotations

from datetime import timedelta

import pytest

import browser
from fleet_lines import START, Sender, example, octets
from postkeel.cli.fleet_html import page
from postkeel.reporting.fleet import Fleet

pytestmark = pytest.mark.skipif(bool(browser.why_not()), reason=browser.why_not())

BOXES = """
(() => {
  const box = (one) => {
    const at = one.getBoundingClientRect();
    return {kind: one.getAttribute("class") || one.tagName, x: at.x, y: at.y,
            width: at.width, height: at.height};
  };
  const of = (what) => [...document.querySelectorAll(what)].map(box);
  return {
    wide: document.documentElement.scrollWidth,
    tall: document.documentElement.scrollHeight,
    charts: of("svg"), columns: of("svg.course rect"), tiles: of(".tiles li"),
    blocks: of("body > *"), cells: of(".hosts td > div"),
    cut: [...document.querySelectorAll("td > div, p, h1, h2, li")]
      .filter((one) => one.scrollWidth > one.clientWidth + 1)
      .map((one) => one.textContent.slice(0, 40)),
    scripts: document.scripts.length,
    text: getComputedStyle(document.body).color,
    ground: getComputedStyle(document.documentElement).backgroundColor,
  };
})()
"""


def fleet_page(tmp_path, lines, hours=24):
    fleet = Fleet()
    fleet.read(octets(*lines))
    path = tmp_path / "fleet.html"
    path.write_text(page(fleet.summary(START + timedelta(hours=hours))), encoding="utf-8")
    return path


def hostile():
    """Hosts whose every text is long, without a blank in it, or markup."""
    for number, text in enumerate(
        ("x" * 250, "\u6f22" * 200, "<script>alert(1)</script>", "a " * 100, "\u202e\x1b[2J")
    ):
        sender = Sender(f"{number}{text}"[:255], f"{number:x}", instance=f"/{text}")
        told = dict.fromkeys(("profile", "mode", "postfix", "openssl", "postkeel"), text)
        yield sender.beat(**told)
        yield sender.drift("contested", text, text + "2", hours=1)
        sender.seq += 7
        yield sender.alarm(text, hours=1.5)
        sender.ahead = timedelta(days=2)
        yield sender.beat(2, **told)


@pytest.fixture(scope="module")
def tab():
    with browser.browser() as made:
        yield made


def overlap(boxes):
    """Pairs of boxes that share more than an edge."""
    return [
        (one, other)
        for place, one in enumerate(boxes)
        for other in boxes[place + 1 :]
        if min(one["x"] + one["width"], other["x"] + other["width"]) > max(one["x"], other["x"]) + 1
        and min(one["y"] + one["height"], other["y"] + other["height"])
        > max(one["y"], other["y"]) + 1
    ]


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("lines", [example, hostile], ids=["example", "hostile"])
def test_the_page(tab, tmp_path, lines, width, dark):
    path = fleet_page(tmp_path, lines())
    tab.open(path, width, dark=dark)
    seen = tab.evaluate(BOXES)
    assert tab.complaints == []
    assert [one for one in tab.requested if one != path.as_uri()] == []
    assert seen["scripts"] == 0
    assert seen["wide"] <= width
    assert seen["cut"] == []
    assert len(seen["charts"]) >= 4
    assert [one for one in seen["charts"] if one["width"] < 50 or one["height"] < 4] == []
    (course,) = [one for one in seen["charts"] if one["kind"] == "course"]
    assert course["height"] > 100
    assert course["width"] > 0.85 * min(width, 900)
    assert [one for one in seen["columns"] if one["height"] < 2 or one["width"] < 1] == []
    for kind in ("tiles", "blocks", "cells", "columns"):
        assert overlap(seen[kind]) == [], kind
    assert seen["text"] == ("rgb(255, 255, 255)" if dark else "rgb(0, 0, 0)")


def test_the_page_of_nothing(tab, tmp_path):
    path = fleet_page(tmp_path, ())
    tab.open(path, 400)
    seen = tab.evaluate(BOXES)
    assert (tab.complaints, seen["charts"]) == ([], [])
    assert seen["wide"] <= 400
