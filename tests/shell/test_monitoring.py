"""Monitors with a real loop, log file and record store, and plugins through the real registry."""

import os
import sqlite3
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from postkeel.contract import (
    Absent,
    Card,
    CheckNow,
    Depth,
    EventKind,
    Finding,
    Interest,
    LogLines,
    Need,
    Option,
    Outcome,
    Records,
    RemoveParameter,
    Severity,
    Side,
    Table,
    Timer,
    hookimpl,
)
from postkeel.core.configuration import Configuration
from postkeel.core.model import Waiver
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell import monitor
from postkeel.shell.loop import Loop
from postkeel.shell.monitoring import Monitoring
from postkeel.shell.records import RecordStore

DIRECTORY = "/etc/postfix"
OTHER = "/etc/postfix-out"
WORDS = Table(name="words", key=("word",), counters=("count",), folds="word")


def need(kind, subject=DIRECTORY):
    return Need(kind=kind, subject=subject)


class Words:
    """Counts lines, each a word. Its state is the list of all words, so nothing escapes it.

    "alarm" raises one, "check" asks for one, "raise" and "misfit" are defects.
    `seen` is what each call of observe was given.
    """

    def __init__(self):
        self.seen = []
        self.timers = (Timer(name="tick", every=3600),)
        self.needs = ()
        self.keeps_always = False

    @hookimpl
    def keel_card(self):
        days = Option(name="kept_days", default=90, help="days", least=1)
        return Card(
            name="words", summary="words", side=Side.MONITOR, options=(days,), tables=(WORDS,)
        )

    @hookimpl
    def keel_interests(self, instance, facts):
        where = facts.get(need("postfix", instance))
        log = LogLines(file=where) if isinstance(where, str) else None
        return Interest(timers=self.timers, needs=self.needs, log=log)

    @hookimpl
    def keel_observe(self, event, instance, facts):
        self.seen.append((event, dict(facts)))
        state = facts[need("state", instance)] or []
        new = event.batch.text.decode().split() if event.batch else []
        if "raise" in new:
            raise ValueError("not today")
        hour = int(event.time.timestamp()) // 3600 * 3600 - 3600 * 24 * 10
        add = {(hour, word): (new.count(word),) for word in new}
        if "misfit" in new:
            add = {("now", "misfit"): (1,)}
        if new or self.keeps_always:
            yield Records(add={"words": add}, state=[*state, *new])
        if "alarm" in [*state, *new]:
            yield Finding(
                rule="alarming",
                severity=Severity.ERROR,
                depth=Depth.OBSERVED,
                parameter="p",
                where="default",
                effective="alarm",
                wanted="none",
                why="because",
                remedy=(RemoveParameter(name="p"),),
            )
        if "check" in new:
            yield CheckNow(reason="a word said so")


class Heard:
    """What the agent is told."""

    def __init__(self):
        self.reports = []
        self.checks = []
        self.complaints = []
        self.counted = []
        self.refreshed = 0

    def heard(self, plugin, report):
        assert plugin == "words"
        self.reports.append(report)

    def check_now(self, directory, reason):
        self.checks.append((directory, reason))

    def complain(self, error):
        self.complaints.append(str(error))

    def kept(self, directory, records):
        self.counted.append((directory, records.add))

    def refresh(self):
        self.refreshed += 1


class Bench:
    """One agent's monitors after another, on the same state and log."""

    def __init__(self, path):
        self.state = path / "state" / "monitor"
        self.log = path / "mail.log"
        self.log.touch()
        self.errors = []
        self.loop = Loop(self.errors.append)
        self.plugin = Words()
        self.heard = Heard()
        self.monitoring = None

    def start(self, directory=DIRECTORY, **settings):
        """A new agent, which knows where the instance logs."""
        if self.monitoring:
            self.monitoring.close()
        configuration = Configuration(state_directory=str(self.state.parent), **settings)
        found = [Found(name="words", source="test", load=lambda: self.plugin)]
        self.registry = Registry(found, configuration)
        assert self.registry.rejected == []
        self.monitoring = Monitoring(self.loop, configuration, self.registry, self.heard)
        self.learn(directory)

    def start_and_count(self, word):
        """A new agent that has counted this word."""
        self.start()
        self.append(word)
        self.until(lambda: self.counted() == {word: 1})

    def learn(self, directory=DIRECTORY, log=None):
        self.monitoring.learn(directory, {need("postfix", directory): log or str(self.log)})

    def append(self, *words):
        with self.log.open("a") as file:
            file.write("".join(f"{word}\n" for word in words))

    def until(self, condition, seconds=5.0):
        """Turn the loop until it is so."""
        deadline = time.monotonic() + seconds

        def look():
            if condition() or time.monotonic() > deadline:
                self.loop.stop()

        self.loop.repeat("look of the test", look, every=0.005)
        self.loop.run_until_stopped()
        self.loop.cancel("look of the test")
        assert condition()

    def until_batches(self, number):
        self.until(lambda: len(self.batches) == number)

    def turn(self, seconds=0.1):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def counted(self, directory=DIRECTORY):
        with RecordStore(str(self.state), read_only=True) as store:
            return {
                word: count for _, word, count in store.rows("words", WORDS, instance=directory)
            }

    def kept(self, directory=DIRECTORY):
        with RecordStore(str(self.state), read_only=True) as store:
            return store.kept("words", directory)

    @property
    def batches(self):
        return [event.batch.text.decode().split() for event, _ in self.plugin.seen if event.batch]

    def end_with_all_else_due(self):
        """Close in a turn of the loop in which timers are called too, after that."""
        ended = []

        def end():
            self.monitoring.close()
            ended.append(True)

        def block():
            time.sleep(0.1)
            self.loop.wake(end)

        self.loop.wake(block)
        self.until(lambda: ended)

    @contextmanager
    def somebody_else_writing(self):
        """No commit succeeds within."""
        other = sqlite3.connect(self.state / "records.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr("postkeel.database._PATIENCE", 0.01)
    made = Bench(tmp_path)
    yield made
    if made.monitoring:
        made.monitoring.close()
    assert made.loop.due_times() == {}
    made.loop.close()
    assert made.errors == []


def test_the_state_comes_back_at_each_event_and_after_a_restart(bench):
    bench.start_and_count("one")
    bench.append("two")
    bench.until(lambda: len(bench.counted()) == 2)
    bench.start()
    (started, first), (_, second), (_, third), (again, fourth) = bench.plugin.seen
    assert [one[need("state")] for one in (first, second, third, fourth)] == [
        None,
        None,
        ["one"],
        ["one", "two"],
    ]
    assert started.kind is again.kind is EventKind.STARTED
    assert bench.heard.complaints == []


def test_each_instance_has_a_state_and_counts_of_its_own(bench):
    bench.start_and_count("one")
    bench.start(OTHER)
    assert bench.plugin.seen[-1][1][need("state", OTHER)] is None
    bench.until(lambda: bench.counted(OTHER) == {"one": 1})
    assert bench.counted() == {"one": 1}


def test_each_line_is_counted_once_over_restarts(bench):
    for _ in range(5):
        bench.append(*["word"] * 7)
        bench.start()
        bench.until_batches(len(bench.batches) + 1)
        bench.append("word", "word")
    bench.until(lambda: bench.counted() == {"word": 45})
    assert len(bench.kept().state) == 45


@pytest.mark.parametrize("kind", [EventKind.LOG_LINES, EventKind.TIMER, EventKind.STARTED])
def test_what_could_not_be_kept_is_read_again_from_the_kept_position(bench, kind):
    bench.start_and_count("before")
    if kind is EventKind.TIMER:
        bench.plugin.timers = (Timer(name="tick", every=0.05),)
    bench.plugin.keeps_always = kind is not EventKind.LOG_LINES
    with bench.somebody_else_writing():
        if kind is EventKind.STARTED:
            bench.start()
        elif kind is EventKind.TIMER:
            bench.learn()
        bench.append("after")
        bench.until(lambda: bench.heard.complaints)
        bench.turn(0.2)
    bench.until(lambda: bench.counted() == {"before": 1, "after": 1})
    bench.plugin.keeps_always = False
    bench.plugin.timers = ()
    bench.turn()
    assert bench.counted() == {"before": 1, "after": 1}
    told = [row[-1] for _, add in bench.heard.counted for rows in add.values() for row in rows]
    assert sorted(told) == ["after", "before"]  # what was not kept is not told of
    assert bench.kept().state == ["before", "after"]
    (complaint,) = bench.heard.complaints
    assert "database is locked" in complaint
    assert bench.monitoring.followed(DIRECTORY) == (f"words follows {bench.log}",)


def test_a_state_that_cannot_be_had_is_not_taken_for_none(bench):
    bench.start_and_count("one")
    bench.monitoring.close()
    path = bench.state / "records.sqlite3"
    hidden = path.rename(path.with_name("hidden"))
    path.mkdir()
    before = len(bench.plugin.seen)
    bench.start()
    bench.turn(0.2)
    assert len(bench.plugin.seen) == before
    assert len(bench.heard.complaints) == 1
    path.rmdir()
    hidden.rename(path)
    bench.until(lambda: len(bench.plugin.seen) > before)
    assert bench.plugin.seen[before][1][need("state")] == ["one"]


def test_a_plugin_that_raises_loses_those_lines_and_that_is_said(bench):
    bench.start_and_count("alarm")
    reports = len(bench.heard.reports)
    bench.append("raise", "one")
    bench.until(lambda: len(bench.heard.complaints) == 2)
    assert bench.heard.complaints == [
        "plugin words: keel_observe: ValueError: not today",
        f"plugin words: 2 lines of {bench.log} are not counted",
    ]
    # What stood is neither repeated nor over.
    assert len(bench.heard.reports) == reports
    bench.append("two")
    bench.until(lambda: bench.counted() == {"alarm": 1, "two": 1})
    bench.start()
    bench.turn()
    assert bench.batches == [["alarm"], ["raise", "one"], ["two"]]


@pytest.mark.parametrize(
    ("word", "named"), [("raise", "keel_observe: ValueError"), ("misfit", "no row of it")]
)
def test_after_three_failures_in_a_row_nothing_more_is_lost(bench, word, named):
    bench.start()
    for number in range(3):
        bench.append(word)
        bench.until_batches(number + 1)
    bench.append("one", "two")
    gone = "words is quarantined: nothing is followed"
    bench.until(lambda: bench.monitoring.followed(DIRECTORY) == (gone,))
    assert named in bench.heard.complaints[0]
    assert "plugin words is quarantined after 3 failures in a row" in bench.heard.complaints
    assert len(bench.heard.complaints) == 3
    bench.learn()
    bench.turn()
    assert bench.monitoring.followed(DIRECTORY) == (gone,)
    assert len(bench.batches) == 3
    bench.start()
    bench.until(lambda: bench.counted() == {"one": 1, "two": 1})


def test_records_that_fit_do_away_with_earlier_misfits(bench):
    bench.start()
    for number, word in enumerate(("misfit", "misfit", "one", "misfit", "misfit", "two")):
        bench.append(word)
        bench.until_batches(number + 1)
    bench.until(lambda: bench.counted() == {"one": 1, "two": 1})


def test_the_log_that_the_facts_name_is_followed_and_each_from_its_own_position(bench, tmp_path):
    other = tmp_path / "other.log"
    other.write_text("theirs\n")
    bench.start_and_count("ours")
    refreshed = bench.heard.refreshed
    bench.learn(log=str(other))
    assert bench.monitoring.followed(DIRECTORY) == (f"words follows {other}",)
    assert bench.heard.refreshed > refreshed
    bench.until(lambda: bench.counted() == {"ours": 1, "theirs": 1})
    bench.append("ours")
    bench.turn()
    assert bench.counted()["ours"] == 1
    bench.learn()
    bench.until(lambda: bench.counted() == {"ours": 2, "theirs": 1})


def test_a_round_that_could_not_read_the_instance_ends_nothing(bench):
    bench.start()
    bench.monitoring.learn(DIRECTORY, {need("postfix"): Absent(reason="postconf is gone")})
    bench.append("one")
    bench.until(lambda: bench.counted() == {"one": 1})


def test_another_log_asked_for_while_waiting_to_try_again(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.3)
    other = tmp_path / "other.log"
    other.write_text("theirs\n")
    bench.start_and_count("ours")
    with bench.somebody_else_writing():
        bench.append("ours")
        bench.until(lambda: bench.heard.complaints)
        asked = len(bench.plugin.seen)
        bench.learn(log=str(other))
        bench.turn()
        assert len(bench.plugin.seen) == asked
    bench.until(lambda: bench.counted() == {"ours": 1, "theirs": 1})
    bench.turn()
    assert bench.counted() == {"ours": 1, "theirs": 1}


def test_a_log_that_cannot_be_read_is_said_once_and_read_when_it_can_be(bench):
    bench.log.unlink()
    bench.log.mkdir()
    bench.start()
    bench.until(lambda: bench.heard.complaints)
    (said,) = bench.monitoring.followed(DIRECTORY)
    assert said == f"words: {bench.heard.complaints[0]}"
    assert str(bench.log) in said
    (bench.log.parent / "another file").touch()
    bench.turn()
    bench.log.rmdir()
    bench.append("one")
    bench.until(lambda: bench.counted() == {"one": 1})
    assert len(bench.heard.complaints) == 1
    assert bench.monitoring.followed(DIRECTORY) == (f"words follows {bench.log}",)


def test_nothing_happens_after_the_end(bench):
    bench.plugin.timers = (Timer(name="tick", every=0.01),)
    bench.start()
    bench.until(lambda: len(bench.plugin.seen) > 2)
    bench.append("one")
    bench.end_with_all_else_due()
    seen = len(bench.plugin.seen)
    bench.turn()
    assert len(bench.plugin.seen) == seen
    assert bench.loop.due_times() == {}
    assert not [name for name in os.listdir("/proc/self/fd") if "records.sqlite3" in _target(name)]


def test_nothing_is_tried_again_after_the_end(bench):
    bench.start_and_count("one")
    with bench.somebody_else_writing():
        bench.append("two")
        bench.until(lambda: bench.heard.complaints)
        seen = len(bench.plugin.seen)
        bench.end_with_all_else_due()
    bench.turn()
    assert len(bench.plugin.seen) == seen
    assert bench.counted() == {"one": 1}


def test_a_plugin_is_asked_nothing_while_its_state_cannot_be_kept(bench, monkeypatch):
    monkeypatch.setattr(monitor, "RETRY_SECONDS", 0.3)
    bench.plugin.timers = (Timer(name="tick", every=0.02),)
    bench.start_and_count("one")
    with bench.somebody_else_writing():
        bench.append("two")
        bench.until(lambda: bench.heard.complaints)
        seen = len(bench.plugin.seen)
        bench.turn()
        assert len(bench.plugin.seen) == seen
    bench.until(lambda: bench.counted() == {"one": 1, "two": 1})
    bench.until(lambda: bench.plugin.seen[-1][0].kind is EventKind.TIMER)


def _target(name):
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return ""


def test_timers_that_are_not_asked_for_any_more_end(bench):
    bench.start()
    assert f"{DIRECTORY} words tick" in bench.loop.due_times()
    bench.plugin.timers = (Timer(name="tock", every=3600),)
    bench.learn()
    names = [name for name in bench.loop.due_times() if name.startswith(DIRECTORY)]
    assert names == [f"{DIRECTORY} words tock"]


def test_findings_are_reported_without_remedy_under_the_waivers(bench):
    waiver = Waiver(rule="alarming", reason="known", owner="me", until=date(2999, 1, 1))
    bench.start()
    bench.append("alarm", "check")
    bench.until(lambda: bench.heard.checks == [(DIRECTORY, "a word said so")])
    report = bench.heard.reports[-1]
    assert (report.outcome, report.cause) == (Outcome.AUDITED, "seen in the mail log")
    assert report.judged[0].finding.remedy == ()
    assert report.event.batch is None
    assert report.event.time.utcoffset() == timedelta()
    assert 0 <= report.seconds < 5
    bench.start(waivers=(waiver,))
    assert bench.heard.reports[-1].outcome is Outcome.WAIVED
    bench.start(
        waivers=(Waiver(rule="alarming", reason="known", owner="me", until=date(2020, 1, 1)),)
    )
    assert bench.heard.reports[-1].outcome is Outcome.AUDITED
    assert bench.heard.checks == [(DIRECTORY, "a word said so")]


@pytest.mark.parametrize(("days", "left"), [(5, {}), (15, {"old": 1})])
def test_the_option_says_how_long_records_are_kept(bench, days, left):
    bench.start(plugins={"words": {"kept_days": days}})
    bench.append("old")  # the plugin says it is of ten days ago
    bench.until(lambda: bench.kept().state == ["old"])
    assert bench.counted() == left


def test_rows_are_given_while_they_are_asked_for_and_as_they_are_now(bench):
    one, unknown = need("records", "words one"), need("records", "nothing one")
    bench.plugin.needs = (one, unknown)
    bench.start()
    bench.append("one", "two")
    bench.until(lambda: bench.counted() == {"one": 1, "two": 1})
    bench.append("one")
    bench.until(lambda: bench.counted() == {"one": 2, "two": 1})
    bench.plugin.needs = (one,)
    bench.append("three")
    bench.until(lambda: len(bench.counted()) == 3)
    first, second, third = (facts for event, facts in bench.plugin.seen if event.batch)
    assert (first[one], [row[1:] for row in second[one]]) == ((), [("one", 1)])
    assert [row[1:] for row in third[one]] == [("one", 2)]
    assert first[unknown] == Absent(reason="plugin words has no table 'nothing'")
    assert unknown not in third


def test_the_secret_is_made_once_and_for_its_owner_only(bench):
    bench.plugin.needs = (need("secret"),)
    bench.start()
    secret = bench.plugin.seen[-1][1][need("secret")]
    assert isinstance(secret, bytes)
    assert len(secret) == 32
    path = bench.state / "secret"
    assert path.read_bytes() == secret
    assert path.stat().st_mode & 0o777 == 0o600
    bench.start()
    assert bench.plugin.seen[-1][1][need("secret")] == secret


def test_a_secret_that_cannot_be_had_is_asked_for_again(bench):
    bench.plugin.needs = (need("secret"),)
    (bench.state / "secret").mkdir(parents=True)
    bench.start()
    assert isinstance(bench.plugin.seen[-1][1][need("secret")], Absent)
    (bench.state / "secret").rmdir()
    bench.append("one")
    bench.until(lambda: bench.batches)
    assert isinstance(bench.plugin.seen[-1][1][need("secret")], bytes)


def test_facts_that_no_round_brings_are_gathered_but_not_for_each_batch(bench):
    gathered = []

    @hookimpl
    def keel_gather(need):
        gathered.append(need.kind)
        return len(gathered) if need.kind == "weather" else None

    bench.plugin.keel_gather = keel_gather
    bench.plugin.needs = (need("postfix"), need("state"), need("weather"))
    bench.start()
    bench.append("one")
    bench.until(lambda: len(bench.batches) == 1)
    bench.append("two")
    bench.until(lambda: len(bench.batches) == 2)
    assert gathered == ["weather"]
    bench.plugin.timers = (Timer(name="tick", every=0.05),)
    bench.learn()
    bench.until(lambda: len(bench.plugin.seen) > 3)
    assert gathered == ["weather", "weather"]
    assert [facts[need("weather")] for _, facts in bench.plugin.seen] == [1, 1, 1, 2]


def test_a_batch_carries_the_zone_of_the_host(bench):
    bench.start()
    bench.append("one")
    bench.until(lambda: bench.batches)
    event = bench.plugin.seen[-1][0]
    assert event.time.utcoffset() == datetime.now(UTC).astimezone().utcoffset()
