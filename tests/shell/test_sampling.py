"""Samples of new messages: real files, the real kernel, a real loop."""

import contextlib
import errno
import mailbox
import os
import pathlib
import pickle
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc

import pytest

from postkeel.core.mail import Mailboxes
from postkeel.shell import sampled_files, sampling
from postkeel.shell.inotify import Inotify
from postkeel.shell.loop import Loop
from postkeel.shell.sampling import Sampling

PATIENCE = 20
QUIET = 0.6
"""Seconds after which what was to come would have come: three times what is gathered in."""

RECEIVED = b"Received: from a.test (a.test [192.0.2.1])\n\tby mx.test (Postfix) with ESMTPS id %d\n"
RESULTS = b"Authentication-Results: mx.test; dkim=pass\n"


def message(number=1, *, body=b"Dear reader,\n", more=b""):
    return (
        RECEIVED % number
        + b"Subject: a secret word\nFrom: <someone@secret.test>\n"
        + RESULTS
        + more
        + b"To: <somebody@secret.test>\n\n"
        + body
    )


def wanted(number=1):
    return RECEIVED % number + RESULTS


class Bed:
    """A loop, and what the sampling has said."""

    def __init__(self):
        self.errors = []
        self.calls = []
        self.complaints = []
        self.now = 0.0
        self.loop = Loop(self.errors.append, clock=lambda: time.monotonic() + self.now)
        self.sampling = None

    def watch(self, *paths, most=60):
        self.sampling = Sampling(
            self.loop,
            Mailboxes(paths=tuple(map(str, paths)), most=most),
            self.calls.append,
            self.complaints.append,
        )

    @property
    def taken(self):
        return [one for call in self.calls for one in call]

    def turn(self, seconds=0.01):
        self.loop.after("end of step", seconds, self.loop.stop)
        self.loop.run_until_stopped()

    def until(self, condition):
        ends = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < ends, (self.taken, self.complaints)
            self.turn()

    def until_taken(self, number):
        self.until(lambda: len(self.taken) >= number)
        assert len(self.taken) == number

    def until_said(self, words):
        self.until(lambda: any(words in one for one in self.complaints))

    def until_well(self):
        self.until(lambda: not self.sampling.problems)

    def a_minute_later(self):
        self.now += 61
        self.turn()

    def close(self):
        if self.sampling is not None:
            self.sampling.close()
            assert self.loop.due_times() == {}
        self.loop.close()
        assert self.errors == []


@pytest.fixture
def bed():
    with contextlib.closing(Bed()) as one:
        yield one


@pytest.fixture
def maildir(tmp_path):
    return a_maildir(tmp_path / "Maildir")


@pytest.fixture
def mbox(tmp_path):
    file = tmp_path / "mbox"
    file.write_bytes(in_mbox(message(0)))
    return file


@pytest.fixture
def place():
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="postkeel-sampling-") as directory:
        place = pathlib.Path(directory)
        place.chmod(0o755)
        yield place


@contextlib.contextmanager
def as_root():
    """Within `as_nobody`: who the test really is."""
    before = os.geteuid()
    os.seteuid(os.getuid())
    try:
        yield
    finally:
        os.seteuid(before)


def a_maildir(path):
    for one in ("tmp", "new", "cur"):
        (path / one).mkdir(parents=True)
    return path


def deliver(maildir, number=1, name=None, octets=None):
    """As a server does: written aside, and then renamed."""
    name = name or f"{number}.test"
    (maildir / "tmp" / name).write_bytes(message(number) if octets is None else octets)
    (maildir / "tmp" / name).rename(maildir / "new" / name)
    return maildir / "new" / name


def in_mbox(*messages):
    return b"".join(
        b"From a@secret.test Mon Nov 23 10:00:00 2026\n" + one + b"\n" for one in messages
    )


def add(file, *messages, octets=None):
    with file.open("ab") as opened:
        opened.write(in_mbox(*messages) if octets is None else octets)


class TestMaildir:
    def test_what_comes_is_taken_and_what_was_there_is_not(self, bed, maildir):
        deliver(maildir, 1)
        bed.watch(f"{maildir}/")
        deliver(maildir, 2)
        bed.until_taken(1)
        bed.turn(QUIET)
        assert bed.taken == [wanted(2)]
        assert bed.complaints == []
        assert bed.sampling.problems == ()

    def test_those_of_a_moment_are_one_call(self, bed, maildir):
        bed.watch(f"{maildir}/")
        for number in range(10):
            deliver(maildir, number)
        bed.until_taken(10)
        assert bed.calls == [tuple(map(wanted, range(10)))]

    def test_a_name_that_is_linked(self, bed, maildir):
        bed.watch(f"{maildir}/")
        (maildir / "tmp/1").write_bytes(message())
        os.link(maildir / "tmp/1", maildir / "new/1")
        (maildir / "tmp/1").unlink()
        bed.until_taken(1)

    def test_a_message_that_is_written_in_its_place_is_taken_when_it_is_whole(self, bed, maildir):
        bed.watch(f"{maildir}/")
        with (maildir / "new/1").open("wb", buffering=0) as file:
            bed.turn(QUIET)
            file.write(message()[:40])
            bed.turn(QUIET)
            assert bed.calls == []
            file.write(message()[40:])
        bed.until_taken(1)
        assert bed.taken == [wanted()]
        with (maildir / "new/1").open("ab") as file:
            file.write(b"more\n")
        bed.turn(QUIET)
        assert len(bed.taken) == 1

    def test_of_what_is_never_finished_no_more_than_so_many_are_remembered(self, bed, maildir):
        bed.watch(f"{maildir}/", most=1000)
        with contextlib.ExitStack() as stack:
            for number in range(sampling._MOST_HALF + 5):
                file = stack.enter_context((maildir / f"new/{number}").open("wb", buffering=0))
                bed.turn()
                file.write(message(number))
            assert len(bed.sampling._half) == sampling._MOST_HALF
        bed.until_taken(sampling._MOST_HALF)

    @pytest.mark.parametrize("flags", [":2,", ":2,S", ":2,FRSabc", ",S=400:2,T"])
    def test_a_message_that_a_client_has_filed_already(self, bed, maildir, flags):
        bed.watch(f"{maildir}/")
        for number in range(50):
            (maildir / f"cur/x{number}:2,S").write_bytes(b"")
        unique, comma, rest = f"1.test{flags}".partition(":")
        deliver(maildir, name=unique).rename(maildir / f"cur/{unique}{comma}{rest}")
        bed.until_taken(1)
        assert bed.taken == [wanted()]

    def test_a_message_that_is_gone_already(self, bed, maildir):
        bed.watch(f"{maildir}/")
        deliver(maildir, 1).unlink()
        shutil.rmtree(maildir / "cur")
        deliver(maildir, 2).unlink()
        deliver(maildir, 3)
        bed.until_taken(1)
        assert bed.taken == [wanted(3)]
        assert bed.complaints == []

    def test_what_is_no_message(self, bed, maildir):
        bed.watch(f"{maildir}/")
        new = maildir / "new"
        (new / "directory").mkdir()
        (new / ".hidden").write_bytes(message())
        (new / "link").symlink_to("/etc/hostname")
        bed.until_said(f"{maildir}/: new messages cannot be read: it is a symbolic link")
        os.mkfifo(new / "pipe")
        bed.until_said("it is no regular file")
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(new / "socket"))
            bed.until_said("No such device or address")
        assert len(bed.sampling.problems) == 1
        deliver(maildir)
        bed.until_taken(1)
        assert bed.sampling.problems == ()
        (new / "another").symlink_to("/etc/hostname")
        bed.turn(QUIET)
        assert len(bed.complaints) == 3
        assert len(bed.sampling.problems) == 1

    @pytest.mark.parametrize("kind", ["moved away", "removed", "replaced"])
    def test_a_directory_that_is_another_one(self, bed, maildir, tmp_path, kind):
        bed.watch(f"{maildir}/")
        deliver(maildir)
        bed.until_taken(1)
        if kind == "removed":
            shutil.rmtree(maildir)
        else:
            maildir.rename(tmp_path / "aside")
        if kind != "replaced":
            bed.until_said("there is no such mailbox now")
            assert len(bed.sampling.problems) == 1
        a_maildir(maildir)
        bed.until(lambda: deliver(maildir, 2) and bed.turn(0.1) is None and len(bed.taken) > 1)
        assert set(bed.taken[1:]) == {wanted(2)}
        bed.until_well()
        if kind != "removed":
            before = len(bed.taken)
            deliver(tmp_path / "aside", 3)
            bed.turn(QUIET)
            assert wanted(3) not in bed.taken[before:]

    def test_the_first_message_of_a_maildir_that_was_not_there(self, bed, tmp_path):
        maildir = tmp_path / "home/user/Maildir"
        bed.watch(f"{maildir}/")
        bed.until_said("there is no such mailbox now")
        a_maildir(maildir)
        deliver(maildir, 1)
        deliver(maildir, 2)
        old = deliver(maildir, 3)
        os.utime(old, (1, 1))
        bed.until_taken(2)
        bed.until_well()
        deliver(maildir, 4)
        bed.until_taken(3)
        assert sorted(bed.taken) == [wanted(1), wanted(2), wanted(4)]

    def test_a_newcomer_that_the_kernel_tells_of_too_is_taken_once(
        self, bed, tmp_path, monkeypatch
    ):
        maildir = tmp_path / "Maildir"
        bed.watch(f"{maildir}/")
        listed = sampled_files.Maildir.newcomers

        def after_a_delivery(one):
            if bed.sampling._watched:
                deliver(maildir)
            return listed(one)

        monkeypatch.setattr(sampled_files.Maildir, "newcomers", after_a_delivery)
        a_maildir(maildir)
        bed.until_taken(1)
        bed.turn(QUIET)
        assert len(bed.taken) == 1

    def test_a_newcomer_that_is_gone_when_it_is_asked_for(self, maildir):
        deliver(maildir)
        with os.scandir(maildir / "new") as entries:
            (entry,) = entries
        (maildir / "new/1.test").unlink()
        assert not sampled_files._came_after(entry, 0)

    def test_leave_that_is_taken_and_given_again(self, bed, place, as_nobody):
        maildir = a_maildir(place / "Maildir")
        with as_nobody:
            bed.watch(f"{maildir}/")
            with as_root():
                (maildir / "tmp/1.test").write_bytes(message(1))
                (maildir / "tmp/1.test").chmod(0)
                (maildir / "tmp/1.test").rename(maildir / "new/1.test")
            bed.until_said("new messages cannot be read: Permission denied")
            with as_root():
                maildir.chmod(0)
            bed.turn(QUIET)
            with as_root():
                maildir.chmod(0o755)
                deliver(maildir, 3)
            bed.until_taken(1)
            assert bed.taken == [wanted(3)]
            assert bed.sampling.problems == ()

    def test_a_maildir_that_is_closed_at_first(self, bed, place, as_nobody):
        maildir = a_maildir(place / "Maildir")
        maildir.chmod(0)
        with as_nobody:
            bed.watch(f"{maildir}/")
            bed.turn(QUIET)
            assert "may not read it" in bed.sampling.problems[0]
            with as_root():
                maildir.chmod(0o755)
            bed.until_well()
            with as_root():
                deliver(maildir)
            bed.until_taken(1)


class TestMbox:
    def test_what_is_added_is_taken_and_what_was_there_is_not(self, bed, mbox):
        bed.watch(mbox)
        add(mbox, message(1))
        bed.until_taken(1)
        add(mbox, message(2), message(3, body=b"x\n\n>From me\n"), message(4))
        bed.until_taken(4)
        bed.turn(QUIET)
        assert bed.taken == [wanted(1), wanted(2), wanted(3), wanted(4)]
        assert bed.complaints == []

    def test_what_another_program_adds(self, bed, mbox):
        bed.watch(mbox)
        with contextlib.closing(mailbox.mbox(mbox)) as box:
            box.lock()
            for number in range(3):
                box.add(message(number, body=b"text\nFrom here on\n\nFrom there\n" * 3))
            box.flush()
            box.unlock()
        bed.until_taken(3)
        assert bed.taken == [wanted(0), wanted(1), wanted(2)]

    def test_ends_of_lines_as_on_other_systems(self, bed, mbox):
        bed.watch(mbox)
        add(mbox, octets=in_mbox(message(1), message(2)).replace(b"\n", b"\r\n"))
        bed.until_taken(2)
        assert bed.taken[1] == wanted(2).replace(b"\n", b"\r\n")

    def test_every_way_to_cut_what_is_written(self, tmp_path):
        file = tmp_path / "mbox"
        octets = in_mbox(message(1, body=b""), message(2), message(3, body=b"\n\n\n"))
        for cut in range(len(octets)):
            file.write_bytes(in_mbox(message(0)))
            box = sampled_files.Mbox(str(file))
            box.skip()
            add(file, octets=octets[:cut])
            found = box.headers(9)
            add(file, octets=octets[cut:])
            assert found + box.headers(9) == [wanted(1), wanted(2), wanted(3)], cut
            assert box.headers(9) == []

    def test_half_a_message_waits_for_the_rest(self, bed, mbox):
        bed.watch(mbox)
        octets = in_mbox(message(1, body=b"long " * 10_000 + b"\n"))
        add(mbox, octets=octets[:90])
        bed.turn(QUIET)
        assert bed.calls == []
        add(mbox, octets=octets[90:30_000])
        bed.until_taken(1)
        add(mbox, octets=octets[30_000:])
        add(mbox, message(2))
        bed.until_taken(2)
        assert bed.taken == [wanted(1), wanted(2)]

    def test_a_lock_that_is_never_given_back_is_none_of_ours(self, bed, mbox):
        bed.watch(mbox)
        with mbox.open("ab") as file:
            os.lockf(file.fileno(), os.F_LOCK, 0)
            file.write(in_mbox(message(1)))
            file.flush()
            bed.until_taken(1)

    @pytest.mark.parametrize("kind", ["truncated", "emptied", "replaced"])
    def test_it_goes_on_from_the_end_of_what_is_there(self, bed, mbox, kind):
        add(mbox, message(1), message(2), message(3))
        bed.watch(mbox)
        if kind == "replaced":
            mbox.with_name("new").write_bytes(in_mbox(*map(message, range(8))))
            mbox.with_name("new").rename(mbox)
        else:
            left = in_mbox(message(0), message(1)) if kind == "truncated" else b""
            os.truncate(mbox, len(left))
        bed.turn(QUIET)
        assert bed.calls == []
        add(mbox, message(9))
        bed.until_taken(1)
        assert bed.taken == [wanted(9)]
        assert bed.complaints == []

    def test_a_file_that_is_made_by_its_first_message(self, bed, tmp_path):
        file = tmp_path / "mail/user"
        bed.watch(file)
        bed.until_said("there is no such mailbox now")
        (tmp_path / "mail").mkdir()
        (tmp_path / "mail/user.lock").write_bytes(b"")
        add(file, message(1))
        bed.until_taken(1)
        bed.until_well()
        file.unlink()
        bed.until(lambda: bed.sampling.problems)
        add(file, message(2))
        bed.until_taken(2)
        assert bed.taken == [wanted(1), wanted(2)]
        assert len(bed.complaints) == 1

    def test_an_old_file_that_is_moved_there_holds_nothing_new(self, bed, mbox, tmp_path):
        bed.watch(tmp_path / "other")
        bed.until_said("there is no such mailbox now")
        os.utime(mbox, (1, 1))
        mbox.rename(tmp_path / "other")
        bed.until_well()
        add(tmp_path / "other", message(1))
        bed.until_taken(1)
        assert bed.taken == [wanted(1)]

    @pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
    def test_what_is_put_in_its_place(self, bed, mbox, kind):
        bed.watch(mbox)
        mbox.unlink()
        if kind == "link":
            mbox.symlink_to("/etc/hostname")
        elif kind == "pipe":
            os.mkfifo(mbox)
        else:
            mbox.mkdir()
        link = "it is a symbolic link"
        bed.until_said(link if kind == "link" else "it is no regular file")
        bed.turn(QUIET)
        assert len(bed.complaints) == 1
        if kind == "directory":
            mbox.rmdir()
        else:
            mbox.unlink()
        bed.until(lambda: "no such mailbox" in str(bed.sampling.problems))
        add(mbox, message(1))
        bed.until_taken(1)
        bed.until_well()

    def test_leave_that_is_taken_and_given_again(self, bed, place, as_nobody):
        mbox = place / "mbox"
        add(mbox, message(0))
        with as_nobody:
            bed.watch(mbox)
            with as_root():
                mbox.chmod(0)
            bed.until_said("the user of the side monitor may not read it")
            with as_root():
                mbox.chmod(0o644)
                add(mbox, message(1))
            bed.until_taken(1)
            bed.until_well()

    def test_who_may_not_even_look_begins_at_the_end(self, place, as_nobody):
        add(place / "mbox", message(0))
        place.chmod(0)
        with as_nobody:
            box = sampled_files.Mbox(f"{place}/mbox")
            box.skip()
        place.chmod(0o755)
        assert box.headers(9) == []
        add(place / "mbox", message(1))
        assert box.headers(9) == [wanted(1)]

    def test_of_a_gibibyte_that_comes_at_once_little_is_passed_over(self, bed, mbox):
        bed.watch(mbox)
        add(mbox, message(1))
        os.truncate(mbox, 1 << 30)
        add(mbox, octets=b"\n\n" + in_mbox(message(2)))
        before = time.process_time()
        bed.until_taken(1)
        assert time.process_time() - before < 1
        add(mbox, message(3))
        bed.until_taken(2)
        assert bed.taken == [wanted(1), wanted(3)]


class TestHeaders:
    @pytest.mark.parametrize(
        ("octets", "kept"),
        [
            (b"", b""),
            (b"\n" + wanted(), b""),
            (b"\r\n" + wanted(), b""),
            (b"Subject: x\n\n" + wanted(), b""),
            (b"X-Received: by\n" + wanted(), wanted()),
            (b"RECEIVED : by a\n b\n\tc\nSubject: d\n e\n", b"RECEIVED : by a\n b\n\tc\n"),
            (b"Subject: a\n Received: by b\n\n", b""),
            (b"Subject: a\rReceived: by b\n\n", b""),
            (b"received: \0\xff\n\0\n", b"received: \0\xff\n"),
            (b"Received: by a", b"Received: by a"),
        ],
    )
    def test_two_fields_as_they_stand_and_nothing_else(self, tmp_path, octets, kept):
        maildir = a_maildir(tmp_path)
        deliver(maildir, name="1", octets=octets)
        header = sampled_files.Maildir(f"{maildir}/").header("1")
        assert header is not None
        assert header.fields == kept

    def test_of_a_header_without_end_the_beginning(self, bed, maildir):
        bed.watch(f"{maildir}/")
        deliver(maildir, 1, octets=wanted(1) + b"X: y\n" * 3_000_000)
        deliver(maildir, 2, octets=wanted(2) + b"Received: " + b"a" * 1_000_000)
        deliver(maildir, 3, octets=b"a" * 60_000 + b"\n" + RECEIVED % 3 * 1000)
        bed.until_taken(3)
        assert bed.taken[:2] == [wanted(1), wanted(2)]
        rest = bed.taken[2]
        assert rest == RECEIVED % 3 * (len(rest) // len(RECEIVED % 3))
        assert len(rest) < sampled_files.MOST_HEADER

    @pytest.mark.parametrize("place", range(8180, 8200))
    def test_the_end_of_a_header_at_the_edge_of_what_is_read_at_once(self, tmp_path, place):
        maildir = a_maildir(tmp_path)
        start = wanted() + b"X: "
        for end in (b"\n\n", b"\n\r\n", b"\r\n\r\n"):
            octets = start + b"x" * (place - len(start)) + end + wanted(2)
            deliver(maildir, name="1", octets=octets)
            assert sampled_files.Maildir(f"{maildir}/").header("1") == (wanted(), True)

    def test_reading_leaves_no_trace(self, bed, mbox, maildir):
        """By the time of the last reading a shell or mutt tells whether there is new mail."""
        bed.watch(mbox, f"{maildir}/")
        add(mbox, message())
        os.utime(mbox, (1, os.stat(mbox).st_mtime))
        os.utime(deliver(maildir), (1, 2))
        bed.until_taken(2)
        assert os.stat(mbox).st_atime == 1
        assert os.stat(maildir / "new/1.test").st_atime == 1

    def test_what_belongs_to_others_is_read_as_it_may_be(self, place, as_nobody):
        maildir = a_maildir(place / "Maildir")
        deliver(maildir, name="1")
        with as_nobody:
            assert sampled_files.Maildir(f"{maildir}/").header("1") == (wanted(), True)

    def test_nothing_else_of_a_message_is_kept(self, bed, mbox, maildir):
        bed.watch(mbox, f"{maildir}/")
        for number in range(20):
            add(mbox, message(number, body=b"a secret body\n" * 100))
            deliver(maildir, number, octets=message(number, body=b"a secret body\n" * 100))
        bed.until_taken(40)
        held = pickle.dumps([vars(one) for one in bed.sampling._places])
        said = b"".join(bed.taken) + held + repr(bed.complaints).encode()
        held_here = {
            name: value
            for name, value in vars(bed.sampling).items()
            if name not in ("_loop", "_inotify", "_ready", "_complain", "_places")
        }
        assert b"secret" not in said + repr(held_here).encode()

    def test_memory_is_that_of_two_fields(self, bed, maildir):
        bed.watch(f"{maildir}/", most=500)
        body = b"x" * 100_000
        deliver(maildir, 0, octets=message(0, body=body))
        bed.until_taken(1)
        for number in range(1, 201):
            deliver(maildir, number, octets=message(number, body=body))
        tracemalloc.start()
        try:
            bed.until_taken(201)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 500_000  # five of 200 bodies, and all fields


class TestQuota:
    def test_no_more_than_so_many_a_minute_of_all_mailboxes(self, bed, maildir, mbox):
        bed.watch(f"{maildir}/", mbox, most=5)
        for number in range(3):
            deliver(maildir, number)
        bed.until_taken(3)
        add(mbox, *map(message, range(3, 9)))
        bed.until_taken(5)
        deliver(maildir, 20)
        bed.turn(QUIET)
        assert bed.taken == list(map(wanted, range(5)))
        bed.a_minute_later()
        bed.turn(QUIET)
        assert len(bed.taken) == 5
        deliver(maildir, 30)
        add(mbox, message(31))
        bed.until_taken(7)
        assert set(bed.taken[5:]) == {wanted(30), wanted(31)}
        assert bed.complaints == []

    def test_a_minute_in_which_less_came_is_over_too(self, bed, maildir):
        bed.watch(f"{maildir}/", most=3)
        for turn in range(3):
            deliver(maildir, turn * 2)
            deliver(maildir, turn * 2 + 1)
            bed.until_taken(turn * 2 + 2)
            bed.a_minute_later()

    def test_of_none_a_minute_nothing_is_watched(self, bed, maildir):
        bed.watch(f"{maildir}/", most=0)
        deliver(maildir)
        bed.turn(QUIET)
        assert bed.calls == []
        assert bed.sampling._inotify is None

    def test_what_cannot_be_read_counts_too(self, bed, maildir):
        bed.watch(f"{maildir}/", most=4)
        for number in range(10):
            (maildir / f"new/{number}").symlink_to("/etc/hostname")
        deliver(maildir)
        bed.turn(QUIET)
        assert bed.calls == []
        assert len(bed.complaints) == 1

    def test_newcomers_of_a_new_maildir_count_too(self, bed, tmp_path):
        maildir = tmp_path / "Maildir"
        bed.watch(f"{maildir}/", f"{tmp_path}/other/", most=4)
        aside = a_maildir(tmp_path / "aside")
        for number in range(10):
            deliver(aside, number)
        aside.rename(maildir)
        bed.until_taken(4)
        bed.turn(QUIET)
        assert len(bed.taken) == 4

    def test_a_storm_costs_what_a_minute_of_samples_does(self, bed, maildir):
        bed.watch(f"{maildir}/")
        source = maildir / "tmp/source"
        source.write_bytes(message())
        link_many(source, maildir / "new", range(20_000))
        before = time.process_time()
        bed.until_taken(60)
        bed.turn(QUIET)
        assert time.process_time() - before < 0.5
        assert len(bed.taken) == 60
        # And when they come while it is at rest:
        before = resource.getrusage(resource.RUSAGE_THREAD)
        storm_of_links = (
            "import os, sys\n"
            "for number in range(20_000, 30_000): os.link(sys.argv[1], f'{sys.argv[2]}/{number}')"
        )
        with subprocess.Popen(
            [sys.executable, "-c", storm_of_links, source, maildir / "new"]
        ) as storm:
            while storm.poll() is None:
                bed.turn(QUIET)
        bed.turn(QUIET)
        after = resource.getrusage(resource.RUSAGE_THREAD)
        # A link of the storm that woke it would make thousands of these.
        assert after.ru_nvcsw - before.ru_nvcsw < 100
        assert len(bed.taken) == 60

    def test_more_than_the_kernel_keeps_is_said(self, bed, maildir):
        bed.watch(f"{maildir}/", most=1_000_000)
        with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
            most = int(file.read())
        link = maildir / "tmp/link"
        link.symlink_to("/etc/hostname")
        for number in range(most + 100):
            os.rename(link, maildir / f"new/.{number % 7}")
            os.rename(maildir / f"new/.{number % 7}", link)
        bed.until_said("more happened in the mailboxes than the kernel keeps")
        deliver(maildir)
        bed.until_taken(1)


class TestQuiet:
    def test_at_rest_nothing_is_done(self, bed, maildir, mbox, tmp_path):
        bed.watch(f"{maildir}/", mbox, tmp_path / "missing/mbox", tmp_path / "missing/Maildir/")
        deliver(maildir)
        add(mbox, message())
        bed.until_taken(2)
        bed.turn(1)
        before = resource.getrusage(resource.RUSAGE_SELF)
        bed.turn(2)
        after = resource.getrusage(resource.RUSAGE_SELF)
        assert after.ru_nvcsw - before.ru_nvcsw <= 3
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.02
        assert bed.loop.due_times() == {}

    def test_mail_of_others_beside_an_mbox_wakes_nobody(self, bed, mbox):
        bed.watch(mbox)
        bed.turn()
        called = []
        bed.sampling._happened = called.append
        for number in range(100):
            mbox.with_name(f"{number}.lock").write_bytes(b"")
            add(mbox.with_name("another"), message())
        bed.turn(0.3)
        assert called == []

    def test_who_plays_with_the_directories_is_looked_at_less_and_less(self, bed, tmp_path):
        visits = []
        bed.watch(tmp_path / "missing/mbox")
        looked, visit = bed.sampling._visit_all, visits.append
        bed.sampling._visit_all = lambda: (visit(time.monotonic()), looked())
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            (tmp_path / "other").mkdir()
            (tmp_path / "other").rmdir()
            bed.turn(0.002)
        assert 1 < len(visits) < 8
        bed.sampling._pause = 0.1
        (tmp_path / "missing").mkdir()
        add(tmp_path / "missing/mbox", message())
        bed.until_taken(1)


class TestKernel:
    def test_without_room_for_another_instance_it_waits(self, bed, maildir, monkeypatch):
        refused = OSError(errno.EMFILE, "Too many open files: see the limit")

        def refuse(*_):
            raise refused

        monkeypatch.setattr(sampling, "Inotify", refuse)
        bed.watch(f"{maildir}/")
        assert bed.complaints == ["mailboxes cannot be watched: Too many open files: see the limit"]
        monkeypatch.setattr(sampling, "Inotify", Inotify)
        bed.a_minute_later()
        deliver(maildir)
        bed.until_taken(1)
        assert bed.sampling.problems == ()

    def test_without_room_for_another_watch_it_tries_again_later(self, bed, maildir, monkeypatch):
        full = OSError(errno.ENOSPC, "No space left on device: see the sysctl")
        watch = Inotify.watch

        def refuse(*_):
            raise full

        monkeypatch.setattr(Inotify, "watch", refuse)
        bed.watch(f"{maildir}/")
        assert "it cannot be watched: No space left on device: see the sysctl" in bed.complaints[0]
        monkeypatch.setattr(Inotify, "watch", watch)
        bed.a_minute_later()
        deliver(maildir)
        bed.until_taken(1)

    def test_a_tree_that_never_holds_still_is_left_for_later(self, bed, tmp_path, monkeypatch):
        places = iter([f"{tmp_path}/{number}" for number in range(100)])
        monkeypatch.setattr(Sampling, "_wait_in", lambda *_: next(places))
        bed.watch(tmp_path / "missing")
        assert next(places) == f"{tmp_path}/{sampling._MOST_PASSES}"

    def test_an_end_that_was_asked_for_is_no_news(self, bed, maildir):
        bed.watch(f"{maildir}/")
        (watch,) = bed.sampling._watched
        bed.sampling._watched.clear()
        bed.sampling._inotify.forget(watch)
        bed.turn(QUIET)
        assert bed.loop.due_times().keys() <= {"end of step"}

    def test_an_error_in_the_middle_of_a_file(self, bed, mbox, monkeypatch):
        bed.watch(mbox)

        def broken(*_):
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", broken)
            add(mbox, message(1))
            bed.until_said("new messages cannot be read: Input/output error")
        add(mbox, message(2))
        bed.until_taken(2)


def link_many(source, directory, numbers):
    for number in numbers:
        os.link(source, directory / f"{number}")
