"""The history, on real files: kept, bounded, readable beside the writer, and never fatal."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from postkeel.core import changes, model
from postkeel.core.errors import PostkeelError
from postkeel.shell import history as history_module
from postkeel.shell.history import History

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ETC = "/etc/postfix"

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")


def finding(parameter="smtpd_tls_protocols", service=None):
    return model.Finding(
        rule="smtpd-protocols",
        severity=model.Severity.ERROR,
        depth=model.Depth.DECLARED,
        parameter=parameter,
        where="main.cf:27",
        effective="TLSv1",
        wanted=">=TLSv1.2",
        why="TLS 1.0 is broken",
        service=service,
    )


def report(
    *judged, at=NOW, kind=model.EventKind.PATHS_CHANGED, instance=ETC, diff="", outcome=None
):
    outcomes = [one.outcome for one in judged]
    return model.Report(
        instance=instance,
        event=model.Event(kind=kind, instance=instance, time=at, detail=(f"{instance}/main.cf",)),
        outcome=outcome or (outcomes[0] if outcomes else model.Outcome.CLEAN),
        judged=judged,
        plan=changes.Plan(),
        seconds=0.25,
        diff=diff,
    )


def fixed(parameter="smtpd_tls_protocols", service=None):
    return model.Judged(finding=finding(parameter, service), outcome=model.Outcome.FIXED)


AUDITED = model.Judged(finding=finding(), outcome=model.Outcome.AUDITED)


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def history(state):
    with History(state) as history:
        yield history


def minutes(number):
    return NOW + timedelta(minutes=number)


def test_reports_come_back_newest_first(history):
    kept = [report(fixed(), at=minutes(number)) for number in range(5)]
    for one in kept:
        history.record(one)
    assert history.reports() == tuple(reversed(kept))
    assert history.reports(limit=2) == (kept[4], kept[3])
    assert history.reports(since=minutes(3)) == (kept[4], kept[3])
    assert history.reports(instance="/etc/postfix-out") == ()


def test_a_report_that_says_nothing_new_is_not_kept(history):
    history.record(report(kind=model.EventKind.TIMER))
    assert not os.path.exists(history.path)
    history.record(report(kind=model.EventKind.STARTED))
    assert len(history.reports()) == 1


def test_counts_corrections_by_subject(history):
    history.record(report(fixed(), fixed("x", "submission/inet"), at=minutes(0)))
    history.record(report(fixed(), at=minutes(1)))
    history.record(report(AUDITED, at=minutes(2)))
    history.record(report(fixed(), at=minutes(3), instance="/etc/other"))
    protocols = ("smtpd-protocols", None, "smtpd_tls_protocols")
    override = ("smtpd-protocols", "submission/inet", "x")
    assert history.corrections_since(ETC, NOW) == {protocols: 2, override: 1}
    assert history.corrections_since(ETC, minutes(1)) == {protocols: 1}
    assert history.corrections_since(ETC, minutes(2)) == {}


def test_corrections_are_forgotten_for_one_instance(history, state):
    assert history.forget_corrections(ETC) == 0
    history.record(report(fixed(), fixed("x")))
    history.record(report(fixed(), instance="/etc/other"))
    assert history.forget_corrections(ETC) == 2
    assert history.corrections_since(ETC, NOW) == {}
    assert history.corrections_since("/etc/other", NOW)
    assert len(history.reports()) == 2


def test_a_report_is_kept_with_its_corrections_or_not_at_all(history):
    history.record(report(fixed()))
    history._connection.execute("ALTER TABLE corrections RENAME TO elsewhere")
    with pytest.raises(PostkeelError, match="no such table"):
        history.record(report(fixed()))
    assert len(history.reports()) == 1


def test_times_of_other_zones_are_compared_as_times(history):
    zone = NOW.astimezone().tzinfo
    history.record(report(fixed(), at=NOW.astimezone(zone)))
    assert history.corrections_since(ETC, NOW)
    assert not history.corrections_since(ETC, NOW + timedelta(microseconds=1))


def test_bytes_that_are_no_utf8_come_back(history):
    odd = report(fixed(parameter="caf\udce9"), instance="/etc/\udcff")
    history.record(odd)
    assert history.reports(instance="/etc/\udcff") == (odd,)
    assert ("smtpd-protocols", None, "caf\udce9") in history.corrections_since("/etc/\udcff", NOW)


def test_without_a_file_there_is_nothing_and_none_is_made(state):
    with History(state, read_only=True) as history:
        assert history.reports() == ()
        assert history.corrections_since(ETC, NOW) == {}
    assert not os.path.exists(state)


def test_is_for_its_owner_only(history):
    history.record(report(fixed()))
    modes = {os.stat(f"{history.path}{end}").st_mode & 0o777 for end in ("", "-wal", "-shm")}
    assert modes == {0o600}


def test_is_bounded_in_number(history, monkeypatch):
    monkeypatch.setattr(history_module, "KEPT_REPORTS", 20)
    monkeypatch.setattr(history_module, "KEPT_CORRECTIONS", 30)
    for number in range(200):
        history.record(report(fixed(), at=minutes(number)))
    kept = history.reports(limit=1000)
    assert [one.event.time for one in kept] == [minutes(number) for number in range(199, 179, -1)]
    assert sum(history.corrections_since(ETC, NOW).values()) == 30


def test_is_bounded_in_time(history):
    for number in range(99):
        history.record(report(fixed(), at=minutes(number)))
    history.record(report(fixed(), at=NOW + timedelta(days=401)))
    assert len(history.reports(limit=1000)) == 1
    assert sum(history.corrections_since(ETC, NOW).values()) == 1


def test_a_huge_diff_is_cut(history):
    history.record(report(fixed(), diff="x" * 10_000_000))
    (kept,) = history.reports()
    assert kept.diff.endswith("x\n[the rest is not kept]\n")
    assert os.path.getsize(history.path) < 1_000_000


def test_a_command_reads_beside_the_writer(history, state):
    history.record(report(fixed()))
    with History(state, read_only=True) as reader:
        assert len(reader.reports()) == 1
        history.record(report(fixed()))
        assert len(reader.reports()) == 2
        with pytest.raises(PostkeelError, match="readonly"):
            reader.record(report(fixed()))


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_history import *
with History(sys.argv[1]) as history:
    for number in range(100_000):
        history.record(report(fixed(), at=minutes(number)))
        print(number, flush=True)
"""


def test_a_killed_writer_keeps_what_it_said_it_kept(state):
    words = [sys.executable, "-c", WRITER, state, os.path.dirname(__file__)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        said = 1 + sum(line.endswith(b"\n") for line in process.stdout)
    with History(state, read_only=True) as reader:
        found = reader.reports(limit=100_000)
        counted = sum(reader.corrections_since(ETC, NOW).values())
    assert len(found) in (said, said + 1)
    assert counted == len(found)


def test_another_writer_is_waited_for(history, state):
    history.record(report(fixed()))
    other = sqlite3.connect(history.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(PostkeelError, match="locked"):
        history.record(report(fixed()))
    other.execute("ROLLBACK")
    other.close()
    history.record(report(fixed()))
    assert len(history.reports()) == 2


def damage_header(path):
    with open(path, "r+b") as file:
        file.write(b"no database at all" * 10)


def damage_pages(path):
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (os.path.getsize(path) - 4096))


DAMAGE = {"header": damage_header, "pages": damage_pages}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(state, damage):
    with History(state) as history:
        for _ in range(20):
            history.record(report(fixed()))
    damage(history.path)
    with History(state) as history:
        with pytest.raises(PostkeelError, match=r"moved to .*corrupt-20261123T010000Z and a new"):
            history.record(report(fixed(), at=NOW))
        assert len(history.reports()) == 1
        history.record(report(fixed()))
        assert len(history.reports()) == 2
    assert os.path.getsize(f"{history.path}.corrupt-20261123T010000Z") > 0


def test_a_reader_reports_damage_and_moves_nothing(state):
    with History(state) as history:
        history.record(report(fixed()))
    damage_header(history.path)
    with (
        History(state, read_only=True) as reader,
        pytest.raises(PostkeelError, match="not a database"),
    ):
        reader.reports()
    assert os.listdir(state) == ["history.sqlite3"]


def test_a_newer_file_is_left_alone(state):
    os.makedirs(state)
    with History(state) as history:
        connection = sqlite3.connect(history.path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(PostkeelError, match="written by a newer postkeel"):
            history.record(report(fixed()))


def test_an_unreadable_report_is_an_error_that_names_the_file(history):
    history.record(report(fixed()))
    history._connection.execute("UPDATE reports SET report = ?", (json.dumps({}),))
    with pytest.raises(PostkeelError, match=r"history\.sqlite3: not a report"):
        history.reports()


@pytest.mark.parametrize("make", ["file", "link"])
def test_a_state_directory_that_cannot_be_used_is_an_error(tmp_path, make):
    if make == "file":
        (tmp_path / "state").write_text("")
    else:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "history.sqlite3").symlink_to("/etc/hostname")
    with History(str(tmp_path / "state")) as history, pytest.raises(PostkeelError, match="state"):
        history.record(report(fixed()))


def fill(path):
    with path.open("wb", 0) as file:
        while True:
            file.write(b"x" * 4096)


def record_many(history):
    for _ in range(100):
        history.record(report(fixed(), diff="y" * 9000))


@root_only
def test_a_full_disk_is_an_error_and_over_when_there_is_room(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], check=True)
    try:
        with History(str(tmp_path)) as history:
            history.record(report(fixed()))
            ballast = tmp_path / "ballast"
            with pytest.raises(OSError, match="No space"):
                fill(ballast)
            with pytest.raises(PostkeelError, match=r"full|I/O|space"):
                record_many(history)
            ballast.unlink()
            before = len(history.reports(limit=1000))
            history.record(report(fixed()))
            assert len(history.reports(limit=1000)) == before + 1
    finally:
        subprocess.run(["umount", tmp_path], check=True)
