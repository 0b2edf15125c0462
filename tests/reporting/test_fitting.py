"""What fits, and which names "cut" has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.reporting.fitting import cut_names, fitted, fitted_beside, shortened


def write(name, value):
    return f"{name}={value};"


def test_what_was_cut_before_is_named_with_what_is_cut_now():
    fields = (("a", "1"), ("b", "2" * 500), ("c", "3"), ("cut", "a,rule_21"))
    shown = fitted(fields, 200, write, ("text",))
    assert shown.startswith("a=1;b=222")
    assert shown.endswith("[...];cut=text,a,rule_21,b,c;")
    assert len(shown) <= 200


def test_what_fits_stays_and_nothing_is_called_cut():
    fields = (("a", "1"), ("b", "2"))
    assert fitted(fields, 200, write) == "a=1;b=2;"
    assert fitted(((*fields, ("cut", "a"))), 200, write) == "a=1;b=2;cut=a;"


def test_without_room_there_is_nothing():
    assert fitted((("a", "1"),), 5, write) == ""
    assert fitted((("a", "1"),), -5, write) == ""
    assert shortened("a", "x" * 90, 10, write) == ""


NAMES = {
    "all": (["a", "b"], "a,b"),
    "just all": (["x" * 95, ""], "x" * 95 + ","),
    "more than fits": ([f"n{one:02}" for one in range(40)], ",...", 96),
    "more, as it was before": (["a", "...", "b"], "a,b,..."),
    "one that never fits": (["x" * 97], "..."),
}


@pytest.mark.parametrize("case", NAMES.values(), ids=NAMES)
def test_names_in_a_text_that_is_bounded(case):
    names, end, *_ = case
    shown = cut_names(names)
    assert shown.endswith(end)
    assert len(shown) <= 96
    assert [one for one in shown.split(",") if one not in (*names, "...", "")] == []


values = st.text(st.characters(blacklist_categories=["C", "Z"]), max_size=300)
sheets = st.lists(values, max_size=6).map(
    lambda texts: tuple((f"n{number}", text) for number, text in enumerate(texts))
)


@given(sheets, values, st.integers(-10, 900))
def test_it_always_fits(fields, text, room):
    for shown in (fitted(fields, room, write), fitted_beside(text, fields, room, write)):
        assert len(shown.encode()) <= max(room, 0)
