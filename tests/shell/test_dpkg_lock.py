"""Who holds dpkg's lock: asked of real processes that do."""

import os
import subprocess
import sys

import pytest

from postkeel.shell.dpkg_lock import LockHolder, held_by
from scratch_dpkg import HeldLock, ScratchDpkg


@pytest.fixture
def directory(tmp_path):
    for name in ("lock-frontend", "lock"):
        (tmp_path / name).touch(mode=0o640)
    return tmp_path


@pytest.mark.parametrize("name", ["lock-frontend", "lock"])
def test_the_holder_is_named_until_it_ends(directory, name):
    assert held_by(str(directory)) is None
    with HeldLock(directory / name) as held:
        process = held.process
        holder = held_by(str(directory))
        assert holder.pid == process.pid
        assert str(holder) == f"process {process.pid} {holder.name}"
        assert "python" in holder.name
        assert held_by(str(directory)) == holder, "asking has changed something"
        process.kill()
        process.wait()
        assert held_by(str(directory)) is None


def test_asking_takes_no_lock(directory):
    descriptors = os.listdir("/proc/self/fd")
    held_by(str(directory))
    assert os.listdir("/proc/self/fd") == descriptors
    with HeldLock(directory / "lock-frontend"), HeldLock(directory / "lock"):
        assert held_by(str(directory))


def test_a_strangers_lock_for_reading_is_none(directory):
    with HeldLock(directory / "lock", shared=True):
        assert held_by(str(directory)) is None


def test_without_dpkg_nobody_holds_it(tmp_path):
    assert held_by(str(tmp_path / "nowhere")) is None


def test_what_is_no_file_is_held_by_nobody(tmp_path):
    os.mkfifo(tmp_path / "lock-frontend")
    (tmp_path / "lock").mkdir()
    assert held_by(str(tmp_path)) is None


def test_a_holder_whose_name_is_hidden_or_who_is_elsewhere_is_named_as_far_as_can_be():
    assert str(LockHolder(pid=812, name="")) == "process 812"
    assert str(LockHolder(pid=0, name="")) == "a process of another container"


def test_a_holder_in_another_pid_namespace(directory):
    """Seen from inside a namespace whose init cannot number the holder."""
    ask = f"from postkeel.shell.dpkg_lock import held_by;print(held_by({str(directory)!r}))"
    with HeldLock(directory / "lock"):
        answer = subprocess.run(
            ["unshare", "--pid", "--fork", sys.executable, "-c", ask],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    if answer.returncode != 0 and "Operation not permitted" in answer.stderr:
        pytest.skip("this user may make no namespace")
    assert answer.stdout == "a process of another container\n", answer.stderr


@pytest.mark.live
def test_dpkg_holds_it_while_a_maintainer_script_runs(tmp_path):
    dpkg = ScratchDpkg(tmp_path / "root")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    package = dpkg.package("postfix", "1", f"cat {gate}")
    process = dpkg.begin("-i", package)
    with gate.open("w"):  # opens when the script reads
        holder = held_by(str(dpkg.database))
        assert (holder.pid, holder.name) == (process.pid, "dpkg")
    assert process.wait(30) == 0
    assert held_by(str(dpkg.database)) is None
