"""Numbers of a spool: the ranges say what a set would, and gaps what the host accounts for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postkeel.reporting import fleet_numbers
from postkeel.reporting.fleet_numbers import Gap, Ledger, Numbers


def taken(*numbers, room=1000):
    made = Numbers(Ledger(room))
    for one in numbers:
        made.add(one)
    return made


def holes(made, *, from_one=False):
    return [(one.first, one.last, one.reported) for one in made.gaps(from_one=from_one)]


@given(st.lists(st.integers(1, 40)))
def test_it_is_a_set(numbers):
    made = Numbers(Ledger(1000))
    known = set()
    for one in numbers:
        assert made.add(one) is (one not in known)
        known.add(one)
    assert made.doubles == len(numbers) - len(known)
    assert made.untold == 0
    missing = {n for first, last, _ in holes(made) for n in range(first, last + 1)}
    assert missing == set(range(min(known, default=1), max(known, default=0))) - known
    assert (made.first, made.last) == (min(known, default=0), max(known, default=0))


@given(st.lists(st.integers(1, 40)))
def test_what_ranges_give_back_others_may_take(numbers):
    ledger = Ledger(1000)
    made = Numbers(ledger)
    for one in numbers:
        made.add(one)
    ranges = len(made.gaps(from_one=False)) + bool(numbers)
    assert ledger.left == 1000 - ranges


def test_numbers_in_order_take_one_range():
    ledger = Ledger(1)
    made = Numbers(ledger)
    for one in range(5, 100_000):
        assert made.add(one)
    assert (made.untold, made.doubles, ledger.left) == (0, 0, 0)


def test_what_is_before_the_first_is_missing_only_where_it_must_begin_with_one():
    assert holes(taken(5, 6)) == []
    assert holes(taken(5, 6), from_one=True) == [(1, 4, 0)]
    assert holes(taken(1, 2), from_one=True) == []
    assert holes(taken(), from_one=True) == []


def test_the_host_accounts_for_gaps_below_its_word_the_nearest_first():
    made = taken(1, 5, 9, 12, 20)
    made.dropped(12, 3)
    assert holes(made) == [(2, 4, 0), (6, 8, 1), (10, 11, 2), (13, 19, 0)]
    made.dropped(20, 100)
    assert holes(made) == [(2, 4, 3), (6, 8, 3), (10, 11, 2), (13, 19, 7)]


def test_its_word_accounts_for_no_gap_above_it():
    made = taken(1, 5, 9)
    made.dropped(1, 50)
    assert holes(made) == [(2, 4, 0), (6, 8, 0)]


def test_a_gap_knows_what_is_missing_and_what_nobody_explains():
    gap = Gap(first=17, last=25, reported=4)
    assert (gap.missing, gap.unexplained) == (9, 5)


def test_without_room_numbers_are_counted_as_not_checked():
    made = taken(1, 3, 5, room=2)
    assert (made.untold, holes(made)) == (1, [(2, 2, 0)])
    assert made.add(2)  # it fills a gap, and so needs no room
    assert made.add(5)
    assert (made.untold, holes(made)) == (1, [(4, 4, 0)])


def test_a_spool_takes_no_more_than_its_own_room(monkeypatch):
    monkeypatch.setattr(fleet_numbers, "MOST_RANGES", 2)
    made = taken(1, 3, 5, 7)
    assert made.untold == 2
    for number in (1, 3, 3, 2):
        made.dropped(number, 1)
    assert len(made._dropped) == 2
    assert sum(count for _, count in made._dropped) == 4
