"""Work in a process of its own: its answer, its errors, and what it must not touch."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time

import pytest

from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.shell import forked
from postkeel.shell.forked import Forked, answer_of
from postkeel.shell.loop import Loop

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def fails():
    raise PostfixError("the queue is gone\nand more")


def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_answer_comes_from_another_process():
    assert answer_of(lambda: [os.getpid(), "\udcff", {"ü": None}], PATIENCE)[1:] == [
        "\udcff",
        {"ü": None},
    ]
    assert answer_of(os.getpid, PATIENCE) != os.getpid()


def test_a_large_answer_is_whole():
    assert answer_of(lambda: "x" * 1_000_000, PATIENCE) == "x" * 1_000_000


def test_what_it_imports_stays_away():
    assert "colorsys" not in sys.modules
    assert answer_of(lambda: __import__("colorsys").__name__, PATIENCE) == "colorsys"
    assert "colorsys" not in sys.modules


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (fails, r"^the queue is gone\\nand more$"),
        (lambda: 1 / 0, "^ZeroDivisionError: division by zero$"),
        (lambda: {1, 2}, "^the process that was to answer was ended$"),  # no JSON
        (kills_itself, "^the process that was to answer was ended$"),
        (lambda: sys.exit(0), "^the process that was to answer was ended$"),
        (lambda: os._exit(0), "^the process that was to answer was ended$"),
    ],
)
def test_its_failure_is_an_error_with_a_sentence(work, says):
    with pytest.raises(PostkeelError, match=says):
        answer_of(work, PATIENCE)


def test_one_that_takes_too_long_is_ended():
    began = time.monotonic()
    with pytest.raises(PostkeelError, match=r"^no answer within 0\.2 s$"):
        answer_of(lambda: time.sleep(PATIENCE), 0.2)
    assert time.monotonic() - began < PATIENCE / 2


def test_an_answer_without_end_is_not_kept(monkeypatch):
    monkeypatch.setattr(forked, "MOST_ANSWER", 1 << 20)
    with pytest.raises(PostkeelError, match=r"^an answer of more than 1 MiB$"):
        answer_of(lambda: "x" * (4 << 20), PATIENCE)


def test_no_room_for_a_process(monkeypatch):
    def full():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fork", full)
    with pytest.raises(PostkeelError, match=r"^no process can be started: Resource temporarily"):
        answer_of(os.getpid, PATIENCE)
    assert os.listdir("/proc/self/fd") == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_it_has_no_descriptor_but_the_pipe():
    with open("/dev/null", "rb"):
        names = answer_of(lambda: os.listdir("/proc/self/fd"), PATIENCE)
    # Those of this listing and of the pipe.
    assert len(set(names) - {"0", "1", "2"}) == 2


def test_it_does_not_keep_a_lock_of_ours(tmp_path):
    file = open(tmp_path / "lock", "wb")  # noqa: SIM115  closed below, which is the point
    fcntl.flock(file, fcntl.LOCK_EX)
    process = Forked(begin_and_sleep)
    try:
        assert os.read(process.output, 1) == b"!"
        file.close()
        with open(tmp_path / "lock", "rb") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        process.close()


def begin_and_sleep(pipe):
    pipe.write(b"!")
    pipe.flush()
    time.sleep(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_it_ends_it_and_is_none_to_the_loop(number):
    arrived = []
    loop = Loop(on_error=arrived.append)
    loop.on_signal(number, lambda: arrived.append("signal"))
    process = Forked(begin_and_sleep)
    try:
        assert os.read(process.output, 1) == b"!"
        os.kill(process._process, number)
        assert os.read(process.output, 1) == b""
        loop.after("end", 0.05, loop.stop)
        loop.run_until_stopped()
        assert arrived == []
    finally:
        process.close()
        loop.close()


def test_one_whose_parent_is_gone_ends_by_itself():
    process = Forked(begin_and_sleep, seconds=0.1)
    assert os.read(process.output, 2) == b"!"
    began = time.monotonic()
    assert os.read(process.output, 1) == b""
    assert time.monotonic() - began < PATIENCE / 2
    process.close()


def test_another_thread_is_in_nobody_s_way():
    """With today's Python a fork beside threads is a warning, and here all warnings are errors."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert answer_of(threading.active_count, PATIENCE) == 1
    finally:
        done.set()
        thread.join()
