"""The spool of the central reporter: what it takes, hands out, lets go of and drops."""

import contextlib
import os
import sqlite3
import threading

import pytest

from postkeel.contract import Standing
from postkeel.database import PostkeelError
from postkeel_plugins.central import spool as spool_module
from postkeel_plugins.central import spool_contents
from postkeel_plugins.central.spool import Bounds, Spool
from postkeel_plugins.central.standing import read_standing
from spooling import (
    ERROR,
    INFO,
    NOON,
    WARNING,
    WIDE,
    Sent,
    at,
    drained,
    encode,
    message,
    spool_in,
    waiting,
)


@pytest.fixture
def spool(tmp_path):
    with spool_in(tmp_path) as made:
        yield made


def put(spool, *numbers, severity=WARNING):
    for number in numbers:
        spool.put(message(number, number, severity=severity), at(number))


def texts(spool):
    return [one.text for one in waiting(spool)]


def bounded(tmp_path, reports):
    return spool_in(tmp_path, Bounds(reports=reports, fold_seconds=0, per_minute=0))


class TestPutAndSettle:
    def test_what_was_put_is_handed_out_in_order_with_its_marks(self, spool):
        put(spool, 1, 2, 3)
        first, second, third = waiting(spool)
        assert [one.seq for one in (first, second, third)] == [1, 2, 3]
        assert first.text == "report 1"
        assert first.marks["spool"] == third.marks["spool"]
        assert len(bytes.fromhex(first.marks["spool"])) == 4

    def test_it_is_handed_out_after_a_number_and_as_many_as_asked_for(self, spool):
        put(spool, *range(1, 8))
        assert [one.seq for one in spool.unsent(2, 3)] == [3, 4, 5]
        assert spool.unsent(7, 3) == ()

    def test_what_was_settled_is_gone(self, spool):
        put(spool, 1, 2, 3)
        spool.settle([1, 3])
        assert texts(spool) == ["report 2"]

    def test_numbers_that_are_not_there_do_no_harm(self, spool):
        put(spool, 1)
        spool.settle([])
        spool.settle([1, 1, 17])
        assert spool.standing().waiting == 0
        put(spool, 2, 3)
        assert spool.standing().waiting == 2

    def test_no_number_is_used_twice(self, tmp_path):
        numbers = []
        for number in range(4):
            with spool_in(tmp_path) as spool:
                put(spool, number)
                numbers += [(one.marks["spool"], one.seq) for one in drained(spool)]
        assert [seq for _, seq in numbers] == [1, 2, 3, 4]
        assert len({identity for identity, _ in numbers}) == 1

    def test_the_same_message_is_taken_once(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1, 2, 1)
            drained(spool)
            put(spool, 2)
            assert texts(spool) == []
        with spool_in(tmp_path) as spool:
            put(spool, 1, 2, 3)
            assert texts(spool) == ["report 3"]

    def test_the_least_difference_makes_another_message(self, spool):
        first = message(1, 0)
        others = [
            message(1, 0.000001),
            message(1, 0, severity=ERROR),
            message(1, 0, outcome="failed"),
            message(1, 0, rule="another"),
        ]
        for one in (first, *others, first):
            spool.put(one, NOON)
        assert len(waiting(spool)) == 5

    def test_what_is_long_ago_is_forgotten(self, spool, monkeypatch):
        monkeypatch.setattr(spool_contents, "KNOWN_AGAIN", 3)
        monkeypatch.setattr(spool_contents, "_FORGET_EVERY", 2)
        put(spool, *range(10))
        with contextlib.closing(sqlite3.connect(spool.path)) as seen:
            assert seen.execute("SELECT count(*) FROM taken").fetchone() == (3,)
        put(spool, 9)
        assert len(waiting(spool)) == 10
        put(spool, 1)
        assert len(waiting(spool)) == 11

    def test_a_text_that_is_no_unicode_is_told_apart_all_the_same(self, spool):
        for rule in ("\udc80", "\udc81"):
            spool.put(message(1, rule=rule), NOON)
        assert len(waiting(spool)) == 2

    def test_an_encoder_that_fails_leaves_nothing_behind(self, tmp_path):
        def fragile(one, marks):
            if one.text == "report 2" and fails:
                raise KeyError("defect")
            return encode(one, marks)

        fails = True
        with Spool(str(tmp_path), WIDE, fragile) as spool:
            put(spool, 1)
            with pytest.raises(KeyError):
                put(spool, 2)
            put(spool, 3)
            fails = False
            put(spool, 2)
            assert [(one.seq, one.text) for one in waiting(spool)] == [
                (1, "report 1"),
                (2, "report 3"),
                (3, "report 2"),
            ]

    def test_after_a_start_of_the_system_it_has_another_id_and_begins_at_1(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1, 2, 3)
            spool.settle([1])
        with contextlib.closing(sqlite3.connect(spool.path)) as seen, seen:
            seen.execute("UPDATE spool SET started = started - 100")
        for _ in range(2):
            with spool_in(tmp_path) as spool:
                put(spool, 4, 5, 1)
                old, _, new, last = waiting(spool)
                assert [one.seq for one in (old, new, last)] == [2, 1, 2]
                assert old.marks["spool"] != new.marks["spool"] == last.marks["spool"]
                assert [one.seq for one in spool.unsent(2, 9)] == [3, 4, 5]
        with spool_in(tmp_path) as spool:
            spool.settle([2, 4])
            assert [one.seq for one in waiting(spool)] == [3, 2]


class TestThreads:
    def test_reports_are_put_and_sent_by_several_threads(self, spool):
        seen = []
        over = threading.Event()

        def send():
            while not (over.is_set() and not spool.standing().waiting):
                got = spool.unsent(0, 50)
                seen.extend(Sent(one.octets).text for one in got)
                spool.settle([one.seq for one in got])

        sender = threading.Thread(target=send)
        putters = [
            threading.Thread(target=put, args=(spool, *range(start, start + 100)))
            for start in (0, 100, 200)
        ]
        for thread in (sender, *putters):
            thread.start()
        for thread in putters:
            thread.join()
        over.set()
        sender.join()
        assert sorted(seen) == sorted(f"report {number}" for number in range(300))

    def test_a_disk_that_hangs_is_not_waited_for_without_end(self, spool, monkeypatch):
        monkeypatch.setattr(spool_module, "_PATIENCE", 0.01)
        with spool._held():
            caught = []

            def attempt():
                with pytest.raises(PostkeelError, match=r"has not answered for 0\.01 s"):
                    put(spool, 1)
                caught.append(True)

            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join()
        assert caught


class TestDurability:
    @pytest.fixture
    def synced(self, monkeypatch):
        """Which files were waited for; the real thing is done as well."""
        calls = []
        real = os.fdatasync
        monkeypatch.setattr(
            os,
            "fdatasync",
            lambda one: (calls.append(os.readlink(f"/proc/self/fd/{one}")), real(one)),
        )
        return calls

    def test_in_a_flood_the_disk_is_waited_for_before_anything_is_handed_out(
        self, spool, synced, monkeypatch
    ):
        put(spool, 1)
        spool.unsent(0, 9)
        assert synced == []
        monkeypatch.setattr(spool_module, "_QUIET_SECONDS", 3600)
        put(spool, 2, 3)
        spool.unsent(0, 9)
        spool.unsent(0, 9)
        assert synced == [f"{spool.path}-wal"]

    def test_one_after_a_while_waits_for_the_disk_itself(self, spool, synced, monkeypatch):
        monkeypatch.setattr(spool_module, "_QUIET_SECONDS", 0)
        put(spool, 1, 2)
        spool.unsent(0, 9)
        assert synced == []

    def test_without_a_log_there_is_nothing_to_wait_for(self, spool, synced):
        spool._sync()
        assert synced == []


class TestWhenFull:
    def test_the_least_severe_go_first_and_of_equals_the_newest(self, tmp_path):
        with bounded(tmp_path, 4) as spool:
            put(spool, 1, severity=ERROR)
            put(spool, 2, 3, severity=INFO)
            put(spool, 4, severity=WARNING)
            put(spool, 5, severity=WARNING)
            assert texts(spool) == ["report 1", "report 2", "report 4", "report 5"]
            put(spool, 6, 7, severity=ERROR)
            assert texts(spool) == ["report 1", "report 4", "report 6", "report 7"]
            put(spool, 8, severity=INFO)
            put(spool, 9, severity=ERROR)
            put(spool, 10, severity=ERROR)
            assert texts(spool) == ["report 1", "report 6", "report 7", "report 9"]
            assert spool.standing().dropped == 6

    def test_what_was_dropped_is_told_once_there_is_room(self, tmp_path):
        with bounded(tmp_path, 10) as spool:
            put(spool, *range(1, 24))
            assert len(waiting(spool)) == 10
            spool.settle([1])
            dropped = waiting(spool)[-1]
            assert (dropped.event, dropped.severity, dropped.dropped) == ("dropped", WARNING, 13)
            assert dropped.fields == {"v": "1", "event": "dropped"}
            assert dropped.seq == 24
            first, last = "2026-11-23T12:00:11.000000+00:00", "2026-11-23T12:00:23.000000+00:00"
            assert (dropped.marks["first"], dropped.marks["last"]) == (first, last)
            assert dropped.text == (
                f"13 reports were dropped from {first} to {last}: too many waited to be sent"
            )
            spool.settle([2, 3, 4])
            assert sum(one.dropped for one in waiting(spool)) == 13

    def test_the_number_of_one_that_was_dropped_is_not_used_again(self, tmp_path):
        with bounded(tmp_path, 1) as spool:
            put(spool, 1, 2)
        with bounded(tmp_path, 10) as spool:
            put(spool, 3)
            assert [one.seq for one in waiting(spool)] == [1, 3, 4]

    def test_it_is_told_after_a_restart_too(self, tmp_path):
        with bounded(tmp_path, 2) as spool:
            put(spool, 1, 2, 3)
        with bounded(tmp_path, 10) as spool:
            put(spool, 4)
            assert [one.text[:8] for one in waiting(spool)] == [
                "report 1",
                "report 2",
                "report 4",
                "1 report",
            ]

    def test_the_message_that_tells_is_never_dropped_itself(self, tmp_path):
        with bounded(tmp_path, 2) as spool:
            put(spool, 1, 2, 3)
            spool.settle([1, 2])
            put(spool, 4, 5, 6, severity=ERROR)
            assert [one.text[:8] for one in waiting(spool)] == ["1 report", "report 4"]
        with bounded(tmp_path, 0) as spool:
            put(spool, 7)
            assert [one.text[:8] for one in waiting(spool)] == ["1 report"]

    def test_a_bound_that_was_lowered_holds_from_the_next_report_on(self, tmp_path):
        with bounded(tmp_path, 10) as spool:
            put(spool, *range(1, 11))
        with bounded(tmp_path, 3) as spool:
            assert spool.standing().waiting == 10
            put(spool, 11, severity=ERROR)
            assert texts(spool) == ["report 1", "report 2", "report 11"]


class TestStanding:
    def test_nothing_is_said_of_a_spool_that_is_empty_or_is_not_there(self, tmp_path):
        assert read_standing(str(tmp_path)) == Standing()
        assert not os.listdir(tmp_path)
        with spool_in(tmp_path) as spool:
            assert spool.standing() == Standing()

    def test_it_says_what_waits_and_why_to_another_process_as_well(self, spool, tmp_path):
        put(spool, 1)
        assert spool.standing().said == ("1 report waits since 2026-11-23 12:00 UTC",)
        put(spool, *range(2, 1003))
        spool.note("tls://log1:6514", "connection refused\n")
        spool.note("tls://log2:6514", "no such host")
        said = (
            "1,002 reports wait since 2026-11-23 12:00 UTC;"
            " tls://log1:6514: connection refused\\n; tls://log2:6514: no such host"
        )
        assert read_standing(str(tmp_path)) == Standing(said=(said,), waiting=1002)
        assert spool.standing() == read_standing(str(tmp_path))

    def test_a_problem_is_said_until_it_is_over(self, spool):
        spool.note("tls://log1:6514", "connection refused")
        assert spool.standing().said == ("tls://log1:6514: connection refused",)
        spool.note("tls://log1:6514", "")
        assert spool.standing() == Standing()

    def test_problems_of_an_earlier_configuration_are_forgotten(self, tmp_path):
        with spool_in(tmp_path) as spool:
            spool.note("tls://log1:6514", "connection refused")
        with spool_in(tmp_path) as spool:
            assert spool.standing() == Standing()

    def test_it_says_what_was_dropped(self, tmp_path):
        with bounded(tmp_path, 1) as spool:
            put(spool, 1, 2)
            said = "1 report was dropped as too many waited, the last at 2026-11-23 12:00 UTC"
            assert spool.standing().said[1:] == (said,)
            put(spool, 3)
            said = "2 reports were dropped as too many waited, the last at 2026-11-23 12:00 UTC"
            assert spool.standing() == Standing(
                said=("1 report waits since 2026-11-23 12:00 UTC", said), waiting=1, dropped=2
            )
            drained(spool)
            drained(spool)
            assert spool.standing() == Standing(said=(said,), dropped=2)


class TestSize:
    def test_an_outage_that_is_over_takes_no_disk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(spool_contents, "_SLACK_PAGES", 16)
        with spool_in(tmp_path) as spool:
            put(spool, *range(2000))
            full = os.path.getsize(spool.path)
            drained(spool)
            put(spool, 3000)
            assert len(waiting(spool)) == 1
        assert os.path.getsize(spool.path) < full / 2

    def test_what_comes_and_goes_takes_neither_disk_nor_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr(spool_contents, "KNOWN_AGAIN", 2000)
        bounds = Bounds(reports=1000, fold_seconds=600, per_minute=0)
        with spool_in(tmp_path, bounds) as spool:
            turn(spool, 0, 8_000)
            before, taken = memory(), os.path.getsize(spool.path)
            turn(spool, 8_000, 20_000)
            assert memory() - before < 1024
            assert os.path.getsize(spool.path) < taken * 1.2
            assert os.path.getsize(f"{spool.path}-wal") < 4 * 1024 * 1024


def turn(spool, start, end):
    for number in range(start, end):
        spool.put(message(number, number / 1000), at(number / 1000))
        if number % 200 == 199:
            spool.settle([one.seq for one in spool.unsent(0, 200)])
            spool.unwind(at(number / 1000))


def memory():
    """KiB of this process that stay."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
