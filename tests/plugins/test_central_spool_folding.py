"""Repeats, floods and clocks that jump: fewer messages, and no count lost."""

import tempfile
from datetime import timedelta, timezone

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postkeel.reporting.message import Message
from postkeel_plugins.central import folding
from postkeel_plugins.central.spool import Bounds
from spooling import ERROR, INFO, NOON, WARNING, Sent, at, message, spool_in, waiting

FOLD = Bounds(reports=10_000, fold_seconds=600, per_minute=0)
RATE = Bounds(reports=10_000, fold_seconds=0, per_minute=5)
HOUR = 3600.0


@pytest.fixture
def spool(tmp_path):
    with spool_in(tmp_path, FOLD) as made:
        yield made


@pytest.fixture
def rated(tmp_path):
    with spool_in(tmp_path, RATE) as made:
        yield made


def same(spool, *moments, **what):
    """The same finding again, at these seconds."""
    for moment in moments:
        one = message(int(moment * 1000), moment, rule="smtpd-protocols", **what)
        spool.put(one, at(moment))


def told(spool):
    return [(one.seq, one.marks.get("repeated")) for one in waiting(spool)]


def stamp(seconds):
    return at(seconds).isoformat(timespec="microseconds")


class TestFolding:
    def test_the_first_goes_at_once_and_the_others_are_counted_until_the_window_ends(self, spool):
        same(spool, 0, 1, 5, 599)
        assert told(spool) == [(1, None)]
        assert spool.unwind(at(599)) == pytest.approx(1)
        assert spool.unwind(at(600)) is None
        first, summary = waiting(spool)
        assert first.marks.keys() == {"spool", "seq"}
        assert list(summary.marks.items())[1:] == [
            ("seq", "2"),
            ("repeated", "3"),
            ("first", stamp(1)),
            ("last", stamp(599)),
        ]
        assert summary.fields == {
            name: text for name, text in first.fields.items() if name != "seconds"
        }
        assert (summary.event, summary.severity) == (first.event, first.severity)
        assert summary.text == f"3 more from {stamp(1)} to {stamp(599)}: report 1000"

    def test_what_goes_on_is_told_once_in_each_window(self, spool):
        for moment in range(0, 3000, 10):
            same(spool, moment)
            spool.unwind(at(moment))
        assert told(spool) == [(1, None), (2, "59"), (3, "60"), (4, "60"), (5, "60")]

    def test_without_anybody_who_unwinds_the_next_report_ends_the_window(self, spool):
        same(spool, 0, 1, 601, 602)
        assert told(spool) == [(1, None), (2, "1")]
        assert spool.unwind(at(601 + 600)) is None
        assert told(spool) == [(1, None), (2, "1"), (3, "2")]

    def test_after_a_window_without_a_repeat_it_is_news_again(self, spool):
        same(spool, 0, 600)
        assert told(spool) == [(1, None), (2, None)]
        same(spool, 601, 601 + 2 * 600)
        assert told(spool) == [(1, None), (2, None), (3, "1"), (4, None)]

    @pytest.mark.parametrize(
        "what", [{"severity": ERROR}, {"event": "timer-due"}, {"outcome": "failed"}]
    )
    def test_another_thing_is_not_folded(self, spool, what):
        same(spool, 0)
        same(spool, 1, **what)
        assert told(spool) == [(1, None), (2, None)]

    @pytest.mark.parametrize("event", ["heartbeat", "digest"])
    def test_signs_of_life_are_neither_folded_nor_limited(self, tmp_path, event):
        bounds = Bounds(reports=100, fold_seconds=600, per_minute=1)
        with spool_in(tmp_path, bounds) as spool:
            same(spool, *range(5), event=event)
            assert told(spool) == [(number, None) for number in range(1, 6)]

    def test_a_repeat_that_is_offered_twice_counts_once(self, spool):
        same(spool, 0, 1, 1, 2, 1)
        spool.unwind(at(600))
        assert told(spool) == [(1, None), (2, "2")]

    def test_counts_survive_a_restart(self, tmp_path):
        for moment in range(5):
            with spool_in(tmp_path, FOLD) as spool:
                same(spool, moment)
        with spool_in(tmp_path, FOLD) as spool:
            assert spool.unwind(at(10)) == pytest.approx(590)
            spool.unwind(at(600))
            assert told(spool) == [(1, None), (2, "4")]

    def test_folding_that_is_switched_off_tells_what_is_owed(self, tmp_path):
        with spool_in(tmp_path, FOLD) as spool:
            same(spool, 0, 1, 2)
        bounds = Bounds(reports=100, fold_seconds=0, per_minute=0)
        with spool_in(tmp_path, bounds) as spool:
            same(spool, 3, 4)
            spool.unwind(at(600))
            assert told(spool) == [(1, None), (2, None), (3, None), (4, "2")]

    def test_times_of_another_zone_are_told_in_one(self, spool):
        same(spool, 0)
        zone = timezone(timedelta(hours=5))
        one = message(1, 5, rule="smtpd-protocols")
        moved = Message(
            time=one.time.astimezone(zone),
            severity=one.severity,
            event=one.event,
            fields=one.fields,
            text=one.text,
        )
        spool.put(moved, at(5))
        spool.put(one, at(5))
        spool.unwind(at(600))
        assert waiting(spool)[1].marks["last"] == stamp(5)
        assert told(spool) == [(1, None), (2, "1")]


class TestClock:
    @pytest.mark.parametrize("jump", [-HOUR, HOUR, -601, 86_400 * 400])
    def test_a_jump_ends_the_window_and_loses_nothing(self, spool, jump):
        same(spool, 0, 1, 2)
        assert spool.unwind(at(jump)) is None
        assert told(spool) == [(1, None), (2, "2")]
        same(spool, jump + 3)
        assert told(spool) == [(1, None), (2, "2"), (3, None)]

    def test_a_small_step_back_leaves_it_open_for_so_much_longer(self, spool):
        same(spool, 0, 1)
        assert spool.unwind(at(-300)) == pytest.approx(900)
        same(spool, -300)
        assert spool.unwind(at(599)) == pytest.approx(1)
        assert told(spool) == [(1, None)]

    def test_the_minute_begins_anew(self, rated):
        for number in range(20):
            rated.put(message(number), at(0))
        for number in range(20, 24):
            rated.put(message(number), at(-HOUR))
        assert len(told(rated)) == 5 + 1 + 4 - 1
        rated.unwind(at(-HOUR))
        assert sum(one.reports for one in waiting(rated)) == 24


class TestRate:
    def test_what_is_too_much_in_a_minute_is_told_by_kind_at_its_end(self, rated):
        for number in range(12):
            rated.put(message(number, number), at(number))
        for number in range(12, 15):
            rated.put(message(number, number, outcome="failed"), at(number))
        assert told(rated) == [(number, None) for number in range(1, 6)]
        assert rated.unwind(at(15)) == pytest.approx(45)
        rated.unwind(at(60))
        fixed, failed = waiting(rated)[5:]
        assert (fixed.marks["repeated"], failed.marks["repeated"]) == ("7", "3")
        assert (fixed.marks["first"], fixed.marks["last"]) == (stamp(5), stamp(11))
        assert fixed.fields == {
            "v": "1",
            "event": "paths-changed",
            "instance": "/etc/postfix",
            "outcome": "fixed",
        }
        assert fixed.text.endswith(": more than 5 reports in a minute: not told singly")
        assert rated.unwind(at(61)) is None

    def test_the_next_minute_has_an_allowance_of_its_own(self, rated):
        for number in range(14):
            rated.put(message(number, number * 10), at(number * 10))
        assert [repeated for _, repeated in told(rated)] == [None] * 10 + ["1"] + [None] * 2
        rated.unwind(at(200))
        assert sum(one.reports for one in waiting(rated)) == 14

    def test_errors_have_an_allowance_of_their_own(self, rated):
        for number in range(10):
            rated.put(message(number), NOON)
        for number in range(10, 17):
            rated.put(message(number, severity=ERROR), NOON)
        assert [one.severity for one in waiting(rated)] == [WARNING] * 5 + [ERROR] * 5

    def test_the_summary_is_as_severe_as_the_worst_of_them(self, rated):
        for number in range(5):
            rated.put(message(number), NOON)
        for severity in (INFO, WARNING, INFO):
            rated.put(message(9 + severity, severity, severity=severity), NOON)
        rated.unwind(at(60))
        assert waiting(rated)[-1].severity == WARNING

    def test_repeats_do_not_use_it_up(self, tmp_path):
        bounds = Bounds(reports=100, fold_seconds=600, per_minute=2)
        with spool_in(tmp_path, bounds) as spool:
            same(spool, *range(10))
            spool.put(message(1), at(10))
            assert told(spool) == [(1, None), (2, None)]


def test_a_flood_of_different_reports_opens_no_more_windows_than_there_may_be(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(folding, "MOST_WINDOWS", 50)
    monkeypatch.setattr(folding, "_AT_ONCE", 20)
    with spool_in(tmp_path, FOLD) as spool:
        same(spool, 0, 0.001)
        for number in range(1, 200):
            spool.put(message(number, number / 100), at(number / 100))
        assert (2, "1") not in told(spool)
        assert [repeated for _, repeated in told(spool)].count("1") == 1
        rows = spool._act(
            lambda contents: contents._connection.execute("SELECT count(*) FROM windows").fetchone()
        )
        assert rows[0] <= 50


def test_many_windows_end_at_once(spool):
    for start in (0, 1):
        for number in range(450):
            spool.put(message(number, start, rule=f"rule-{number}"), at(start))
    assert spool.unwind(at(600)) is None
    assert [repeated for _, repeated in told(spool)] == [None] * 450 + ["1"] * 450


class Counting(RuleBasedStateMachine):
    """What is put = what is sent singly, what summaries say, and what is told as dropped."""

    @initialize(
        reports=st.sampled_from([1, 3, 12, 10_000]),
        fold_seconds=st.sampled_from([0, 60, 600]),
        per_minute=st.sampled_from([0, 2, 10]),
    )
    def begin(self, reports, fold_seconds, per_minute):
        self.directory = tempfile.TemporaryDirectory()
        self.bounds = Bounds(reports=reports, fold_seconds=fold_seconds, per_minute=per_minute)
        self.spool = spool_in(self.directory.name, self.bounds)
        self.now = 0.0
        self.taken = {}
        self.arrived = []
        self.numbers = set()

    @rule(
        thing=st.integers(0, 4),
        severity=st.sampled_from([ERROR, WARNING, INFO]),
        event=st.sampled_from(["paths-changed", "heartbeat"]),
        times=st.integers(1, 6),
    )
    def put(self, thing, severity, event, times):
        for _ in range(times):
            number = len(self.taken)
            one = message(number, self.now, rule=f"r{thing}", severity=severity, event=event)
            self.spool.put(one, at(self.now))
            self.taken[number] = one

    @rule(data=st.data())
    def put_again(self, data):
        if self.taken:
            number = data.draw(st.sampled_from(sorted(self.taken)))
            self.spool.put(self.taken[number], at(self.now))

    @rule(seconds=st.sampled_from([1, 59, 61, 599, 601, 86_400, -1, -599, -86_400]))
    def clock(self, seconds):
        self.now += seconds

    @rule(most=st.integers(1, 20))
    def send(self, most):
        sent = [Sent(one.octets) for one in self.spool.unsent(0, most)]
        self.spool.settle([one.seq for one in sent])
        self.arrived += sent

    @rule()
    def unwind(self):
        due = self.spool.unwind(at(self.now))
        assert due is None or 0 < due <= 2 * max(60, self.bounds.fold_seconds)

    @rule()
    def restart(self):
        self.spool.close()
        self.spool = spool_in(self.directory.name, self.bounds)

    @invariant()
    def no_more_waits_than_may(self):
        if hasattr(self, "spool"):
            told = sum(one.event == "dropped" for one in waiting(self.spool))
            assert self.spool.standing().waiting - told <= self.bounds.reports

    def teardown(self):
        if not hasattr(self, "spool"):
            return
        self.now += 100_000
        self.spool.unwind(at(self.now))
        while self.spool.standing().waiting:
            self.send(1000)
        assert self.spool.unwind(at(self.now)) is None
        singly = sum(one.reports for one in self.arrived)
        dropped = sum(one.dropped for one in self.arrived)
        assert singly + dropped == len(self.taken)
        assert dropped == self.spool.standing().dropped
        numbers = [one.seq for one in self.arrived]
        assert len(set(numbers)) == len(numbers)
        gaps = max(numbers, default=0) - len(numbers)
        assert gaps <= dropped
        self.spool.close()
        self.directory.cleanup()


Counting.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestCounting = Counting.TestCase
