"""The two sides as two processes, the monitor without rights, and then in the hands of an enemy."""

from __future__ import annotations

import array
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import time

import pytest

from guarded import guarded, until
from postkeel.core.errors import PostkeelError
from postkeel.shell.channel import VERB, ask_check
from postkeel.shell.guard import ASKED_APART_SECONDS
from postkeel.shell.owner import as_owner
from two_sides import NOBODY, STRONG, WEAK, Sides

pytestmark = pytest.mark.live

PATIENT = "[contest]\ncorrections = 1000"


@pytest.fixture
def stopped(hardened):
    with guarded(hardened.postfix, more=PATIENT, start=False, catch=True) as one:
        sides = Sides(one, hardened)
        yield sides
        sides.stop()


@pytest.fixture
def sides(stopped):
    stopped.start("root", "monitor")
    return stopped


def test_one_side_corrects_and_the_other_counts(sides):
    sides.handshake("127.44.0.1")
    until(lambda: "127.44.0.1" in sides.peers(), 15)
    assert "smtpd_tls_protocols" in sides.corrects()
    status = sides.one.run("status", "--format", "json")
    assert status.returncode == 0, status.stdout
    (row,) = json.loads(status.stdout)["instances"]
    assert (row["pid"], row["monitor"]) == tuple(
        sides.running[one].pid for one in ("root", "monitor")
    )
    assert str(sides.hardened.postfix.log_file) in " ".join(row["last"]["followed"])
    assert sides.errors("root") == sides.errors("monitor") == ""
    owners = {
        path.relative_to(sides.one.directory).as_posix(): path.stat().st_uid
        for path in sides.one.directory.rglob("*")
    }
    assert owners["state/monitor/records.sqlite3"] == owners["run/monitor/status.json"] == NOBODY
    assert owners["state/history.sqlite3"] == owners["run/ask/socket"] == 0
    with as_owner(str(sides.of_monitor("state/monitor"))):
        for path in (sides.hardened.postfix.main_cf, sides.one.directory / "state/mine"):
            with pytest.raises(PermissionError):
                path.open("a").close()


ALARM = "warning: No server certs available. TLS won't be enabled"


def test_an_alarm_of_the_monitor_brings_a_check_of_the_other_side(sides):
    sides.one.reports_now()
    sides.logged(ALARM)
    assert "smtpd runs without TLS" in sides.one.report_with("tls-disabled")
    until(lambda: sides.status("root")["event"] == "requested", 15)
    assert sides.status("root")["outcome"] == "clean"
    assert "smtpd runs without TLS" in sides.one.run("status").stdout
    assert "tls-disabled" in sides.one.run("history").stdout
    assert sides.hardened.is_right()


def test_each_goes_on_when_the_other_is_killed(sides):
    sides.kill("monitor")
    sides.corrects()
    status = sides.one.run("status")
    assert status.returncode == 2
    assert "no monitor runs" in status.stdout
    sides.handshake("127.44.0.2")
    sides.start("monitor")
    until(lambda: "127.44.0.2" in sides.peers(), 15)

    sides.kill("root")
    sides.logged(ALARM)
    assert "smtpd runs without TLS" in sides.one.report_with("tls-disabled")
    until(lambda: "does not answer: Connection refused" in sides.errors("monitor"), 15)
    sides.hardened.postfix.main_cf.write_text(sides.hardened.main_cf.replace(STRONG, WEAK))
    sides.handshake("127.44.0.3")
    until(lambda: "127.44.0.3" in sides.peers(), 15)
    status = sides.one.run("status")
    assert status.returncode == 2
    assert "not guarded" in status.stdout
    sides.start("root")
    until(sides.hardened.is_right, 20)
    with as_owner(str(sides.of_monitor("state/monitor"))):
        ask_check(sides.path)
    until(lambda: sides.status("root")["event"] == "requested", 15)
    assert sides.errors("root") == ""


def test_each_may_be_killed_again_and_again(sides):
    for _ in range(3):
        for side in ("root", "monitor"):
            sides.kill(side)
            sides.start(side)
    sides.corrects()
    assert sides.errors("root") == sides.errors("monitor") == ""


def attempted(path):
    """A connection to the channel, or None where none is to be had at once."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.setblocking(False)
    if peer.connect_ex(path):
        peer.close()
        return None
    return peer


def sent(path, packet, descriptors=()):
    with contextlib.suppress(OSError):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with peer:
            peer.settimeout(10)
            peer.connect(path)
            passed = array.array("i", descriptors)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)] if descriptors else []
            peer.sendmsg([packet], rights)
            return peer.recv(100)


def malformed(sides):
    for packet in (b"", b"check no", b"check now\n", VERB * 7282, bytes(180_000), b"mode=audit"):
        assert sent(sides.path, packet) == b"no"


def descriptors_passed(sides):
    with (sides.of_monitor("run/monitor") / "status.json").open() as file:
        for count in (1, 253):
            assert sent(sides.path, VERB, [file.fileno()] * count) == b"no"


def flooding(sides):
    for _ in range(20_000):
        if peer := attempted(sides.path):
            with peer, contextlib.suppress(OSError):
                peer.send(VERB)


def kept_open(sides):
    kept = [peer for _ in range(1000) if (peer := attempted(sides.path))]
    sides.corrects()
    for peer in kept:
        peer.close()


def replayed(sides):
    taken = 0
    for _ in range(30):
        with contextlib.suppress(PostkeelError):
            ask_check(sides.path)
            taken += 1
    for _ in range(10_000):
        if peer := attempted(sides.path):
            with peer, contextlib.suppress(OSError):
                peer.send(VERB)
    assert taken > 20


@pytest.mark.parametrize(
    "attack",
    [malformed, descriptors_passed, flooding, kept_open, replayed],
    ids=lambda one: one.__name__,
)
def test_a_hostile_monitor_neither_writes_nor_stops_anything(sides, attack):
    """Its packets bring nothing but checks, one a minute, whatever it sends and how often."""
    sides.kill("monitor")
    files = [sides.hardened.postfix.main_cf, sides.hardened.postfix.master_cf]
    before = [(path.read_bytes(), path.stat().st_ino) for path in files]
    pid, began = sides.running["root"].pid, time.monotonic()
    open_files = len(os.listdir(f"/proc/{pid}/fd"))

    def rounds():
        return [one for one in sides.one.history() if one["event"]["kind"] == "requested"]

    if attack is kept_open:  # corrects meanwhile
        attack(sides)
    else:
        with as_owner(str(sides.of_monitor("state/monitor"))):
            attack(sides)
        assert [(path.read_bytes(), path.stat().st_ino) for path in files] == before
    if attack in (flooding, replayed):
        until(rounds, 15)
    assert len(rounds()) <= 1 + (time.monotonic() - began) // ASKED_APART_SECONDS
    sides.corrects()
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= open_files, 15)
    assert sides.running["root"].poll() is None
    assert sides.errors("root").count("\n") <= 1
    sides.start("monitor")


# What who has taken the monitor over may leave in its directories.


def a_link_to_a_secret(path, secret):
    path.symlink_to(secret)


def a_pipe(path, secret):
    os.mkfifo(path)


def a_directory(path, secret):
    path.mkdir()


def a_terabyte(path, secret):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def garbage(path, secret):
    path.write_bytes(os.urandom(100_000))


def a_deep_document(path, secret):
    path.write_text("[" * 1_000_000)


def nothing_in_it(path, secret):
    path.touch()


def links_beside_it(path, secret):
    path.touch()
    for end in ("-wal", "-shm", "-journal", ".new"):
        path.with_name(path.name + end).symlink_to(secret)


def a_forged_status(path, secret):
    """Well formed, and wrong in every value."""
    path.write_text(
        json.dumps({"version": 1, "pid": -1, "postkeel": [], "since": {}, "instances": 7})
    )


def a_view_without_end(path, secret):
    """A database whose tables are computed, for ever."""
    rows = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for view, columns in (
            ("reports", "x id, x instance, x time, x report"),
            ("tables", "x plugin, x name, x id"),
            ("states", "x plugin, x instance, x state"),
        ):
            connection.execute(f"CREATE VIEW {view} AS {rows} SELECT {columns} FROM c")  # noqa: S608
        connection.execute("PRAGMA user_version = 1")


LEFT = [
    a_link_to_a_secret,
    a_pipe,
    a_directory,
    a_terabyte,
    garbage,
    a_deep_document,
    nothing_in_it,
    links_beside_it,
    a_forged_status,
    pytest.param(a_view_without_end, marks=pytest.mark.slow),
]
ONLY_ROOTS = "of-root-alone"


@pytest.fixture
def secret(tmp_path):
    """A database that only root may read."""
    path = tmp_path / "secret"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE reports AS SELECT ? AS report", (ONLY_ROOTS,))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("leave", LEFT, ids=lambda one: one.__name__)
def test_what_a_hostile_monitor_leaves_does_not_hurt_who_looks(sides, secret, leave):
    """root's commands come to an end, say no more than they may, and change nothing."""
    sides.kill("monitor")
    before = secret.read_bytes()
    state, run = (sides.of_monitor(name) for name in ("state/monitor", "run/monitor"))
    with as_owner(str(state)):
        for path in (*state.iterdir(), *run.iterdir()):
            path.unlink()
        for path in (run / "status.json", state / "records.sqlite3", state / "history.sqlite3"):
            leave(path, secret)
    for words in (("status",), ("history",), ("tls-log",), ("check",)):
        for form in ("text", "json"):
            began = time.monotonic()
            answer = sides.one.run(*words, "--format", form)
            said = answer.stdout + answer.stderr
            assert time.monotonic() - began < 30
            assert answer.returncode in (0, 1, 2), said
            assert "Traceback" not in said
            assert "\x1b" not in said
            assert ONLY_ROOTS not in said
            if words == ("status",):
                assert str(sides.running["root"].pid) in answer.stdout
            if words == ("history",):
                assert answer.stdout.count("clean") >= 1
    assert secret.read_bytes() == before
    assert not list(secret.parent.glob("secret?*"))
    sides.corrects()
    for path in (*state.iterdir(), *run.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    sides.start("monitor")
