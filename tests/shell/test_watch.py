"""File watching, with the real kernel."""

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
from postkeel.shell.loop import Loop
from postkeel.shell.watch import Watcher

SETTLED = 0.25
"""Seconds without another call after which no more is expected."""


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


def swap_the_directories_above(bed):
    shutil.copytree(bed.etc, f"{bed.root}/new")
    os.rename(bed.etc, f"{bed.root}/old")
    os.rename(f"{bed.root}/new", bed.etc)


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
    "directories above swapped": swap_the_directories_above,
    "directory above deleted": lambda bed: shutil.rmtree(bed.etc),
}


OF_SEVERAL_ACTS = {
    "directory deleted",
    "directory made again",
    "directories swapped",
    "directories above swapped",
    "directory above deleted",
}
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


def test_a_second_name_of_a_file_is_not_taken_for_one_being_written(bed):
    write(f"{bed.root}/other")
    os.utime(f"{bed.root}/other", (1, 1))
    os.unlink(bed.main)
    bed.watcher.set_paths([bed.main])
    ((delay, _),) = bed.after(lambda: os.link(f"{bed.root}/other", bed.main))
    assert delay < 1.0


def test_a_name_is_any_octets(bed):
    path = os.fsdecode(os.fsencode(bed.directory) + b"/main \xff\n.cf")
    bed.watcher.set_paths([path])
    ((_, paths),) = bed.after(lambda: write(path))
    assert paths == {path}


def test_permissions_are_a_change(bed):
    bed.watcher.set_paths([bed.main])
    ((_, paths),) = bed.after(lambda: os.chmod(bed.main, 0o604))
    assert paths == {bed.main}


READS = {
    "read": lambda bed: run("cat", bed.main),
    "listed": lambda bed: os.listdir(bed.directory),
}


@pytest.mark.parametrize("act", READS.values(), ids=READS)
def test_a_read_does_not_wake_the_loop(bed, act):
    bed.watcher.set_paths([bed.main])
    assert turns_of(bed, lambda: act(bed)) == 1


NEIGHBOURS = {
    "written": lambda bed: write(f"{bed.directory}/main.cf.tmp"),
    "deleted": lambda bed: (
        write(f"{bed.directory}/x"),
        os.unlink(f"{bed.directory}/x"),
    ),
    "a directory beside": lambda bed: os.mkdir(f"{bed.etc}/dovecot"),
    "a directory's mode": lambda bed: os.chmod(bed.directory, 0o700),
}


@pytest.mark.parametrize("act", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_what_nobody_asked_for_is_taken_off_the_queue_and_nothing_more(bed, act):
    bed.watcher.set_paths([bed.main])
    assert turns_of(bed, lambda: act(bed)) <= 5, "more than one a system call"
    assert "postkeel.watch" not in bed.loop.due_times()


def turns_of(bed, act):
    """How often the loop turned for this, which is no change; the end of the step is one."""
    turns = []
    bed.loop._after_each = lambda: turns.append(1)
    assert bed.after(act) == []
    return len(turns)


UNHEARD = {
    "replaced": lambda bed: replace(bed.main),
    "directory made again": make_again,
}


@pytest.mark.parametrize("act", UNHEARD.values(), ids=UNHEARD)
def test_when_the_kernel_drops_events_everything_asked_may_have_changed(bed, act):
    other = f"{bed.root}/other/key.pem"
    os.mkdir(os.path.dirname(other))
    bed.watcher.set_paths([bed.main, other])
    fill_the_queue(bed.directory)
    act(bed)
    bed.watcher._on_change = lambda paths: (bed.calls.append(paths), bed.loop.stop())
    bed.turn(20)
    assert bed.calls == [{bed.main, other}]
    bed.watcher._on_change = lambda paths: bed.calls.append((time.monotonic(), paths))
    bed.turn(SETTLED)
    assert [paths for _, paths in bed.after(lambda: replace(bed.main))] == [{bed.main}]


def fill_the_queue(directory):
    """With all the events that the kernel keeps for one descriptor."""
    most = int(read("/proc/sys/fs/inotify/max_queued_events"))
    if most > 200_000:
        pytest.skip(f"fs.inotify.max_queued_events is {most}: too many to fill")
    write(f"{directory}/0")
    for number in range(most):
        os.rename(f"{directory}/{number}", f"{directory}/{number + 1}")
    os.unlink(f"{directory}/{most}")


def test_a_stream_of_a_neighbours_lines_is_little_work(bed):
    bed.watcher.set_paths([bed.main])
    with LogWriter(f"{bed.directory}/log", 50_000) as writer:
        before = time.process_time()
        assert bed.after(lambda: None, 1.5) == []
        took = time.process_time() - before
        assert writer.tell("stop") > 5_000
    assert took < 0.45  # of a processor


@pytest.mark.parametrize("before", [write, os.unlink], ids=["written again", "made"])
def test_a_slow_writer_is_waited_for(bed, before):
    """Between truncation and last write the file is nobody's intention."""
    before(bed.main)
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


def test_a_directory_that_is_replaced_where_strangers_write_is_found_again(bed):
    os.chmod(bed.etc, 0o1777)  # noqa: S103  as /tmp is
    bed.watcher.set_paths([bed.main])
    assert bed.after(lambda: swap_directories(bed))[0][1] == {bed.main}
    assert [paths for _, paths in bed.after(lambda: write(bed.main))] == [{bed.main}]


def test_comes_and_goes_without_leaving_watches_or_descriptors(bed):
    threads = threading.active_count()
    bed.watcher.set_paths([bed.main])
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        bed.watcher.set_paths([bed.main])
        make_again(bed)
        bed.turn(0.02)
        swap_directories(bed)
        shutil.rmtree(f"{bed.etc}/old")
        deadline = time.monotonic() + 10
        while kernel_watches() != 2 and time.monotonic() < deadline:
            bed.turn(0.02)
        assert kernel_watches() == 2
        assert bed.watcher.directories == (bed.etc, bed.directory)
        bed.watcher.set_paths([])
        assert kernel_watches() == 0
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert threading.active_count() <= threads
    bed.watcher.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors - 1


def kernel_watches():
    """How many directories the kernel watches for this process."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found += read(f"/proc/self/fdinfo/{number}").count("inotify wd:")
    return found


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


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
