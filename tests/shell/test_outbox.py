"""Reports of the correcting side on their way to the other one: written, kept, read, bounded."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from outboxes import files, filled, report
from postkeel.contract import (
    Depth,
    Finding,
    Judged,
    Outcome,
    Severity,
)
from postkeel.core.errors import PostkeelError
from postkeel.shell import outbox, outbox_files
from postkeel.shell.outbox import Outbox
from postkeel.shell.outbox_files import LONGEST_LINE, line_of
from postkeel.shell.outbox_reader import OutboxReader


def reader(state, position=None):
    return OutboxReader(str(state / "outbox"), position)


def rest(one):
    """All that this reader still gives."""
    found = []
    while taken := one.take():
        found.append(taken)
    return found


def causes(one):
    return [taken.report.cause for taken in rest(one)]


@pytest.fixture
def small(monkeypatch):
    """Files of three reports, three of them."""
    octets = len(line_of(100, report("0")))
    monkeypatch.setattr(outbox, "SEGMENT_OCTETS", 3 * octets + 20)
    monkeypatch.setattr(outbox, "SEGMENTS_AT_MOST", 3)


def test_reports_come_as_they_were_but_for_their_diff(tmp_path):
    finding = Finding(
        rule="own",
        severity=Severity.ERROR,
        depth=Depth.EFFECTIVE,
        parameter="mail_name",
        where="main.cf:1",
        effective="\udcff\n\u2028}\x00",
        wanted='"',
        why="",
    )
    given = report("1", judged=(Judged(finding=finding, outcome=Outcome.FIXED),))
    box = filled(tmp_path)
    box.append(given)
    box.append(report("2", diff="- password = geheim"))
    found = rest(reader(tmp_path))
    assert found[0].report == given
    assert found[1].report.diff == ""
    assert "geheim" not in files(tmp_path)[0].read_text()


def test_numbers_go_on_over_restarts_and_files(tmp_path, small):
    for number in range(8):
        filled(tmp_path, number)  # a process of its own each time
    assert len(files(tmp_path)) == 3
    lines = [json.loads(line) for one in files(tmp_path) for line in one.read_text().splitlines()]
    assert [one["number"] for one in lines] == [*range(1, 9)]
    assert len({one.name.split("-")[0] for one in files(tmp_path)}) == 1
    assert [taken.lost for taken in rest(reader(tmp_path))] == [0] * 8


def test_two_writers_take_turns_and_no_number_is_used_twice(tmp_path, small):
    agent, command = Outbox(str(tmp_path)), Outbox(str(tmp_path))
    for number in range(4):
        agent.append(report(f"agent {number}"))
        agent.append(report(f"agent again {number}"))
        command.append(report(f"command {number}"))
    found = rest(reader(tmp_path))
    assert [one.report.cause for one in found[-3:]] == ["agent 3", "agent again 3", "command 3"]
    assert [one.position.number for one in found] == [*range(13 - len(found), 13)]
    assert (found[0].lost, {one.lost for one in found[1:]}) == (0, {0})


def test_a_writer_that_holds_the_lock_for_long_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox, "_PATIENCE", 0.05)
    filled(tmp_path, 1)
    with open(tmp_path / "outbox.lock") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PostkeelError, match="Resource temporarily unavailable: it is tried"):
            filled(tmp_path, 2)
    filled(tmp_path, 3)
    assert causes(reader(tmp_path)) == ["1", "3"]
    assert stat.S_IMODE((tmp_path / "outbox.lock").stat().st_mode) == 0o600


def test_others_may_not_read_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        filled(tmp_path, 1)
        os.umask(0o777)
        (tmp_path / "outbox").chmod(0o2750)
        files(tmp_path)[0].unlink()
        filled(tmp_path, 2)
    finally:
        os.umask(before)
    assert stat.S_IMODE(files(tmp_path)[0].stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory to a group")
def test_the_directory_gives_its_group_to_the_files(tmp_path):
    (tmp_path / "outbox").mkdir()
    os.chown(tmp_path / "outbox", 0, 65534)
    (tmp_path / "outbox").chmod(0o2750)
    filled(tmp_path, 1)
    assert files(tmp_path)[0].stat().st_gid == 65534


def test_the_oldest_file_goes_and_the_numbers_show_it(tmp_path, small):
    box = filled(tmp_path, 1)
    one = reader(tmp_path)
    assert causes(one) == ["1"]
    for number in range(2, 30):
        box.append(report(number))
    assert len(files(tmp_path)) == 3
    found = rest(one)
    assert sum(taken.lost for taken in found) == 29 - 1 - len(found)
    assert found[-1].report.cause == "29"
    fresh = rest(reader(tmp_path))
    assert [taken.lost for taken in fresh] == [0] * len(fresh)  # for a first reader none is lost


def test_what_was_torn_does_not_merge_with_what_comes(tmp_path):
    filled(tmp_path, 1)
    path = files(tmp_path)[0]
    with path.open("ab") as file:
        file.write(line_of(2, report("torn"))[:-30])
    one = reader(tmp_path)
    assert causes(one) == ["1"]
    filled(tmp_path, 2, 3)
    found = rest(one)
    assert [taken.report.cause for taken in found] == ["2", "3"]
    assert [taken.lost for taken in found] == [0, 0]
    assert causes(reader(tmp_path)) == ["1", "2", "3"]


def test_a_full_disk_costs_no_report_and_no_number(tmp_path, monkeypatch):
    box = filled(tmp_path, 1)
    whole, write = [], os.write

    def full(descriptor, octets):
        if whole:
            raise OSError(28, "No space left on device")
        whole.append(1)
        return write(descriptor, octets[:50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(PostkeelError, match=r"outbox: a report cannot be kept .* No space left"):
        box.append(report(2))
    monkeypatch.setattr(os, "write", write)
    assert causes(reader(tmp_path)) == ["1"]
    box.append(report(2))
    assert [taken.position.number for taken in rest(reader(tmp_path))] == [1, 2]
    assert files(tmp_path)[0].read_bytes().count(b"\n") == 2


def test_a_disk_that_does_not_keep_spends_the_number(tmp_path, monkeypatch):
    """Somebody may have read the line: another report must not get its number."""
    box = filled(tmp_path, 1)

    def broken(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(PostkeelError):
            box.append(report(2))
    box.append(report(2))
    found = rest(reader(tmp_path))
    assert [taken.position.number for taken in found] == [1, 2, 3]


WRITER = """
import sys
sys.path[:0] = {path!r}
from outboxes import report
from postkeel.shell.outbox import Outbox
box = Outbox({state!r})
number = {first}
while True:
    box.append(report(number))
    print(number, flush=True)
    number += 1
"""


def test_a_writer_that_is_killed_loses_nothing_that_it_had_kept(tmp_path):
    first, kept = 1, []
    for _ in range(5):
        source = WRITER.format(path=sys.path, state=str(tmp_path), first=first)
        with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
            lines = [process.stdout.readline() for _ in range(40)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        kept += [int(line) for line in lines if line.endswith(b"\n")]
        first = kept[-1] + 1
    found = rest(reader(tmp_path))
    assert [taken.position.number for taken in found] == [*range(1, len(found) + 1)]
    assert not {*kept} - {int(taken.report.cause) for taken in found}
    assert len(kept) >= 200


def test_a_reader_goes_on_behind_its_position(tmp_path, small):
    box = filled(tmp_path, *range(1, 8))
    one = reader(tmp_path)
    for number in range(1, 8):
        taken = one.take()
        assert taken.report.cause == str(number)
        following = rest(reader(tmp_path, taken.position))
        assert [each.report.cause for each in following] == [*map(str, range(number + 1, 8))]
        assert [each.lost for each in following] == [0] * len(following)
    for number in range(8, 30):
        box.append(report(number))
    found = rest(reader(tmp_path, taken.position))
    assert found[0].lost == found[0].position.number - 8 > 0


def test_what_a_power_cut_took_away_is_replaced_and_read(tmp_path):
    filled(tmp_path, 1, 2, 3)
    position = rest(reader(tmp_path))[-1].position
    path = files(tmp_path)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    one = reader(tmp_path, position)
    assert causes(one) == []  # nothing is new yet
    filled(tmp_path, "another 3", 4)
    assert causes(one) == ["another 3", "4"]
    assert causes(reader(tmp_path, position)) == ["another 3", "4"]


def test_a_new_series_is_read_from_its_beginning(tmp_path, small):
    filled(tmp_path, *range(5))
    one = reader(tmp_path)
    position = rest(one)[-1].position
    for path in files(tmp_path):
        path.unlink()
    assert causes(one) == []
    filled(tmp_path, "new", "newer")
    for each in (one, reader(tmp_path, position)):
        found = rest(each)
        assert [taken.report.cause for taken in found] == ["new", "newer"]
        assert [taken.lost for taken in found] == [0, 0]
    filled(tmp_path, *range(30))
    assert rest(reader(tmp_path, position))[0].lost > 0


def test_a_writer_whose_files_were_taken_away_goes_on(tmp_path):
    box = filled(tmp_path, 1, 2)
    one = reader(tmp_path)
    assert causes(one) == ["1", "2"]
    files(tmp_path)[0].unlink()
    box.append(report(3))
    assert [(taken.report.cause, taken.lost) for taken in rest(one)] == [("3", 0)]
    assert [taken.position.number for taken in rest(reader(tmp_path))] == [3]


def test_a_newest_file_that_cannot_be_read_begins_another_series(tmp_path):
    filled(tmp_path, 1)
    path = files(tmp_path)[0]
    path.unlink()
    path.symlink_to("/nowhere")
    filled(tmp_path, 2)
    assert len(files(tmp_path)) == 2
    one = reader(tmp_path)
    assert causes(one) == ["2"]
    assert one.refused == {path.name: f"{path}: is a symbolic link, and is not followed"}


def strange(path):
    path.write_bytes(os.urandom(100_000))


def a_pipe(path):
    os.mkfifo(path)


def a_directory(path):
    path.mkdir()


def of_somebody_else(path):
    path.write_bytes(line_of(1, report("forged")))
    os.chown(path, 12345, 12345)


def without_end(path):
    path.write_bytes(b"x" * (LONGEST_LINE + 10))


def deep(path):
    path.write_bytes(b'{"number": 1, "report": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}\n")


def huge_numbers(path):
    path.write_bytes(
        b'{"number": 1, "report": {"seconds": ' + b"9" * 10_000 + b"}}\n"
        b'{"number": 9999999999999999999999, "report": {}}\n'
    )


def no_reports(path):
    path.write_bytes(
        b'\n{}\n{"number": 0, "report": {}}\n{"number": 1, "report": {}}\n'
        b'{"number": 2, "report": {"instance": 7}}\n[]\n\xff\xfe\n\x00\x00\n'
    )


def huge(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    "put",
    [
        *(strange, a_pipe, a_directory, without_end, deep, huge_numbers, no_reports, huge),
        pytest.param(
            of_somebody_else,
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs another owner"),
        ),
    ],
)
def test_whatever_lies_there_what_root_writes_is_read(tmp_path, put):
    (tmp_path / "outbox").mkdir()
    for name in ("000000000001-000000000000001.jsonl", "another-name", "..jsonl"):
        put(tmp_path / "outbox" / name)
    one = reader(tmp_path)
    assert causes(one) == []
    filled(tmp_path, "of root's")
    found = causes(one)
    assert found == ["of root's"]


@pytest.mark.parametrize("octets", [70_000, LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 9])
def test_a_line_that_is_too_long_hides_nothing_behind_it(tmp_path, octets):
    (tmp_path / "outbox").mkdir()
    path = tmp_path / "outbox" / "000000000001-000000000000001.jsonl"
    path.write_bytes(line_of(1, report(1)) + b"x" * octets + b"\n" + line_of(2, report(2)))
    assert causes(reader(tmp_path)) == ["1", "2"]


def test_an_outbox_that_may_not_be_read_is_an_error_that_says_so(tmp_path, as_nobody):
    with pytest.raises(PostkeelError, match="of the correcting side cannot be read"):
        reader(tmp_path).take()
    filled(tmp_path, 1)
    tmp_path.chmod(0o755)
    with as_nobody:
        if os.geteuid() != 0:
            with pytest.raises(PostkeelError, match="Permission denied: its group must be"):
                reader(tmp_path).take()


def test_an_outbox_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "outbox").write_text("")
    with pytest.raises(PostkeelError, match="kept for the monitor: Not a directory: it is tried"):
        filled(tmp_path, 1)


def test_a_file_that_cannot_be_begun_leaves_no_descriptor_behind(tmp_path, monkeypatch, small):
    box = filled(tmp_path, 1, 2, 3)
    before = os.listdir("/proc/self/fd")

    def broken(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(PostkeelError):
            box.append(report(4))
    assert os.listdir("/proc/self/fd") == before
    box.append(report(4))
    assert [taken.position.number for taken in rest(reader(tmp_path))] == [1, 2, 3, 4]


def test_a_report_that_is_too_long_is_told_without_what_is_in_it(tmp_path):
    box = filled(tmp_path)
    box.append(report("x" * LONGEST_LINE, outcome=Outcome.CLEAN))
    box.append(report("x" * LONGEST_LINE, outcome=Outcome.REVERTED))
    found = [taken.report for taken in rest(reader(tmp_path))]
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.REVERTED]
    assert [one.problems for one in found] == [(outbox_files.TOO_LONG,)] * 2


def test_a_file_in_the_place_of_the_one_that_was_read_is_not_taken_for_it(tmp_path, small):
    filled(tmp_path, 1)
    one = reader(tmp_path)
    assert causes(one) == ["1"]
    path = files(tmp_path)[0]
    text = path.read_bytes()
    path.rename(tmp_path / "kept")  # whose inode is not given to another
    path.write_bytes(text + line_of(2, report("of another")))
    assert causes(one) == []
    path.unlink()
    path.mkdir()
    assert causes(one) == []


def test_a_file_that_goes_while_it_is_looked_for_is_passed_over(tmp_path, monkeypatch, small):
    filled(tmp_path, *range(1, 8))
    lstat, gone = os.lstat, []

    def going(path):
        if not gone:
            gone.append(path)
            os.unlink(path)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", going)
    assert causes(reader(tmp_path)) == ["4", "5", "6", "7"]


def test_what_a_file_got_before_the_next_one_was_begun_is_read_first(tmp_path, monkeypatch, small):
    box = filled(tmp_path, 1)
    one = reader(tmp_path)
    assert causes(one) == ["1"]
    later = one._later

    def busy():
        monkeypatch.setattr(one, "_later", later)
        for number in range(2, 8):
            box.append(report(number))
        return later()

    monkeypatch.setattr(one, "_later", busy)
    assert causes(one) == ["2", "3", "4", "5", "6", "7"]
