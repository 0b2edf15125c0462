"""The log that a probe follows: from now on, of a file and of the journal."""

from __future__ import annotations

import contextlib
import os
import time

import pytest

import private_journal as bed
from postkeel.core.mail import LogLines
from postkeel.shell import log_journal
from postkeel.shell.log_journal import Journal
from postkeel.shell.loop import Loop
from postkeel.shell.probe_log import ProbeLog

TAG = "postfix/smtpd[124]: "
SESSION = (
    "connect from localhost[127.0.0.1]",
    "5E9D420C: client=localhost[127.0.0.1]",
    "disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 commands=6",
)
LINES = "".join(f"Nov 22 13:09:22 mx {TAG}{one}\n" for one in SESSION).encode()


class Following:
    """A loop that turns until the session's lines are there."""

    def __init__(self, wanted: LogLines | None) -> None:
        self.loop = Loop(lambda error: pytest.fail(str(error)))
        self.log = ProbeLog(self.loop, wanted, self._heard)
        self._wanted = 0

    def _heard(self) -> None:
        if len(self.log.lines("5E9D420C").splitlines()) >= self._wanted:
            self.loop.stop()

    def wait(self, lines: int) -> bytes:
        self._wanted = lines
        self._heard()
        self.loop.after("too late", 20, self.loop.stop)
        self.loop.run_until_stopped()
        return self.log.lines("5E9D420C")

    def close(self) -> None:
        self.log.close()
        self.loop.close()


@pytest.fixture
def follow():
    with contextlib.ExitStack() as stack:

        def start(wanted: LogLines | None) -> Following:
            one = Following(wanted)
            stack.callback(one.close)
            return one

        yield start


@pytest.mark.parametrize("before", [b"", LINES, LINES * 10_000, LINES + b"half a line"])
def test_of_a_file_only_what_comes_from_now_on(follow, tmp_path, before):
    path = tmp_path / "mail.log"
    path.write_bytes(before)
    one = follow(LogLines(file=str(path)))
    assert one.log.problem == ""
    assert one.log.lines("5E9D420C") == b""
    ended = b"" if before.endswith(b"\n") or not before else b", ended\n"
    with path.open("ab") as file:
        file.write(ended + LINES)
    assert one.wait(3) == LINES


def test_a_file_that_comes_later(follow, tmp_path):
    path = tmp_path / "mail.log"
    one = follow(LogLines(file=str(path)))
    path.write_bytes(LINES)
    assert one.wait(3) == LINES


def test_lines_of_others_are_not_kept(follow, tmp_path):
    path = tmp_path / "mail.log"
    path.touch()
    one = follow(LogLines(file=str(path)))
    path.write_bytes(b"Nov 22 13:09:22 mx postfix/qmgr[1]: 5E9D420C: removed\n" * 1000 + LINES)
    assert one.wait(3) == LINES
    assert one.log._text == LINES


def test_without_a_log_that_is_the_problem(follow):
    assert follow(None).log.problem == "no log is followed"


@pytest.fixture
def journald(monkeypatch):
    reason = bed.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with bed.private_journal() as journal:

        def own(units, programs, users, position):
            return Journal(units, programs, users, position, journal.directory)

        own.name = Journal.name
        monkeypatch.setattr(log_journal, "Journal", own)
        yield journal


def test_of_the_journal_only_what_comes_from_now_on(follow, journald):
    journald.log("7777: client=x[192.0.2.1]", identifier="postfix/smtpd")
    time.sleep(1.1)  # what may bear the time of now is read as well
    one = follow(LogLines(programs=(journald.program,)))
    assert one.log.problem == ""
    for message in SESSION:
        journald.log(message, identifier="postfix/smtpd")
    lines = one.wait(3).splitlines()
    assert [line.partition(b"]: ")[2].decode() for line in lines] == list(SESSION)
    assert one.log.lines("7777") == b""
