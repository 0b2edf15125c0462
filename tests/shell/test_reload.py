"""A reload that cannot be: what Postfix says, and who is never signalled."""

import fcntl
import os
import signal
import subprocess

import pytest

from postkeel.core.errors import PostfixError
from postkeel.shell import reload as module
from postkeel.shell.master_process import is_running, signal_master
from postkeel.shell.reload import reload


@pytest.fixture
def stopped(tmp_path):
    """An instance that is not running."""
    for name in ("postfix", "queue", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "postfix" / "master.cf").write_text("")
    (tmp_path / "postfix" / "main.cf").write_text(
        "compatibility_level = 3.6\n"
        "myhostname = mail.example.test\n"
        f"queue_directory = {tmp_path}/queue\n"
        f"data_directory = {tmp_path}/data\n"
    )
    os.utime(tmp_path / "postfix" / "main.cf", (0, 0))  # Postfix sleeps over a file of this second
    return tmp_path / "postfix"


@pytest.fixture
def pid_file(tmp_path):
    (tmp_path / "pid").mkdir()
    return tmp_path / "pid" / "master.pid"


@pytest.fixture
def locked(pid_file):
    """The pid file, locked as by a master that runs."""
    pid_file.touch()
    with pid_file.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield pid_file


@pytest.fixture
def process():
    with subprocess.Popen(["sleep", "300"]) as started:
        yield started
        started.kill()


def test_an_instance_that_is_not_running(stopped):
    with pytest.raises(
        PostfixError, match="not reloaded: `postfix status` ends with 1: "
    ) as caught:
        reload(str(stopped), 10)
    assert str(caught.value).startswith(f"{stopped}: ")
    assert "\n" not in str(caught.value)


def test_a_program_that_takes_too_long(stopped):
    with pytest.raises(PostfixError, match="no end after"):
        reload(str(stopped), 0.001)


def test_a_master_that_ended_meanwhile(stopped, monkeypatch):
    monkeypatch.setattr(module, "find_program", lambda _: "/bin/true")
    with pytest.raises(PostfixError, match=r"not reloaded: master\(8\) is not to be signalled"):
        reload(str(stopped), 10)


def test_a_process_that_holds_the_lock_is_signalled(locked, process):
    queue = str(locked.parent.parent)
    locked.write_text(f"{process.pid:>32}\n")
    assert is_running(queue)
    assert process.poll() is None
    assert signal_master(queue, signal.SIGHUP)
    assert process.wait(30) == -signal.SIGHUP


def test_a_number_that_a_crash_has_left_is_nobody_s(pid_file, process):
    queue = str(pid_file.parent.parent)
    pid_file.write_text(f"{process.pid:>32}\n")
    assert not is_running(queue)
    assert not signal_master(queue, signal.SIGKILL)
    assert process.poll() is None
    with pid_file.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a master that starts now gets its lock


def test_a_zombie_does_not_run(pid_file, process):
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    pid_file.write_text(f"{process.pid:>32}\n")
    assert not is_running(str(pid_file.parent.parent))


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "999999999\n", "9" * 31, "\0\0"])
def test_what_is_no_process_does_not_run(locked, text):
    locked.write_text(text)
    assert not is_running(str(locked.parent.parent))


def test_no_pid_file_is_no_master(tmp_path):
    assert not is_running(str(tmp_path))
