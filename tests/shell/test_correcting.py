"""What the monitor's process knows of the side that corrects."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace

import pytest

from postkeel.core.configuration import Configuration
from postkeel.shell.correcting import correcting_side
from postkeel.shell.forked import answer_of
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.status_file import AgentStatus, InstanceStatus, status_path, write_status


@pytest.fixture
def directory(tmp_path):
    made = tmp_path / "etc"
    made.mkdir()
    return str(made)


@pytest.fixture
def configuration(tmp_path):
    return Configuration(
        state_directory=str(tmp_path / "state"), runtime_directory=str(tmp_path / "run")
    )


@pytest.fixture
def status(directory):
    one = InstanceStatus(
        config_directory=directory,
        mode="enforce",
        profile="intermediate",
        outcome="clean",
        timers={},
        open_errors=1,
        open_warnings=2,
        open_infos=3,
        held=True,
        postfix="3.7.11",
        openssl="3.0.17",
    )
    return AgentStatus(pid=os.getpid(), postkeel="1", since="now", instances=(one,))


def ended():
    """The number of a process that was."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_nobody_spoke(configuration, directory):
    known = correcting_side(configuration, (directory,))
    assert (known.instances, known.guarded, known.problems) == ({}, frozenset(), ())


def test_the_lock_says_whether_it_is_guarded(configuration, directory, status):
    write_status(configuration.runtime_directory, replace(status, pid=0))
    assert correcting_side(configuration, (directory,)).guarded == frozenset()
    with InstanceLock(directory):
        known = correcting_side(configuration, (directory,))
    assert known.guarded == {directory}
    assert known.instances == {directory: status.instances[0]}


def as_nobody(work):
    """What it returns, in a process that has no rights over others'."""

    def alone():
        if os.getuid() == 0:
            os.setresuid(65534, 65534, 65534)
        return work()

    return answer_of(alone, 20)


@pytest.mark.parametrize("pid", [os.getpid(), 1])
def test_without_proc_locks_the_process_says_it(directory, status, pid):
    """One of another user's may not be signalled, and lives."""
    with tempfile.TemporaryDirectory() as run:
        os.chmod(run, 0o755)  # noqa: S103  as the package has it
        write_status(run, replace(status, pid=pid))

        def guarded():
            configuration = Configuration(runtime_directory=run)
            return [*correcting_side(configuration, (directory,), locks="/nowhere").guarded]

        assert guarded() == as_nobody(guarded) == [directory]


@pytest.mark.parametrize("pid", [ended(), 0, -1, 10**30])
def test_a_process_that_is_gone_guards_nothing(configuration, directory, status, pid):
    write_status(configuration.runtime_directory, replace(status, pid=pid))
    known = correcting_side(configuration, (directory,), locks="/nowhere")
    assert known.guarded == frozenset()
    assert known.instances[directory].open_errors == 1


def test_only_what_is_asked_for_is_told(configuration, directory, status):
    one = replace(status.instances[0], config_directory="/etc/\0")
    write_status(configuration.runtime_directory, replace(status, instances=(one,)))
    assert correcting_side(configuration, (directory,)).instances == {}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 2}', b"\xff" * 99])
def test_a_broken_status_is_a_problem(configuration, directory, content):
    os.mkdir(configuration.runtime_directory)
    with open(status_path(configuration.runtime_directory), "wb") as file:
        file.write(content)
    known = correcting_side(configuration, (directory,))
    assert known.guarded == frozenset()
    assert "not a status of this version" in known.problems[0]
