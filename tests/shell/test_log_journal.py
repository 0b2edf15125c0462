"""The journal as a log source, with a real journald: what is read once each, what is missed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import threading
import time

import pytest

import postkeel.shell
import private_journal as bed
from postkeel.core.errors import PostkeelError
from postkeel.shell import journal_reader, log_journal
from postkeel.shell.journal_entry import LINE, line_of
from postkeel.shell.log_journal import Journal
from postkeel.shell.loop import Loop

UNITS = ("postfix@-.service", "postfix.service")
DAY = 24 * 3600

live = pytest.mark.live


def _needs(reason):
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def start():
    """A function that starts a private journald for this test: see `private_journal`."""
    _needs(bed.why_not())
    with contextlib.ExitStack() as stack:
        yield lambda *settings: stack.enter_context(bed.private_journal(*settings))


@pytest.fixture
def journald(start):
    return start()


@pytest.fixture
def source(journald):
    """What this process logs, from the beginning."""
    with contextlib.closing(of(journald)) as journal:
        yield journal


def of(journald, position=None, directory=None, **settings):
    return Journal(
        (), (journald.program,), (), position, directory or journald.directory, **settings
    )


def restored(position):
    """The position as the database gives it back."""
    return json.loads(json.dumps(position))


def everything(source):
    """All batches up to now."""
    return list(iter(source.read, None))


def messages(batches):
    return [
        line.split(": ", 1)[1]
        for one in batches
        for line in one.text.decode(errors="surrogateescape").splitlines()
    ]


def lost(batches):
    return [sentence for one in batches for sentence in one.lost]


def read_when(journald, source):
    """What can be read once journald has dealt with all that was logged."""
    journald.sync()
    return messages(everything(source))


# One line of one entry: fields, line.
WRITTEN = 1795352960000005  # 2026-11-22T13:09:20.000005 UTC
PLAIN = {
    "__REALTIME_TIMESTAMP": WRITTEN,
    "_HOSTNAME": b"mx",
    "SYSLOG_IDENTIFIER": b"postfix/smtpd",
    "_PID": b"7",
    "MESSAGE": b"connect",
}
ENTRIES = {
    "plain": ({}, b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: connect\n"),
    "sent a little earlier": (
        {"_SOURCE_REALTIME_TIMESTAMP": b"1795352959123456"},
        b"2026-11-22T13:09:19.123456+00:00 mx postfix/smtpd[7]: connect\n",
    ),
    "sent an hour earlier": (
        {"_SOURCE_REALTIME_TIMESTAMP": b"1795349360000005"},
        b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: connect\n",
    ),
    "sent an hour later": (
        {"_SOURCE_REALTIME_TIMESTAMP": b"1795356560000005"},
        b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: connect\n",
    ),
    "sent at no time": (
        {"_SOURCE_REALTIME_TIMESTAMP": b"soon"},
        b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: connect\n",
    ),
    "the claimed process number does not count": (
        {"SYSLOG_PID": b"1"},
        b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: connect\n",
    ),
    "several messages": (
        {"MESSAGE": [b"first", b"second"]},
        b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: first\n",
    ),
    "no message": ({"MESSAGE": b""}, b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: \n"),
    "no identifier": (
        {"SYSLOG_IDENTIFIER": b"", "_COMM": b"smtpd"},
        b"2026-11-22T13:09:20.000005+00:00 mx smtpd[7]: connect\n",
    ),
    "nothing but a time": (
        {"SYSLOG_IDENTIFIER": b"", "_HOSTNAME": b"", "_PID": b"", "MESSAGE": b""},
        b"2026-11-22T13:09:20.000005+00:00 - -[-]: \n",
    ),
    "an identifier that would begin a line": (
        {"SYSLOG_IDENTIFIER": b"a\n\0b"},
        b"2026-11-22T13:09:20.000005+00:00 mx a  b[7]: connect\n",
    ),
    "a message that would begin a line": (
        {"MESSAGE": b"one\ntwo\0\xff"},
        b"2026-11-22T13:09:20.000005+00:00 mx postfix/smtpd[7]: one two \xff\n",
    ),
}


@pytest.mark.parametrize(("fields", "line"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_is_one_line(fields, line):
    assert line_of(PLAIN | fields) == line


def test_an_entry_with_nothing_at_all_is_one_line():
    assert line_of({"__REALTIME_TIMESTAMP": 0}) == b"1970-01-01T00:00:00.000000+00:00 - -[-]: \n"


CURSOR = "s=1f;i=2;b=3;m=4;t=5;x=6"
POSITIONS = {
    "none": (None, ("", 0)),
    "the place of a file": ({"inode": 5}, ("", 0)),
    "no dictionary": (CURSOR, ("", 0)),
    "a cursor": ({"cursor": CURSOR, "until": 7}, (CURSOR, 7)),
    "a cursor from before the clock was set back": (
        {"cursor": CURSOR, "until": (DAY + 9) * 10**6},
        (CURSOR, (DAY + 9) * 10**6),
    ),
    "nothing read yet": ({"cursor": "", "until": 7}, ("", 7)),
    "no cursor": ({"cursor": "s=;drop table", "until": 7}, ("", 7)),
    "a time to come": ({"cursor": "", "until": DAY * 10**6 + 1}, ("", 0)),
}


@pytest.mark.parametrize(("position", "place"), POSITIONS.values(), ids=POSITIONS)
def test_where_reading_starts(position, place):
    journal = Journal((), (), (), position, clock=lambda: DAY)
    assert journal.position == dict(zip(("cursor", "until"), place, strict=True))


@live
def test_lines_come_in_order_with_proof_of_origin(journald, source):
    assert source.read() is None
    for number in range(100):
        journald.log(f"line {number}", "postfix/smtp")
    journald.sync()
    batch = source.read()
    assert (batch.source, batch.proven, batch.lost) == ("journal", True, ())
    assert messages([batch]) == [f"line {number}" for number in range(100)]
    prefix = batch.text.splitlines()[0].split(b" ")
    assert prefix[2] == f"postfix/smtp[{os.getpid()}]:".encode()
    assert source.read() is None


@live
def test_each_position_resumes_exactly(journald, source, monkeypatch):
    monkeypatch.setattr(log_journal, "BATCH", 1)
    for number in range(12):
        journald.log(str(number))
    journald.sync()
    seen = 0
    while batch := source.read():
        assert messages([batch]) == [str(seen)]
        seen += 1
        with contextlib.closing(of(journald, restored(source.position))) as resumed:
            assert messages(everything(resumed)) == [str(number) for number in range(seen, 12)]
    assert seen == 12


@live
def test_without_position_it_starts_a_day_back(journald):
    journald.log("now")
    journald.sync()
    with contextlib.closing(of(journald)) as today:
        assert messages(everything(today)) == ["now"]
    with contextlib.closing(of(journald, clock=lambda: time.time() + DAY + 60)) as later:
        assert everything(later) == []


@live
def test_rotation_under_load_loses_and_doubles_nothing(journald, source):
    total, rotations = 4000, 20
    done = threading.Event()

    def write():
        for number in range(total):
            journald.log(str(number))
            time.sleep(0.0001)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    for _ in range(rotations):
        seen += messages(everything(source))
        journald.rotate()
    assert done.wait(30)
    writer.join()
    assert len(list(os.scandir(journald.directory))) > rotations
    seen += read_when(journald, source)
    assert seen == [str(number) for number in range(total)]


@live
def test_what_was_vacuumed_unread_is_said_once(journald, source):
    journald.log("read")
    assert read_when(journald, source) == ["read"]
    place = restored(source.position)
    time.sleep(1.1)  # until then a line may still come with the time of the last look
    journald.log("unread")
    journald.rotate()
    journald.vacuum()
    journald.log("after")
    journald.sync()
    for one in (source, of(journald, place)):
        batches = everything(one)
        assert messages(batches) == ["after"]
        (sentence,) = lost(batches)
        assert "may be missing: journald removed them before they were read" in sentence
        assert everything(one) == []
        one.close()


@live
def test_a_loss_with_nothing_behind_it_is_said_once(journald, source):
    journald.log("read")
    assert read_when(journald, source) == ["read"]
    time.sleep(1.1)
    journald.rotate()
    journald.vacuum()
    (batch,) = everything(source)
    assert batch.text == b""
    assert "may be missing" in batch.lost[0]
    journald.rotate()
    journald.vacuum()
    assert everything(source) == []
    with contextlib.closing(of(journald, restored(source.position))) as resumed:
        assert everything(resumed) == []
        journald.log("after")
        assert read_when(journald, resumed) == ["after"]
    assert read_when(journald, source) == ["after"]


@live
def test_a_quiet_vacuum_is_no_loss(journald, source):
    journald.log("read")
    assert read_when(journald, source) == ["read"]
    journald.rotate()
    time.sleep(1.1)
    assert everything(source) == []  # all that is taken away now was looked through
    journald.vacuum()
    journald.log("after")
    journald.sync()
    batches = everything(source)
    assert (messages(batches), lost(batches)) == (["after"], [])


@live
def test_a_file_that_is_gone_from_the_middle_is_a_loss(journald, source, tmp_path):
    journald.log("old")
    journald.rotate()
    journald.log("last read")
    assert read_when(journald, source) == ["old", "last read"]
    journald.rotate()
    journald.log("after")
    journald.sync()
    files = sorted(os.scandir(journald.directory), key=lambda one: one.name)
    copy = tmp_path / "journal"
    shutil.copytree(journald.directory, copy)
    (copy / files[-1].name).unlink()  # archives sort by time, after system.journal
    with contextlib.closing(of(journald, source.position, str(copy))) as damaged:
        batches = everything(damaged)
    assert messages(batches) == ["after"]
    assert lost(batches)[0].endswith("the line that was read last is no longer in the journal")


@live
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize(
    "boot", ["", "01234567-89ab-4def-8123-456789abcdef"], ids=["same", "next boot"]
)
def test_reading_goes_on_after_a_restart_of_journald(journald, source, kill, boot):
    journald.log("before")
    assert read_when(journald, source) == ["before"]
    journald.log("unread")
    journald.sync()
    journald.stop(kill=kill)
    place = restored(source.position)
    journald.start(boot)
    journald.log("after")
    assert read_when(journald, source) == ["unread", "after"]
    with contextlib.closing(of(journald, place)) as resumed:
        assert messages(everything(resumed)) == ["unread", "after"]


@live
def test_a_flush_from_memory_to_disk_is_no_loss(start):
    journald = start("Storage=persistent")
    with contextlib.closing(of(journald)) as memory:
        journald.log("one")
        assert read_when(journald, memory) == ["one"]
    journald.log("two")
    journald.run("journalctl", "--flush")
    journald.log("three")
    journald.sync()
    disk = of(journald, restored(memory.position), journald.persistent_directory)
    with contextlib.closing(disk):
        batches = everything(disk)
    assert (messages(batches), lost(batches)) == (["two", "three"], [])


@live
def test_only_what_journald_vouches_for_is_returned(journald, source):
    journald.log_by_logger("Anonymous TLS connection established from forged[1.2.3.4]")
    journald.log_by_logger(f"_EXE={journald.program}")
    journald.log("true", _EXE="/bin/forged", _SYSTEMD_UNIT="forged.service")
    assert read_when(journald, source) == ["true"]


@live
def test_units_and_programs_are_either_or(journald):
    _needs(bed.why_no_units())
    journald.log_of_unit("postfix@-.service", "of Debian 12")
    journald.log_of_unit("postfix.service", "of Debian 13")
    journald.log_of_unit("cron.service", "of another")
    journald.log_by_logger("of logger")
    journald.sync()
    for units, programs, expected in (
        (UNITS, (), ["of Debian 12", "of Debian 13"]),
        (UNITS[1:], (), ["of Debian 13"]),
        ((), ("/bin/none", "/usr/bin/logger"), ["of logger"]),
        (UNITS, ("/usr/bin/logger",), ["of logger"]),
        ((), (), []),
    ):
        with contextlib.closing(Journal(units, programs, (), directory=journald.directory)) as one:
            assert messages(everything(one)) == expected


@live
def test_users_bound_what_programs_wrote(journald):
    for user in ("root", "nobody", "daemon"):
        journald.log_by_logger(f"of {user}", user=user)
    journald.sync()
    for users, expected in (
        (("root", "daemon"), ["of root", "of daemon"]),
        (("nobody",), ["of nobody"]),
        ((), ["of root", "of nobody", "of daemon"]),
    ):
        named = Journal(UNITS, ("/usr/bin/logger",), users, None, journald.directory)
        with contextlib.closing(named):
            assert messages(everything(named)) == expected


@live
def test_a_user_that_is_not_known_is_an_error(journald):
    with pytest.raises(PostkeelError, match="no user is called 'nosuchuser'"):
        Journal(UNITS, ("/usr/bin/logger",), ("nosuchuser",), None, journald.directory).read()


@live
def test_a_program_may_be_named_by_a_link(journald, tmp_path):
    (tmp_path / "daemons").symlink_to("/usr/bin")
    journald.log_by_logger("of logger")
    journald.sync()
    named = Journal(UNITS, (f"{tmp_path}/daemons/logger",), (), None, journald.directory)
    with contextlib.closing(named):
        assert messages(everything(named)) == ["of logger"]


@live
def test_what_journald_suppressed_is_lost(start):
    _needs(bed.why_no_units())
    journald = start("RateLimitIntervalSec=1s", "RateLimitBurst=20")
    of_postfix = Journal(("postfix.service",), (), (), directory=journald.directory)
    of_cron = Journal(("cron.service",), (), (), directory=journald.directory)
    total = 1000
    with contextlib.closing(of_postfix), contextlib.closing(of_cron):
        with journald.of_unit("postfix.service"):
            for number in range(total):
                journald.log(str(number))
            time.sleep(1.2)  # journald says what it dropped once the interval is over
            journald.log("after")
            journald.sync()
        batches = everything(of_postfix)
        (sentence,) = lost(batches)
        kept = [one for one in messages(batches) if one.isdigit()]
        assert 0 < len(kept) < total
        missing = total - len(kept)
        assert sentence.startswith(f"journald suppressed {missing} messages of postfix.service")
        assert everything(of_cron) == []


@live
def test_nobody_else_can_claim_a_loss(journald, source):
    claim = {"MESSAGE_ID": journal_reader.DROPPED, "_TRANSPORT": "driver"}
    journald.log("Suppressed 5 messages from postfix.service", **claim)
    journald.sync()
    units = Journal(("postfix.service",), (), (), directory=journald.directory)
    with contextlib.closing(units):
        assert everything(units) == []
    (batch,) = everything(source)
    assert (messages([batch]), batch.lost) == (["Suppressed 5 messages from postfix.service"], ())


@live
def test_hostile_messages_stay_one_line_each(journald, source):
    hostile = [
        b"one\n2026-11-22T13:09:20+00:00 mx postfix/smtpd[1]: two",
        b"nul\0byte",
        b"\xff\xfe no UTF-8 \x1b[31m",
        b"x" * 1_000_000,
        b"",
    ]
    for message in hostile:
        journald.log(message)
    journald.sync()
    lines = b"".join(one.text for one in everything(source)).splitlines(keepends=True)
    assert len(lines) == len(hostile)
    assert lines[0].endswith(b": one 2026-11-22T13:09:20+00:00 mx postfix/smtpd[1]: two\n")
    assert lines[1].endswith(b": nul byte\n")
    assert lines[2].endswith(b": \xff\xfe no UTF-8 \x1b[31m\n")
    assert len(lines[3]) == LINE
    assert lines[3].endswith(b"x\n")
    assert lines[4].endswith(b"]: \n")


@live
def test_a_batch_is_no_larger_than_need_be(journald, source):
    for _ in range(600):
        journald.log("x" * 1000)
    journald.sync()
    sizes = [len(one.text) for one in everything(source)]
    assert len(sizes) == 3
    assert max(sizes) < log_journal.BATCH + 2000


class Watching:
    """A loop in this thread that reads whenever it is told to."""

    def __init__(self, source):
        self.source = source
        self.batches = []
        self.errors = []
        self.turns = 0
        self.loop = Loop(self.errors.append, after_each=self._turned)
        source.watch(self.loop, self.read)

    def _turned(self):
        self.turns += 1

    def read(self):
        self.batches += everything(self.source)

    def run(self, seconds, *, until=lambda: False):
        """How long it took; the loop is also stopped as soon as `until`."""

        def stop_when():
            if until():
                self.loop.stop()

        began = time.monotonic()
        self.loop.after("end", seconds, self.loop.stop)
        self.loop.repeat("until", stop_when, every=0.01)
        self.loop.run_until_stopped()
        self.loop.cancel("until")
        self.loop.cancel("end")
        return time.monotonic() - began

    def close(self):
        self.source.close()
        assert self.loop.due_times() == {}
        self.loop.close()


@pytest.fixture
def watching(source):
    with contextlib.closing(Watching(source)) as one:
        yield one


@live
def test_a_loop_is_woken_by_new_lines(journald, watching):
    journald.log("before the first look")
    watching.run(5, until=lambda: watching.batches)
    for number in range(3):
        journald.log(str(number))
        took = watching.run(5, until=lambda: len(watching.batches) > number + 1)  # noqa: B023  run ends in this turn
        assert took < 0.8
        journald.rotate()  # a new descriptor each time
    assert messages(watching.batches) == ["before the first look", "0", "1", "2"]
    assert watching.errors == []


@live
def test_idle_is_asleep(journald, watching):
    journald.log("x")
    watching.run(5, until=lambda: watching.batches)
    watching.run(0.5)  # what journald had still to tell
    watching.turns = 0
    watching.loop.after("end", 1, watching.loop.stop)
    watching.loop.run_until_stopped()
    assert watching.turns == 1


@live
def test_a_source_that_was_read_before_is_watched_too(journald, source):
    journald.log("one")
    assert read_when(journald, source) == ["one"]
    with contextlib.closing(Watching(source)) as watching:
        journald.log("two")
        watching.run(5, until=lambda: watching.batches)
        assert messages(watching.batches) == ["two"]


@live
def test_where_the_kernel_tells_nothing_it_looks_again_and_again(journald, source, monkeypatch):
    monkeypatch.setattr(journal_reader.RawReader, "reliable_fd", lambda _: False)
    monkeypatch.setattr(log_journal, "RECHECK", 0.05)
    with contextlib.closing(Watching(source)) as watching:
        watching.run(0.1)
        watching.loop.unregister(source._reader)  # no event comes from NFS
        journald.log("one")
        watching.run(5, until=lambda: watching.batches)
        assert messages(watching.batches) == ["one"]
        watching.loop.register(source._reader, lambda: None)


def failing(monkeypatch, name, times):
    """Have the reader fail at this, so many times."""
    true = getattr(journal_reader.RawReader, name)
    left = [times]

    def fail(self, *arguments, **settings):
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
        return true(self, *arguments, **settings)

    monkeypatch.setattr(journal_reader.RawReader, name, fail)


@live
@pytest.mark.parametrize("name", ["next_entry", "process", "seek_cursor"])
def test_a_reader_that_fails_once_is_replaced(journald, source, monkeypatch, name):
    journald.log("one")
    assert read_when(journald, source) == ["one"]
    journald.log("two")
    journald.rotate()
    failing(monkeypatch, name, 1)
    assert read_when(journald, source) == ["two"]


@live
def test_a_reader_that_fails_twice_is_an_error_until_it_does_not(journald, source, monkeypatch):
    journald.log("one")
    assert read_when(journald, source) == ["one"]
    journald.log("two")
    journald.sync()
    failing(monkeypatch, "next_entry", 2)
    with pytest.raises(PostkeelError, match=r"journal: cannot be read: .*Bad message"):
        source.read()
    assert messages(everything(source)) == ["two"]


@live
def test_a_damaged_entry_is_counted_and_passed(journald, source, tmp_path):
    for message in ("good", "bad", "good", *["bad"] * 300, "good"):
        journald.log(message)
    journald.sync()
    copy = tmp_path / "journal"
    shutil.copytree(journald.directory, copy)
    file = copy / "system.journal"
    file.write_bytes(file.read_bytes().replace(b"MESSAGE=bad", b"\xff\xffSSAGE=bad"))
    with contextlib.closing(of(journald, directory=str(copy))) as damaged:
        batches = everything(damaged)
        assert messages(batches) == ["good", "good", "good"]
        counts = [int(one.split(": ")[1].split(";")[0]) for one in lost(batches)]
        assert (len(counts), sum(counts)) == (2, 301)
    with contextlib.closing(of(journald, damaged.position, str(copy))) as resumed:
        assert everything(resumed) == []


@live
def test_an_event_that_cannot_be_processed_has_the_journal_opened_anew(
    journald, watching, monkeypatch
):
    watching.run(0.1)
    failing(monkeypatch, "process", 1)
    journald.log("one")
    watching.run(5, until=lambda: watching.batches)
    assert (messages(watching.batches), watching.errors) == (["one"], [])


@live
def test_a_journal_that_is_not_there_yet_is_asked_for_again(journald, tmp_path, monkeypatch):
    monkeypatch.setattr(log_journal, "RETRY", 0.02)
    directory = tmp_path / "journal"
    journald.log("one")
    journald.sync()
    with contextlib.closing(Watching(of(journald, None, str(directory)))) as watching:
        watching.run(0.1)
        assert len(watching.errors) > 1
        assert "is systemd-journald running" in str(watching.errors[0])
        shutil.copytree(journald.directory, directory)
        watching.run(5, until=lambda: watching.batches)
        assert messages(watching.batches) == ["one"]


@live
def test_who_may_not_read_is_told_the_group(journald, tmp_path):
    directory = tmp_path / "journal"
    shutil.copytree(journald.directory, directory)
    os.seteuid(65534)
    try:
        with pytest.raises(PostkeelError, match="usermod -a -G systemd-journal"):
            of(journald, None, str(directory)).read()
    finally:
        os.seteuid(0)


def test_python3_systemd_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.delattr(postkeel.shell, "journal_reader")
    monkeypatch.delitem(sys.modules, "postkeel.shell.journal_reader")
    monkeypatch.setitem(sys.modules, "systemd", None)
    with pytest.raises(PostkeelError, match="install python3-systemd"):
        Journal(UNITS, (), ()).read()


def test_the_hosts_own_journal_is_where_journald_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_reader, "_IDENTITY", str(tmp_path / "machine-id"))
    with pytest.raises(PostkeelError, match="machine-id"):
        Journal(UNITS, (), ()).read()
    (tmp_path / "machine-id").write_text("0123\n")
    with pytest.raises(PostkeelError, match="/var/log/journal/0123 or /run/log/journal/0123"):
        Journal(UNITS, (), ()).read()
