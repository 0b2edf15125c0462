"""The progress line: on a terminal, from two seconds on, and gone at the end."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time

from postkeel.cli.progress import MessageProgress, Progress

LINE = b"Nov 22 13:09:22 mx postfix/smtpd[124]: connect from a.example[192.0.2.1]\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(*, total, seconds, terminal=True):
    """What a reading of one chunk at each of these seconds shows."""
    stream = Terminal() if terminal else io.StringIO()
    moments = iter([0.0, *seconds])
    with Progress(total, stream, lambda: next(moments)) as progress:
        for chunk in progress.counted([b"a\nb\n"] * len(seconds)):
            progress.read(len(chunk))
    return stream.getvalue()


REMOVED = "\r\033[K"


def test_a_short_reading_shows_nothing():
    assert shown(total=100, seconds=[0.5, 1.9]) == ""


def test_no_terminal_no_progress():
    assert shown(total=100, seconds=[3.0, 9.0], terminal=False) == ""


def test_a_long_reading_of_known_length():
    text = shown(total=16_000_000, seconds=[1.0, 4.0])
    assert text.endswith(REMOVED)
    (line,) = text.removesuffix(REMOVED).strip("\r").split("\033[K")[:-1]
    assert line == "[                    ]   0%  0.0 of 16.0 MB, 4 lines, 1 a second"


def test_a_pipe_has_no_total():
    text = shown(total=0, seconds=[4.0])
    assert text == f"\r2 lines, 0 a second\033[K{REMOVED}"


def test_it_is_drawn_ten_times_a_second_at_most():
    text = shown(total=8, seconds=[2.0 + one / 100 for one in range(30)])
    assert text.count("lines") == 3


def messages_shown(works, *, terminal=True, seconds=(0.0, *range(3, 30))):
    """What a reading of mailboxes with so much in them shows, a message each time."""
    stream = Terminal() if terminal else io.StringIO()
    moments = iter(seconds)
    with MessageProgress(len(works), stream, lambda: next(moments)) as progress:
        for work in works:
            for _ in progress.through(range(2), lambda work=work: work):
                progress.read(5)
    return [one.strip() for one in stream.getvalue().split("\r") if one.strip() != "\033[K"][1:]


def test_messages_of_several_mailboxes():
    assert [one.removesuffix("\033[K") for one in messages_shown([10, 0, 20])] == [
        "[###                 ]  17%  1 messages, 0 a second",
        "[#######             ]  33%  2 messages, 0 a second",
        "3 messages, 1 a second",
        "4 messages, 1 a second",
        "[###############     ]  75%  5 messages, 1 a second",
        "[#################   ]  83%  6 messages, 1 a second",
    ]


def test_nobody_is_asked_how_many_messages_where_nothing_is_shown():
    stream = io.StringIO()
    with MessageProgress(1, stream) as progress:
        assert list(progress.through("ab", lambda: 1 // 0)) == ["a", "b"]
    assert stream.getvalue() == ""


def test_a_slow_pipe_into_the_command():
    """The real command, once with a terminal as standard error; the input takes two seconds."""
    ours, theirs = pty.openpty()
    seen, unseen = (
        subprocess.Popen(
            [sys.executable, "-m", "postkeel", "tls-log", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        for stream in (theirs, subprocess.PIPE)
    )
    os.close(theirs)
    for _ in range(5):
        for process in (seen, unseen):
            process.stdin.write(LINE * 100)
            process.stdin.flush()
        time.sleep(0.6)
    output, _ = seen.communicate(timeout=30)
    told = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "lines, " in told
    assert told.endswith(REMOVED)
    assert unseen.communicate(timeout=30) == (output, b"")
    assert output.decode().startswith("500 lines")
    assert seen.returncode == unseen.returncode == 0
