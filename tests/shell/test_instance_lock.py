"""One agent an instance, between real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell import instance_lock
from postkeel.shell.instance_lock import InstanceLock, guarded_by

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")

AGENT = """
import sys
from postkeel.shell.instance_lock import InstanceLock
lock = InstanceLock(sys.argv[1])
print("guards", flush=True)
sys.stdin.read()
"""

STRANGER = """
import fcntl, os, sys
os.setuid(65534)
descriptor = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start():
    started = []

    def start(program, directory):
        process = subprocess.Popen(
            [sys.executable, "-c", program, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline().strip() in (b"guards", b"holds")
        return process

    yield start
    for process in started:
        process.communicate()


def test_the_second_refuses_and_names_the_first(tmp_path, start):
    first = start(AGENT, str(tmp_path))
    with pytest.raises(PostkeelError, match=f"process {first.pid} guards this instance already"):
        InstanceLock(str(tmp_path))
    assert guarded_by(str(tmp_path)) == first.pid


def test_by_another_name_it_is_the_same_instance(tmp_path, start):
    (tmp_path / "postfix").mkdir()
    (tmp_path / "link").symlink_to("postfix")
    start(AGENT, str(tmp_path / "postfix"))
    with pytest.raises(PostkeelError, match="already"):
        InstanceLock(str(tmp_path / "link"))


def test_a_killed_agent_leaves_nothing_behind(tmp_path, start):
    first = start(AGENT, str(tmp_path))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert guarded_by(str(tmp_path)) is None
    InstanceLock(str(tmp_path)).close()
    assert os.listdir(tmp_path) == []


def test_looking_disturbs_nobody(tmp_path):
    assert guarded_by(str(tmp_path)) is None
    assert guarded_by(str(tmp_path / "missing")) is None
    with InstanceLock(str(tmp_path)) as lock:
        assert guarded_by(str(tmp_path)) == os.getpid()
        lock.close()
        assert guarded_by(str(tmp_path)) is None


def test_postconf_and_editors_work_on(tmp_path):
    (tmp_path / "main.cf").write_text("")
    with InstanceLock(str(tmp_path)):
        subprocess.run(["postconf", "-c", tmp_path, "-e", "a=b"], check=True, timeout=5)
    assert (tmp_path / "main.cf").read_text() == "a = b\n"


def test_notices_that_the_directory_was_replaced(tmp_path):
    directory = tmp_path / "postfix"
    directory.mkdir()
    with InstanceLock(str(directory)) as lock:
        assert lock.still_there()
        directory.rename(tmp_path / "old")
        assert not lock.still_there()
        directory.mkdir()
        assert not lock.still_there()


@root_only
def test_a_stranger_cannot_keep_the_agent_from_its_work(tmp_path, start):
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    stranger = start(STRANGER, str(tmp_path))
    with InstanceLock(str(tmp_path)) as lock:
        assert f"process {stranger.pid} of user 65534" in lock.stranger
        assert guarded_by(str(tmp_path)) is None
        assert guarded_by(str(tmp_path), claimed=os.getpid()) == os.getpid()
    assert guarded_by(str(tmp_path), claimed=os.getpid()) is None
    assert guarded_by(str(tmp_path)) is None


@pytest.mark.parametrize("locks", ["/no/such/file", "/dev/null"])
def test_a_kernel_that_hides_its_locks_is_believed_to_mean_an_agent(tmp_path, monkeypatch, locks):
    """As in a service with ProcSubset=pid."""
    monkeypatch.setattr(instance_lock, "_LOCKS", locks)
    with (
        InstanceLock(str(tmp_path)),
        pytest.raises(PostkeelError, match="another process guards"),
    ):
        InstanceLock(str(tmp_path))


def test_an_equal_inode_number_elsewhere_is_no_lock(tmp_path, monkeypatch):
    """Two file systems count their inodes alike; only the process knows which it has open."""
    number = os.stat(tmp_path).st_ino
    table = tmp_path / "locks"
    table.write_text(f"1: FLOCK  ADVISORY  WRITE {os.getpid()} 00:99:{number} 0 EOF\n")
    monkeypatch.setattr(instance_lock, "_LOCKS", str(table))
    assert guarded_by(str(tmp_path)) is None


def test_a_holder_that_is_gone_by_now_is_none(tmp_path, monkeypatch):
    number = os.stat(tmp_path).st_ino
    table = tmp_path / "locks"
    table.write_text(f"1: FLOCK  ADVISORY  WRITE 4194305 00:99:{number} 0 EOF\n")
    monkeypatch.setattr(instance_lock, "_LOCKS", str(table))
    assert guarded_by(str(tmp_path)) is None


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_directory_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(PostkeelError, match="cannot be opened"):
        InstanceLock(str(tmp_path / name))


def test_a_waiting_locker_is_no_holder(tmp_path):
    with InstanceLock(str(tmp_path)), subprocess.Popen(["flock", tmp_path, "true"]) as waiting:
        while f"-> FLOCK  ADVISORY  WRITE {waiting.pid} " not in Path("/proc/locks").read_text():
            assert waiting.poll() is None
        holders = instance_lock._holders(str(tmp_path))
        waiting.kill()
    assert [one.pid for one in holders] == [os.getpid()]
