"""Programs run with a deadline, bounded output and nothing of the caller's environment."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from postkeel.core.errors import PostfixError
from postkeel.shell.command import find_program, run, start

SHELL = "/bin/sh"


def test_output_and_status_come_back_apart():
    done = run([SHELL, "-c", "echo out; echo aside >&2; exit 3"], 5.0)
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "aside\n")


def test_bytes_that_are_no_text_survive():
    done = run([SHELL, "-c", r"printf 'M\374ller\r\n'"], 5.0)
    assert done.stdout.encode("utf-8", "surrogateescape") == b"M\xfcller\r\n"


def test_a_signal_is_a_negative_status():
    assert run([SHELL, "-c", "kill -9 $$"], 5.0).status == -9


def test_a_program_reads_nothing():
    assert run(["/bin/cat"], 5.0).stdout == ""


def test_the_environment_is_ours(monkeypatch):
    monkeypatch.setenv("MAIL_CONFIG", "/nowhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    seen = dict(line.split("=", 1) for line in run(["/usr/bin/env"], 5.0).stdout.splitlines())
    assert set(seen) == {"PATH", "LC_ALL"}
    assert seen["LC_ALL"] == "C"


def test_much_output_on_both_channels_does_not_block():
    done = run([SHELL, "-c", "head -c 900000 /dev/zero; head -c 900000 /dev/zero >&2"], 10.0)
    assert (len(done.stdout), len(done.stderr)) == (900_000, 900_000)


def test_too_much_output_is_refused():
    with pytest.raises(PostfixError, match="more than 8 MiB"):
        run(["/usr/bin/head", "-c", str(9 << 20), "/dev/zero"], 10.0)


def test_at_the_deadline_the_program_and_its_children_are_killed(tmp_path):
    note = tmp_path / "child"
    began = time.monotonic()
    with pytest.raises(PostfixError, match=r"no end after 0\.3 s; killed"):
        run([SHELL, "-c", f"sleep 60 & echo $! > {note}; wait"], 0.3)
    assert time.monotonic() - began < 5.0
    assert not is_alive(int(note.read_text()))


def is_alive(pid: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_two_run_at_once():
    began = time.monotonic()
    running = [start(["/bin/sleep", "0.4"]) for _ in range(4)]
    assert [one.wait(5.0).status for one in running] == [0] * 4
    assert time.monotonic() - began < 1.4


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(PostfixError, match="/nowhere/postconf: cannot be started: No such file"):
        run(["/nowhere/postconf"], 1.0)


def test_programs_are_found_on_the_path_and_where_administrators_have_them(monkeypatch, tmp_path):
    mine = tmp_path / "postconf"
    mine.write_text("#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"relative:{tmp_path}")
    assert find_program("postconf") == "/usr/sbin/postconf"  # ours is not executable
    mine.chmod(0o755)
    assert find_program("postconf") == str(mine)
    monkeypatch.delenv("PATH")
    assert find_program("postconf") == "/usr/sbin/postconf"


def test_a_program_that_cannot_be_found_says_what_to_install():
    with pytest.raises(PostfixError, match=r"postfrob is not installed here .*package postfix"):
        find_program("postfrob")


def test_the_process_is_collected():
    done = run([SHELL, "-c", "echo $$"], 5.0)
    assert not os.path.exists(f"/proc/{done.stdout.strip()}")
