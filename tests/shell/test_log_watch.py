"""Following a log in the loop: at once, asleep when idle, and without loss under load."""

import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import threading
import time

import pytest

from log_writer import LogWriter
from postkeel.core.errors import PostkeelError
from postkeel.shell import log_watch
from postkeel.shell.log_file import LogFile
from postkeel.shell.loop import Loop

LINE = b"2026-11-22T13:09:20+00:00 mx postfix/smtpd[7]: a line\n"


class Follower:
    """A loop that reads a log whenever it is told that there may be something new."""

    def __init__(self, path, *, restart_every=0):
        self.path = path
        self.text = []
        self.lost = []
        self.calls = 0
        self.errors = []
        self.loop = Loop(self.errors.append)
        self._restart_every = restart_every
        self._log = LogFile(path)

    def watch(self):
        self._log.watch(self.loop, self.ready)

    def ready(self):
        self.calls += 1
        while batch := self._log.read():
            self.text.append(batch.text)
            self.lost += batch.lost
        if self._restart_every and self.calls % self._restart_every == 0:
            position = self._log.position
            self._log.close()
            self._log = LogFile(self.path, position)
            self.loop.wake(self.start)

    def start(self):
        """As an agent does: watch, then look at what is there already."""
        self.watch()
        self.ready()

    def turn(self, seconds):
        self.loop.after("end of step", seconds, self.loop.stop)
        self.loop.run_until_stopped()

    def close(self):
        self._log.close()
        self.loop.close()
        assert self.errors == []


@pytest.fixture
def follow(tmp_path):
    with contextlib.ExitStack() as stack:

        def follow(**how):
            follower = Follower(f"{tmp_path}/mail.log", **how)
            stack.callback(follower.close)
            return follower

        yield follow


def append(path, text=LINE):
    with open(path, "ab") as file:
        file.write(text)


def act_in_between(follower, act):
    """Do this while the loop turns."""
    failed = []

    def work():
        try:
            act()
        except BaseException as error:  # noqa: BLE001  it belongs into the test's thread
            failed.append(error)
        follower.loop.wake(follower.loop.stop)

    worker = threading.Thread(target=work)
    worker.start()
    follower.loop.run_until_stopped()
    worker.join()
    assert failed == []


def numbers_of(follower):
    """The numbers of the lines that were read, as ranges: one, when none is lost or doubled."""
    ranges = []
    for line in b"".join(follower.text).splitlines():
        number = int(line.rpartition(b" ")[2])
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def test_an_appended_line_is_read_within_milliseconds(follow):
    follower = follow()
    append(follower.path)
    follower.start()
    times = []

    def write():
        for _ in range(12):
            time.sleep(0.03)
            before = len(follower.text)
            began = time.monotonic()
            append(follower.path)
            while len(follower.text) == before and time.monotonic() < began + 2:
                time.sleep(0.0002)
            times.append(time.monotonic() - began)

    act_in_between(follower, write)
    assert b"".join(follower.text) == LINE * 13
    assert statistics.median(times) < 0.02


MOMENTS = {
    "made": lambda path: append(path),
    "moved in": lambda path: (append(path + ".new"), os.rename(path + ".new", path)),
    "directory made": lambda path: (os.mkdir(os.path.dirname(path)), append(path)),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_log_that_was_missing_is_read_when_it_is_there(follow, moment):
    follower = follow()
    if moment == "directory made":
        os.rmdir(os.path.dirname(follower.path))
    follower.start()
    act_in_between(follower, lambda: (MOMENTS[moment](follower.path), time.sleep(0.2)))
    assert follower.text == [LINE]


def test_rotation_is_noticed_and_what_comes_late_to_the_old_piece(follow):
    follower = follow()
    append(follower.path)
    follower.start()
    seen = []

    def rotate():
        os.rename(follower.path, follower.path + ".1")
        for path in (follower.path, follower.path + ".1", follower.path, follower.path):
            append(path, LINE if path != follower.path or seen else b"")
            time.sleep(0.1)
            seen.append(len(b"".join(follower.text)) // len(LINE))

    act_in_between(follower, rotate)
    assert seen == [1, 2, 3, 4]


def test_idle_is_asleep(follow):
    follower = follow()
    append(follower.path)
    follower.start()
    follower.turn(0.2)
    calls = follower.calls
    before = resource.getrusage(resource.RUSAGE_SELF)
    follower.turn(1.0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert follower.calls == calls
    assert after.ru_nvcsw - before.ru_nvcsw <= 5
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.01


def test_a_stream_of_lines_is_a_hundred_looks_a_second(follow):
    follower = follow()
    follower.start()
    with LogWriter(follower.path, 50_000) as writer:
        before = time.process_time()
        act_in_between(follower, lambda: time.sleep(1.5))
        took = time.process_time() - before
        written = writer.tell("stop")
    follower.turn(0.1)
    assert numbers_of(follower) == [(0, written - 1)]
    assert written > 10_000
    assert 20 < follower.calls < 400
    assert took < 0.45  # of a processor; an event for each line takes more


def test_the_others_in_the_directory_wake_nobody(follow):
    follower = follow()
    append(follower.path)
    append(f"{follower.path}.1")
    append(f"{os.path.dirname(follower.path)}/syslog")
    follower.start()
    follower.turn(0.1)
    calls = follower.calls

    def write():
        for _ in range(20):
            append(f"{os.path.dirname(follower.path)}/syslog")
            time.sleep(0.005)

    act_in_between(follower, write)
    assert follower.calls == calls


def test_without_events_there_is_the_net(follow, monkeypatch):
    monkeypatch.setattr(log_watch, "NET", 0.1)
    follower = follow()
    # No file system without events is at hand; the kernel's answer is the same.
    monkeypatch.setattr(log_watch.LogWatch, "_add", lambda *_: -1)
    follower.start()
    act_in_between(follower, lambda: (append(follower.path), time.sleep(0.3)))
    assert follower.text == [LINE]


def test_when_the_kernel_has_no_more_watches(tmp_path):
    loop = Loop(pytest.fail)
    log = LogFile(f"{tmp_path}/mail.log")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(PostkeelError, match=r"cannot be watched: Too many open files"):
            log.watch(loop, pytest.fail)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    log.close()
    loop.close()


def test_nothing_is_called_after_the_end(follow):
    follower = follow()
    follower.start()
    follower._log.close()
    calls = follower.calls
    append(follower.path)
    follower.turn(0.1)
    assert follower.calls == calls


def wait_for_the_first(follower):
    """Without a position older files are not looked for."""
    end = time.monotonic() + 10
    while not follower.text and time.monotonic() < end:
        time.sleep(0.001)


def rename_and_reopen(writer, path, number):
    subprocess.run(["mv", path, f"{path}-20261122{number:06}"], check=True)
    if number % 2:
        append(path, b"")
    writer.tell("reopen")


def copy_and_truncate(writer, path, number, *, pause=True):
    if pause:  # what is written between the two is lost to everybody
        writer.tell("pause")
    subprocess.run(["cp", path, f"{path}-20261122{number:06}"], check=True)
    subprocess.run(["truncate", "-s0", path], check=True)
    if pause:
        writer.tell("resume")


ROTATIONS = {
    "renamed": rename_and_reopen,
    "copied and truncated": copy_and_truncate,
}


@pytest.mark.parametrize("restart_every", [0, 7])
@pytest.mark.parametrize("kind", ROTATIONS)
def test_a_hundred_rotations_under_load(follow, kind, restart_every):
    follower = follow(restart_every=restart_every)
    follower.start()
    with LogWriter(follower.path, 20_000) as writer:

        def rotate():
            wait_for_the_first(follower)
            for number in range(100):
                time.sleep(0.01)
                ROTATIONS[kind](writer, follower.path, number)

        act_in_between(follower, rotate)
        written = writer.tell("stop")
    follower.turn(0.1)
    follower.ready()
    assert written > 5_000
    assert numbers_of(follower) == [(0, written - 1)]


def test_a_writer_that_does_not_pause_loses_lines_only_where_that_is_said(follow):
    follower = follow()
    follower.start()
    with LogWriter(follower.path, 20_000) as writer:
        act_in_between(
            follower,
            lambda: (
                wait_for_the_first(follower)
                or [
                    (
                        time.sleep(0.02),
                        copy_and_truncate(writer, follower.path, number, pause=False),
                    )
                    for number in range(20)
                ]
            ),
        )
        writer.tell("pause")
        writer.tell("resume")
        follower.turn(0.1)
        written = writer.tell("stop")
    follower.turn(0.1)
    follower.ready()
    ranges = numbers_of(follower)
    assert ranges == sorted(ranges), "a line came twice"
    assert ranges[-1][1] == written - 1
    assert follower.lost or len(ranges) == 1


LOGROTATE = {
    "create": "create",
    "create, compressed": "create\ncompress",
    "create, compressed later": "create\ncompress\ndelaycompress",
    "nocreate, by date": "nocreate\ndateext\ndateformat -%Y%m%d-%s",
    "copytruncate": "copytruncate",
    "copytruncate, compressed": "copytruncate\ncompress",
}


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="no logrotate")
@pytest.mark.parametrize("restart_every", [0, 2])
@pytest.mark.parametrize("how", LOGROTATE)
def test_logrotate_itself(follow, tmp_path, how, restart_every):
    follower = follow(restart_every=restart_every)
    follower.start()
    (tmp_path / "conf").write_text(f"{follower.path} {{\nrotate 99\n{LOGROTATE[how]}\n}}\n")
    os.chmod(tmp_path / "conf", 0o644)
    words = ["logrotate", "-f", "-s", f"{tmp_path}/state", f"{tmp_path}/conf"]
    with LogWriter(follower.path, 5_000) as writer:

        def rotate():
            wait_for_the_first(follower)
            for _ in range(2 if "date" in how else 8):
                time.sleep(1.0 if "date" in how else 0.03)
                writer.tell("pause")
                subprocess.run(words, check=True, capture_output=True)
                writer.tell("reopen")
                writer.tell("resume")

        act_in_between(follower, rotate)
        written = writer.tell("stop")
    follower.turn(0.1)
    follower.ready()
    assert numbers_of(follower) == [(0, written - 1)]
    assert bool(follower.lost) == ("copytruncate" in how)
