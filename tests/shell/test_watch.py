"""File watching, with the real kernel and the installed watchdog."""

import os
import resource
import shutil
import statistics
import subprocess
import threading
import time

import pytest

from postkeel.shell.loop import Loop
from postkeel.shell.watch import Watcher

SETTLED = 0.25
"""Seconds without another call after which no more is expected; half of watchdog's own delay."""


class Bed:
    """A configuration directory, a loop and a watcher of its main.cf."""

    def __init__(self, root):
        self.root = str(root)
        self.etc = f"{root}/etc"
        self.directory = f"{root}/etc/postfix"
        self.main = f"{root}/etc/postfix/main.cf"
        os.makedirs(self.directory)
        write(self.main)
        self.errors = []
        self.calls = []
        self.loop = Loop(self.errors.append)
        self.watcher = Watcher(
            self.loop, lambda paths: self.calls.append((time.monotonic(), paths))
        )

    def after(self, act, settled=SETTLED):
        """What was called back because of this, and how long after it, in seconds."""
        self.calls.clear()
        ended = []

        def work():
            act()
            ended.append(time.monotonic())

        worker = threading.Thread(target=work)
        worker.start()
        self.turn(settled)
        worker.join()
        assert self.errors == []
        return [(moment - ended[0], paths) for moment, paths in self.calls]

    def turn(self, seconds):
        self.loop.after("end of step", seconds, self.loop.stop)
        self.loop.run_until_stopped()


@pytest.fixture
def bed(tmp_path):
    bed = Bed(tmp_path)
    yield bed
    bed.watcher.close()
    bed.loop.close()


def write(path, text="smtpd_tls_security_level = may\n"):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def replace(path):
    write(path + ".new")
    os.rename(path + ".new", path)


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


def make_again(bed):
    shutil.rmtree(bed.directory)
    os.mkdir(bed.directory)
    write(bed.main)


def swap_directories(bed):
    os.mkdir(f"{bed.etc}/other")
    write(f"{bed.etc}/other/main.cf")
    os.rename(bed.directory, f"{bed.etc}/old")
    os.rename(f"{bed.etc}/other", bed.directory)


CHANGES = {
    "written in place": lambda bed: write(bed.main),
    "replaced": lambda bed: replace(bed.main),
    "postconf -e": lambda bed: run("postconf", "-c", bed.directory, "-e", "mynetworks=127.0.0.1"),
    "sed -i": lambda bed: run("sed", "-i", "s/may/none/", bed.main),
    "cp over it": lambda bed: run("cp", "/etc/hostname", bed.main),
    "appended": lambda bed: run("sh", "-c", f"echo x=y >> {bed.main}"),
    "moved away": lambda bed: os.rename(bed.main, f"{bed.root}/kept"),
    "renamed": lambda bed: os.rename(bed.main, bed.main + ".old"),
    "deleted": lambda bed: os.unlink(bed.main),
    "became a link": lambda bed: run("ln", "-sfn", "/etc/hostname", bed.main),
    "directory deleted": lambda bed: shutil.rmtree(bed.directory),
    "directory made again": make_again,
    "directories swapped": swap_directories,
}


OF_SEVERAL_ACTS = {"directory deleted", "directory made again", "directories swapped"}
"""Between which a busy machine may pause for longer than an edit lasts."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_one_call_within_milliseconds(bed, name):
    change = CHANGES[name]
    bed.watcher.set_paths([bed.main])
    (delay, paths), *more = bed.after(lambda: change(bed))
    assert paths == {bed.main}
    assert delay < 0.1
    assert not more or name in OF_SEVERAL_ACTS
    (_, paths), *_ = bed.after(
        lambda: (os.makedirs(bed.directory, exist_ok=True), replace(bed.main))
    )
    assert paths == {bed.main}, "the watch did not outlive the change"


def test_a_file_moved_in_is_not_taken_for_one_being_written(bed):
    bed.watcher.set_paths([bed.main])
    write(f"{bed.root}/new")
    ((delay, _),) = bed.after(lambda: os.rename(f"{bed.root}/new", bed.main))
    assert delay < 0.045


def test_permissions_are_a_change(bed):
    bed.watcher.set_paths([bed.main])
    ((_, paths),) = bed.after(lambda: os.chmod(bed.main, 0o604))
    assert paths == {bed.main}


NO_CHANGES = {
    "read": lambda bed: run("cat", bed.main),
    "listed": lambda bed: os.listdir(bed.directory),
    "a neighbour written": lambda bed: write(f"{bed.directory}/main.cf.tmp"),
    "a neighbour deleted": lambda bed: (
        write(f"{bed.directory}/x"),
        os.unlink(f"{bed.directory}/x"),
    ),
    "a directory beside": lambda bed: os.mkdir(f"{bed.etc}/dovecot"),
}


@pytest.mark.parametrize("act", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_is_no_change_does_not_wake_the_loop(bed, act):
    bed.watcher.set_paths([bed.main])
    turns = []
    bed.loop._after_each = lambda: turns.append(1)
    assert bed.after(lambda: act(bed)) == []
    assert len(turns) == 1


def test_a_slow_writer_is_waited_for(bed):
    """Between truncation and last write the file is nobody's intention."""
    bed.watcher.set_paths([bed.main])
    sizes = []
    bed.watcher._on_change = lambda _: sizes.append(os.path.getsize(bed.main))

    def slowly():
        with open(bed.main, "w", encoding="utf-8", buffering=1) as file:
            for _ in range(4):
                time.sleep(0.005)
                file.write("a = b\n")

    bed.after(slowly)
    assert sizes == [24]


def test_a_burst_is_one_call_but_not_put_off_for_ever(bed):
    other = f"{bed.directory}/master.cf"
    bed.watcher.set_paths([bed.main, other])

    took = []

    def burst():
        started = time.monotonic()
        for _ in range(20):
            replace(bed.main)
            replace(other)
        took.append(time.monotonic() - started)

    calls = bed.after(burst)
    most = 1 + took[0] / 0.002  # a busy machine pauses between two of the 40 replacements
    assert 1 <= len(calls) <= min(most, 20)
    assert frozenset().union(*(paths for _, paths in calls)) == {bed.main, other}


def test_links_are_followed_and_their_switch_is_seen(bed):
    """As certbot has it: live/NAME/fullchain.pem -> ../../archive/NAME/fullchain1.pem."""
    for name in ("live/mx", "archive/mx"):
        os.makedirs(f"{bed.root}/{name}")
    first, second = (f"{bed.root}/archive/mx/fullchain{number}.pem" for number in (1, 2))
    link = f"{bed.root}/live/mx/fullchain.pem"
    write(first)
    os.symlink("../../archive/mx/fullchain1.pem", link)
    bed.watcher.set_paths([link])
    assert [paths for _, paths in bed.after(lambda: write(first))] == [{link}]
    write(second)
    switch = lambda: run("ln", "-sfn", "../../archive/mx/fullchain2.pem", link)  # noqa: E731
    assert [paths for _, paths in bed.after(switch)] == [{link}]
    assert [paths for _, paths in bed.after(lambda: write(second))] == [{link}]
    assert bed.after(lambda: write(first)) == []


def test_a_linked_directory_is_followed_when_it_is_switched(bed):
    os.rename(bed.directory, f"{bed.etc}/postfix.v1")
    shutil.copytree(f"{bed.etc}/postfix.v1", f"{bed.etc}/postfix.v2")
    os.symlink("postfix.v1", bed.directory)
    bed.watcher.set_paths([bed.main])
    switch = lambda: run("ln", "-sfn", "postfix.v2", bed.directory)  # noqa: E731
    assert [paths for _, paths in bed.after(switch)] == [{bed.main}]
    assert len(bed.after(lambda: replace(f"{bed.etc}/postfix.v2/main.cf"))) == 1
    assert bed.after(lambda: replace(f"{bed.etc}/postfix.v1/main.cf")) == []


def test_a_directory_may_appear_later(bed):
    far = f"{bed.root}/etc/letsencrypt/live/mx/privkey.pem"
    bed.watcher.set_paths([far])
    assert bed.watcher.directories == (bed.root, bed.etc)

    def appear():
        os.makedirs(os.path.dirname(far))
        write(far)

    calls = bed.after(appear)
    assert calls[-1][1] == {far}
    assert os.path.dirname(far) in bed.watcher.directories
    assert len(bed.after(lambda: write(far))) == 1


HOPELESS = {
    "a link to itself": lambda bed: os.symlink("loop", f"{bed.directory}/loop"),
    "a link to nothing": lambda bed: os.symlink("/no/such/place", f"{bed.directory}/loop"),
    "a file where a directory should be": lambda bed: write(f"{bed.directory}/loop"),
}


@pytest.mark.parametrize("make", HOPELESS.values(), ids=HOPELESS)
def test_a_path_that_leads_nowhere_is_watched_where_it_ends(bed, make):
    make(bed)
    path = f"{bed.directory}/loop/main.cf"
    bed.watcher.set_paths([path])
    assert bed.watcher.problems == ()
    assert bed.directory in bed.watcher.directories

    def mend():
        os.unlink(f"{bed.directory}/loop")
        os.mkdir(f"{bed.directory}/loop")
        write(path)

    assert bed.after(mend)[-1][1] == {path}


def test_what_the_kernel_refuses_is_a_problem_and_is_tried_again(bed):
    from postkeel.shell import watchdog_events  # noqa: F401  files to import must still open

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        bed.watcher.set_paths([bed.main])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [one.split(": ")[:2] for one in bed.watcher.problems] == [
        [bed.etc, "cannot be watched"],
        [bed.directory, "cannot be watched"],
    ]
    bed.watcher.set_paths([bed.main])
    assert bed.watcher.problems == ()
    assert len(bed.after(lambda: write(bed.main))) == 1


def test_a_path_with_dots_ends_where_the_kernel_says(bed):
    bed.watcher.set_paths([f"{bed.directory}/../postfix/./main.cf", f"{bed.directory}/.."])
    ((_, paths),) = bed.after(lambda: write(bed.main))
    assert paths == {f"{bed.directory}/../postfix/./main.cf"}


def test_after_close_nothing_is_called(bed):
    bed.watcher.set_paths([bed.main])
    bed.watcher.close()
    assert bed.after(lambda: write(bed.main)) == []
    bed.watcher.close()


def test_new_paths_are_told_and_old_ones_forgotten(bed):
    other = f"{bed.root}/other/key.pem"
    os.mkdir(os.path.dirname(other))
    assert bed.watcher.set_paths([bed.main]) == {bed.main}
    assert bed.watcher.set_paths([bed.main, other]) == {other}
    assert bed.watcher.set_paths([other]) == frozenset()
    assert bed.after(lambda: write(bed.main)) == []
    assert bed.directory not in bed.watcher.directories


def test_a_place_where_strangers_write_is_not_watched_for_its_directories(bed):
    os.chmod(bed.etc, 0o1777)  # noqa: S103  as /tmp is
    bed.watcher.set_paths([bed.main])
    assert bed.watcher.directories == (bed.directory,)


def test_comes_and_goes_without_leaving_threads_or_descriptors(bed):
    bed.watcher.set_paths([bed.main])
    bed.after(lambda: make_again(bed))
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        bed.watcher.set_paths([])
        bed.watcher.set_paths([bed.main])
        bed.after(lambda: make_again(bed))
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_idle_wakes_nobody_and_a_change_is_answered_in_six_milliseconds(bed):
    bed.watcher.set_paths([bed.main])
    bed.turn(0.1)
    before = switches()
    bed.turn(1.0)
    assert switches() - before <= 1, "the end of the second is the one wake-up"
    delays = []
    for _ in range(15):
        ((delay, _),) = bed.after(lambda: replace(bed.main), 0.05)
        delays.append(delay)
    assert statistics.median(delays) <= 0.006


def switches():
    """How often the threads of this process fell asleep, and so were woken."""
    total = 0
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return total
