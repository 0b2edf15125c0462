"""Timers: scripts of moments and what is due at each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.schedule import Schedule


def armed(*timers, draw=lambda: 0.0, now=1000.0):
    schedule = Schedule(draw)
    for name, every, splay in timers:
        schedule.repeat(name, every=every, splay=splay, now=now)
    return schedule


SCRIPTS = {
    "not before its time": [(1099.9, ())],
    "at its time, once": [(1100.0, ("check",)), (1100.0, ())],
    "again a period later": [(1100.0, ("check",)), (1199.9, ()), (1200.0, ("check",))],
    "late: armed anew from then": [(1150.0, ("check",)), (1249.9, ()), (1250.0, ("check",))],
    "a suspend is one event": [(99000.0, ("check",)), (99000.1, ()), (99100.0, ("check",))],
    "a clock that jumps back costs one period": [(10.0, ()), (110.0, ("check",))],
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_what_is_due(script):
    schedule = armed(("check", 100.0, 0.0))
    for moment, names in script:
        assert schedule.take_due(moment) == names


def test_several_come_in_the_order_of_their_times():
    schedule = armed(("slow", 90.0, 0.0), ("quick", 10.0, 0.0))
    assert schedule.take_due(1200.0) == ("quick", "slow")


def test_splay_is_drawn_anew_each_time():
    draws = iter([0.0, 0.5, 0.9])
    schedule = armed(("check", 100.0, 20.0), draw=lambda: next(draws))
    assert schedule.due_times() == {"check": 1100.0}
    schedule.take_due(1100.0)
    assert schedule.next_due() == 1210.0
    schedule.take_due(1210.0)
    assert schedule.next_due() == 1328.0


def test_asking_again_for_the_same_timer_does_not_put_it_off():
    schedule = armed(("check", 100.0, 0.0))
    schedule.repeat("check", every=100.0, splay=0.0, now=1090.0)
    assert schedule.next_due() == 1100.0
    schedule.repeat("check", every=50.0, splay=0.0, now=1090.0)
    assert schedule.next_due() == 1140.0


def test_nothing_is_due_without_timers():
    schedule = armed(("check", 100.0, 0.0))
    schedule.cancel("check")
    schedule.cancel("never there")
    assert schedule.next_due() is None
    assert schedule.take_due(1e9) == ()


@pytest.mark.parametrize(("every", "splay"), [(0, 0), (-1, 0), (float("nan"), 0), (1, -1)])
def test_refuses_a_timer_that_would_never_rest(every, splay):
    with pytest.raises(ValueError, match="timer 'check'"):
        armed(("check", every, splay))


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    st.floats(0.5, 1e4),
    st.floats(0, 100),
    st.floats(0, 0.999),
)
def test_however_the_clock_runs_a_timer_is_never_due_twice_nor_lost(moments, every, splay, drawn):
    schedule = armed(("check", every, splay), draw=lambda: drawn, now=moments[0])
    for moment in moments:
        schedule.take_due(moment)
        assert schedule.take_due(moment) == ()
        assert moment < schedule.next_due() <= moment + every + splay
