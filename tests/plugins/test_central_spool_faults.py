"""The spool on full and broken disks, and killed at any moment: nothing is lost in silence."""

import contextlib
import glob
import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest

from postkeel.database import DamagedError, PostkeelError
from postkeel_plugins.central.reserve import OCTETS
from postkeel_plugins.central.spool import Bounds
from postkeel_plugins.central.standing import read_standing
from spooling import NOON, WIDE, Sent, at, drained, message, spool_in, waiting

FOLD = Bounds(reports=10_000, fold_seconds=600, per_minute=0)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")


def put(spool, *numbers, rule=""):
    for number in numbers:
        spool.put(message(number, number, rule=f"{rule}{number}" if rule else ""), at(number))


def asides(directory):
    return [
        one
        for one in glob.glob(f"{directory}/central.sqlite3.corrupt-*")
        if not one.endswith(("-wal", "-shm"))
    ]


def overwrite(path, start, octets):
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(octets)


def execute(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        for one in statements:
            connection.execute(one)


def replaced(make):
    def replace(path):
        os.unlink(path)
        make(path)

    return replace


DAMAGES = {
    "header": lambda path: overwrite(path, 0, b"\xa5" * 100),
    "all": lambda path: overwrite(path, 0, b"\xa5" * os.path.getsize(path)),
    "text": lambda path: overwrite(path, 0, b"no" * os.path.getsize(path)),
    "middle": lambda path: overwrite(path, 4096, b"\xa5" * (os.path.getsize(path) - 4096)),
    "zeros": lambda path: overwrite(path, 4096, b"\0" * (os.path.getsize(path) - 4096)),
    "cut": lambda path: os.truncate(path, 10_000),
    "link": replaced(lambda path: os.symlink("/etc/hostname", path)),
    "dangling link": replaced(lambda path: os.symlink("nowhere", path)),
    "directory": replaced(os.mkdir),
    "pipe": replaced(os.mkfifo),
    "a table is gone": lambda path: execute(path, "DROP TABLE reports"),
    "no tables": lambda path: execute(path, "PRAGMA user_version = 0"),
    "a number is a text": lambda path: execute(path, "UPDATE spool SET untold = 'many'"),
    "an id is a number": lambda path: execute(path, "UPDATE spool SET id = x'ff'"),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES)
    @pytest.mark.parametrize("first", ["put", "unsent", "settle", "standing", "unwind", "note"])
    def test_a_new_spool_is_begun_and_says_so(self, tmp_path, damage, first):
        with spool_in(tmp_path) as spool:
            put(spool, *range(1, 60))
            old = waiting(spool)[0].marks["spool"]
        DAMAGES[damage](spool.path)
        acts = {
            "put": lambda: put(spool, 100),
            "unsent": lambda: spool.unsent(0, 9),
            "settle": lambda: spool.settle([1, 2, 3]),
            "standing": lambda: spool.standing(),
            "unwind": lambda: spool.unwind(NOON),
            "note": lambda: spool.note("tls://log1:6514", ""),
        }
        with spool_in(tmp_path) as spool:
            acts[first]()
            put(spool, 101)
            told, *others = waiting(spool)
            (aside,) = asides(tmp_path)
            assert (told.event, told.severity, told.seq) == ("dropped", 4, 1)
            assert told.fields == {"v": "1", "event": "dropped"}
            assert "count" not in told.marks
            assert told.marks["spool"] != old
            assert told.text.endswith(f"it was moved to {aside} and a new one begun")
            assert others[-1].text == "report 101"
            assert spool.generation == 1
        said = f"the spool was damaged: what waited in it is in {aside}"
        assert read_standing(str(tmp_path)).said[-1] == said

    def test_it_is_said_until_the_damaged_file_is_taken_away(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1)
        overwrite(spool.path, 0, b"x" * 100)
        with spool_in(tmp_path) as spool:
            drained(spool)
            assert len(spool.standing().said) == 1
            os.unlink(*asides(tmp_path))
            assert spool.standing().said == ()

    def test_numbers_of_the_damaged_spool_settle_nothing_of_the_new_one(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1, 2)
            before = spool.generation
            spool.close()
            overwrite(spool.path, 0, b"x" * 100)
            put(spool, 3, 4)
            spool.settle([1, 2, 3], before)
            assert len(waiting(spool)) == 3

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE reports SET octets = 17",
            "UPDATE windows SET message = 'x'",
            "UPDATE windows SET message = '[1, 2, 3]'",
            "UPDATE windows SET message = replace(hex(zeroblob(50000)), '00', '[')",
            "UPDATE windows SET last = 'soon'",
            "UPDATE windows SET began = 'soon'",
            "UPDATE windows SET began = x'ff00', seconds = x'ff00'",
            "UPDATE windows SET first = cast(x'ff00' AS TEXT)",
        ],
    )
    def test_a_row_that_is_not_as_it_was_written_is_damage(self, tmp_path, statement):
        with spool_in(tmp_path, FOLD) as spool:
            spool.put(message(1, rule="same"), NOON)
            spool.put(message(2, rule="same"), NOON)
        execute(spool.path, statement)
        with spool_in(tmp_path, FOLD) as spool:
            spool.unwind(at(1000))
            sent = waiting(spool)
            if "first" in statement:  # shown as it is, in one printable line
                assert len(sent) == 2
            else:
                assert [one.event for one in sent] == ["dropped"]

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE spool SET untold = 5, last = 'soon'", "UPDATE spool SET untold = 5, last = 17"],
    )
    def test_what_was_dropped_is_told_by_rows_that_are_as_they_were_written(
        self, tmp_path, statement
    ):
        with spool_in(tmp_path) as spool:
            put(spool, 1)
        execute(spool.path, statement)
        with spool_in(tmp_path) as spool:
            spool.settle([1])
            assert [one.event for one in waiting(spool)] == ["dropped"]
            assert len(asides(tmp_path)) == 1

    def test_garbage_in_the_log_costs_what_was_in_it_alone(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1)
        with spool_in(tmp_path) as spool:
            put(spool, 2)
            log = os.path.getsize(f"{spool.path}-wal")
        with open(f"{spool.path}-wal", "wb") as file:
            file.write(b"\xa5" * log)
        with spool_in(tmp_path) as spool:
            put(spool, 3)
            assert "report 3" in [one.text for one in waiting(spool)]

    def test_one_who_only_looks_says_that_it_is_damaged(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1)
        overwrite(spool.path, 0, b"x" * 100)
        (said,) = read_standing(str(tmp_path)).said
        assert said == f"{spool.path}: file is not a database"
        assert not asides(tmp_path)

    def test_a_spool_of_a_later_version_is_left_alone(self, tmp_path):
        with spool_in(tmp_path) as spool:
            put(spool, 1)
        execute(spool.path, "PRAGMA user_version = 2")
        with spool_in(tmp_path) as spool, pytest.raises(PostkeelError, match="newer postkeel"):
            put(spool, 2)
        assert not asides(tmp_path)

    def test_where_it_cannot_be_moved_that_is_the_error(self, tmp_path, monkeypatch):
        with spool_in(tmp_path) as spool:
            put(spool, 1)
        overwrite(spool.path, 0, b"x" * 100)

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "rename", refuse)
        with spool_in(tmp_path) as spool:
            with pytest.raises(PostkeelError, match="damaged, and cannot be moved aside"):
                put(spool, 2)
            monkeypatch.undo()
            put(spool, 2)
            assert [one.event for one in waiting(spool)] == ["dropped", "paths-changed"]

    def test_damage_that_comes_back_at_once_is_an_error(self, tmp_path):
        def damaged(*_):
            raise DamagedError("central.sqlite3: broken again")

        with spool_in(tmp_path) as spool, pytest.raises(DamagedError, match="broken again"):
            spool._act(damaged)


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk):
    with open(disk / "ballast", "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def put_until_full(spool, start):
    """The number of the first report that could not be put."""
    for number in range(start, start + 10_000):
        try:
            put(spool, number, rule="x" * 700)
        except PostkeelError:
            return number
    pytest.fail("the disk is never full")


@root_only
class TestFullDisk:
    def test_put_is_refused_and_nothing_is_lost(self, small_disk):
        with spool_in(small_disk) as spool:
            put(spool, 1)
            fill(small_disk)
            next_one = put_until_full(spool, 2)
            again = put_until_full(spool, next_one)
            assert [one.text for one in waiting(spool)] == [
                f"report {number}" for number in range(1, again)
            ]
            os.unlink(small_disk / "ballast")
            put(spool, *range(again, again + 50))
            sent = drained(spool)
            assert [one.text for one in sent] == [
                f"report {number}" for number in range(1, again + 50)
            ]
            assert [one.seq for one in sent] == list(range(1, again + 50))

    @pytest.mark.parametrize("earlier", [0, 30, 450, 900])
    def test_sending_goes_on_and_makes_room(self, small_disk, earlier):
        with spool_in(small_disk) as spool:
            put(spool, 0, *range(10_000, 10_000 + earlier), rule="x" * 700)
            assert os.path.getsize(f"{spool.path}-reserve") == OCTETS
            fill(small_disk)
            refused = put_until_full(spool, 1)
            sent = 0
            while part := spool.unsent(0, 200):
                spool.settle([one.seq for one in part])
                sent += len(part)
            assert sent == refused + earlier
            assert not os.path.exists(f"{spool.path}-reserve") or earlier == 0
            os.unlink(small_disk / "ballast")
            put(spool, refused, rule="x" * 700)
            assert os.path.getsize(f"{spool.path}-reserve") == OCTETS
            assert len(drained(spool)) == 1

    def test_a_process_that_begins_on_a_full_disk_sends_all_the_same(self, small_disk):
        with spool_in(small_disk) as spool:
            put(spool, *range(100), rule="x" * 700)
        fill(small_disk)
        with spool_in(small_disk) as spool:
            with pytest.raises(PostkeelError):
                put(spool, 1000)
            assert len(drained(spool)) == 100
            assert spool.unsent(0, 9) == ()

    def test_without_the_reserve_it_is_settled_later(self, small_disk):
        with spool_in(small_disk) as spool:
            put(spool, *range(400), rule="x" * 700)
            spool._reserve.give()
            fill(small_disk)
            put_until_full(spool, 400)
            numbers = [one.seq for one in spool.unsent(0, 10_000)]
            with pytest.raises(PostkeelError, match="full"):
                spool.settle(numbers)
            spool.note("tls://log1:6514", "connection refused")
            assert spool.standing().waiting == len(numbers)
            os.unlink(small_disk / "ballast")
            spool.settle(numbers)
            assert spool.standing().waiting == 0

    def test_a_read_only_disk_is_an_error(self, small_disk):
        with spool_in(small_disk) as spool:
            put(spool, 1)
            spool.close()
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
            with pytest.raises(PostkeelError, match=r"central\.sqlite3: .*(readonly|unable)"):
                put(spool, 2)
            with pytest.raises(PostkeelError):
                spool.unsent(0, 9)
            subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
            put(spool, 2)
            assert len(waiting(spool)) == 2


VICTIM = """
import os, sys
from spooling import *
directory, start = sys.argv[1], int(sys.argv[2])
bounds = Bounds(reports=10_000, fold_seconds=1, per_minute=0)
spool = spool_in(directory, bounds)
for number in range(start, 1_000_000):
    rule = "same" if number % 3 else ""
    spool.put(message(number, number / 100, rule=rule), at(number / 100))
    os.write(1, b"put %d\\n" % number)
    if number % 7 == 0:
        spool.unwind(at(number / 100))
        some = spool.unsent(0, 5)
        for one in some:
            os.write(1, b"sent " + one.octets + b"\\n")
        spool.settle([one.seq for one in some])
"""


def test_killed_at_any_moment_it_loses_nothing_and_uses_no_number_twice(tmp_path):
    chance = random.Random(5)  # noqa: S311  the same moments each time
    told, start = [], 0
    for _ in range(25):
        command = [sys.executable, "-c", VICTIM, str(tmp_path / "spool"), str(start)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as victim:
            lines = [victim.stdout.readline() for _ in range(chance.randrange(1, 400))]
            victim.send_signal(signal.SIGKILL)
            lines += victim.stdout.readlines()
        told += [one for one in lines if one.endswith(b"\n")]
        # As the agent does: what it was not told of as taken is put once more.
        start = max(int(one.split()[1]) for one in told if one.startswith(b"put ")) + 1
    bounds = Bounds(reports=10_000, fold_seconds=1, per_minute=0)
    with spool_in(tmp_path / "spool", bounds) as spool:
        put(spool, start)
        spool.unwind(at(1_000_000))
        rest = drained(spool)
    sent = [Sent(one[5:]) for one in told if one.startswith(b"sent ")] + rest
    by_number = {one.seq: one for one in sent}
    assert all(by_number[one.seq].text == one.text for one in sent)
    assert sum(one.reports for one in by_number.values()) == start + 1
    assert sorted(by_number) == list(range(1, len(by_number) + 1))
    assert len({one.marks["spool"] for one in sent}) == 1


class TestReserve:
    def test_a_directory_in_its_place_does_no_harm(self, tmp_path):
        os.mkdir(tmp_path / "central.sqlite3-reserve")
        with spool_in(tmp_path, WIDE) as spool:
            put(spool, 1)
            assert len(drained(spool)) == 1
