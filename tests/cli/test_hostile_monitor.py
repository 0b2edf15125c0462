"""What the monitor wrote, wrong in one place after the other, read by root's commands.

Its user may have been taken over; `status` and `history` must come to an end, act on no
terminal, and say what the correcting side says all the same.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from postkeel.cli import main
from postkeel.contract import (
    Depth,
    Event,
    EventKind,
    Finding,
    Judged,
    Outcome,
    Plan,
    Report,
    Severity,
)
from postkeel.core.report_json import report_to_data
from postkeel.shell.history import History
from postkeel.shell.instance_lock import InstanceLock
from postkeel.shell.status_file import AgentStatus, InstanceStatus, write_status

HOSTILE = "\x1b[2J\udc80\ud800\u202e\n"
VALUES = (HOSTILE, None, [[]], {}, float("inf"), 10**400)
DEEP = "[" * 100_000
LATER = "2026-11-23T13:00:00"


@pytest.fixture
def run(place):
    """A command in this process, on the place: its status, what it printed, its errors."""

    def command(*words):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
        errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = main([*words, *place.options])
            out.flush()
            errors.flush()
        said = out.buffer.getvalue().decode(), errors.buffer.getvalue().decode()
        assert "a defect of postkeel" not in said[1], said[1]
        assert "\x1b" not in "".join(said)
        assert "\u202e" not in said[0] or "json" in words
        return code, *said

    return command


def report(place, hour, cause):
    finding = Finding(
        rule="tls-disabled",
        severity=Severity.ERROR,
        depth=Depth.OBSERVED,
        parameter="smtpd_tls_security_level",
        where="default",
        effective="smtpd runs without TLS",
        wanted="TLS",
        why="Seen.",
    )
    time = datetime(2026, 11, 23, hour, tzinfo=UTC)
    return Report(
        instance=str(place.etc),
        event=Event(kind=EventKind.LOG_LINES, instance=str(place.etc), time=time, detail=("x",)),
        outcome=Outcome.AUDITED,
        judged=(Judged(finding=finding, outcome=Outcome.AUDITED),),
        plan=Plan(),
        seconds=0.5,
        cause=cause,
        problems=("a problem",),
        proof=("a proof",),
    )


@pytest.fixture
def histories(place):
    """One report of each side; a function that replaces the text of the monitor's."""
    monitor = place.state / "monitor"
    with History(str(place.state)) as history:
        history.record(report(place, 11, "of the correcting side"))
    with History(str(monitor)) as history:
        history.record(report(place, 12, "of the monitor"))

    def replace(text):
        with contextlib.closing(sqlite3.connect(monitor / "history.sqlite3")) as connection:
            connection.execute("UPDATE reports SET report = ?", (text,))
            connection.commit()

    return replace


def leaves(data, path=()):
    """The way to each value in it, and to each list and dictionary."""
    if path:
        yield path
    parts = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in parts if isinstance(data, dict | list) else ():
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def changed(data, path, value):
    data = copy.deepcopy(data)
    inside = data
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return data


def test_a_history_that_is_wrong_in_any_place_hides_nothing_of_the_other(place, run, histories):
    data = report_to_data(report(place, 12, "of the monitor"))
    ways = list(leaves(data))
    assert len(ways) > 20
    texts = [json.dumps(changed(data, way, value)) for way in ways for value in VALUES]
    naive = json.dumps(changed(data, ("event", "time"), LATER))
    for text in (*texts, naive, DEEP, "", "7", b"\xff\0", None, 7):
        histories(text)
        for form in ("text", "json"):
            code, out, _ = run("history", "--format", form)
            assert code == 0
            assert "of the correcting side" in out, text


@pytest.fixture
def statuses(place):
    """Both sides run, as far as anybody can see; a function that writes the monitor's status."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        ) as other,
        contextlib.ExitStack() as stack,
    ):
        (place.state / "monitor").mkdir(parents=True, exist_ok=True)
        stack.enter_context(InstanceLock(str(place.etc)))
        stack.enter_context(InstanceLock(str(place.state / "monitor")))
        instance = InstanceStatus(
            config_directory=str(place.etc),
            mode="enforce",
            profile="intermediate",
            event="timer",
            outcome="clean",
            time="2026-11-23T12:00:00+00:00",
            timers={"check": "2026-11-23T13:00:00+00:00"},
            problems=("a problem of the correcting side",),
            followed=("x",),
            alarms=("y",),
            watched=("z",),
        )
        status = AgentStatus(pid=other.pid, postkeel="1", since="now", instances=(instance,))
        write_status(str(place.directory / "run"), status)
        write_status(str(place.directory / "run" / "monitor"), status)
        file = place.directory / "run" / "monitor" / "status.json"

        def replace(text):
            file.write_bytes(text if isinstance(text, bytes) else text.encode())

        yield json.loads(file.read_text()), replace


def test_a_status_that_is_wrong_in_any_place_hides_nothing_of_the_other(run, statuses):
    data, replace = statuses
    ways = list(leaves(data))
    assert len(ways) > 15
    texts = [json.dumps(changed(data, way, value)) for way in ways for value in VALUES]
    for text in (*texts, DEEP, "", "7", b"\xff\0"):
        replace(text)
        for form in ("text", "json"):
            code, out, _ = run("status", "--format", form)
            assert code == 0, text
            assert "a problem of the correcting side" in out, text
