"""How quickly and how completely the running agent counts what is appended to a log."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from figure import Figure

from guarded import Guarded, guarded, until
from mail_log import Truth, write_log
from private_postfix import PrivatePostfix

SINGLE = 50
RATE = 50_000
SECONDS = {"short": 5, "full": 20}
ROTATIONS = {"short": 20, "full": 100}
BETWEEN_ROTATIONS = 3000
TICK = 0.01
CONNECTIONS = "tls_log_monitor.connections"
# What is written between copying and truncating is lost to everybody; so nobody writes then.
BEFORE_COPY = 0.15
TO_CATCH_UP = 60


class Counted:
    """What the agent has committed: lines, and connections with their mails."""

    def __init__(self, one: Guarded) -> None:
        self.path = one.directory / "state/monitor/records.sqlite3"
        until(self.path.exists, 15)
        self.database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)

    @property
    def lines(self) -> int:
        with contextlib.suppress(sqlite3.OperationalError):  # the table comes with the first line
            query = 'SELECT sum(lines) FROM "tls_log_monitor.lines"'
            return self.database.execute(query).fetchone()[0] or 0
        return 0

    def connections(self) -> dict[tuple[Any, ...], list[int]]:
        """As `Truth.connections`."""
        columns = "hour, name, direction, trust, protocol, cipher, bits, key_exchange, signature"
        query = f'SELECT {columns}, reused, peer, connections, mails FROM "{CONNECTIONS}"'  # noqa: S608
        return {
            (hour, name, (*session, bool(reused)), peer): [connections, mails]
            for hour, name, *session, reused, peer, connections, mails in self.database.execute(
                query
            )
        }

    def until_lines(self, number: int, seconds: float = TO_CATCH_UP) -> None:
        """Wait for so many lines; no error when they do not come."""
        end = time.perf_counter() + seconds
        while self.lines < number and time.perf_counter() < end:
            time.sleep(0.0005)


def following(form: str, postfix: PrivatePostfix) -> Iterator[Figure]:
    """Everything on one log, so that what is counted in the end is all that was written."""
    rotations = ROTATIONS[form]
    number = SINGLE + RATE * SECONDS[form] + rotations * BETWEEN_ROTATIONS + 1
    with guarded(postfix, start=False) as one:
        source, log = one.directory / "source", one.directory / "mail.log"
        truth = write_log(source, number, start=lately(), kin=False)
        log.touch()
        one.configure("")
        with one.config.open("a") as file:
            file.write(f'[plugins.tls_log_monitor]\nlog = "{log}"\n')
        one.start()
        one.report()
        threading.Thread(target=heard, args=(one.reports,), daemon=True).start()
        counted = Counted(one)
        with source.open("rb") as lines:
            append(log, lines, 1)
            counted.until_lines(1)
            yield from single(counted, log, lines)
            yield sustained(counted, log, lines, SECONDS[form])
            yield rotated(counted, log, lines, rotations)
        yield as_written(counted.connections(), truth)


def as_written(counts: dict[tuple[Any, ...], list[int]], truth: Truth) -> Figure:
    """Of the names under which this instance logs; the generator knows more."""
    names = {name for _, name, *_ in counts}
    expected = {key: count for key, count in truth.connections.items() if key[1] in names}
    different = [key for key in counts | expected if counts.get(key) != expected.get(key)]
    beside = f"of {len(expected):,}, {sum(mails for _, mails in expected.values()):,} mails"
    wrong = len(different) if {"postfix/smtpd", "postfix/smtp"} <= names else len(expected)
    return Figure("following: counts that are not the truth", wrong, 0, "", beside)


def lately() -> datetime:
    """So long ago that no line is of the future, nor of a time that is not kept."""
    return datetime.now(UTC) - timedelta(days=20)


def heard(reports: socket.socket) -> None:
    """Take reports, as a syslog does that works."""
    with contextlib.suppress(OSError):
        while reports.recv(4096):
            pass


def append(log: Path, lines: BinaryIO, number: int) -> None:
    with log.open("ab", buffering=0) as file:
        file.write(b"".join(lines.readline() for _ in range(number)))


def single(counted: Counted, log: Path, lines: BinaryIO) -> Iterator[Figure]:
    """From the line's writing until its count is committed."""
    times = []
    for _ in range(SINGLE):
        time.sleep(0.05)
        before = counted.lines
        began = time.perf_counter()
        append(log, lines, 1)
        counted.until_lines(before + 1)
        times.append((time.perf_counter() - began) * 1000)
    yield Figure("one line appended -> counted, p50", statistics.median(times), 20, "ms")
    yield Figure("one line appended -> counted, p99", max(times), 20, "ms")


def sustained(counted: Counted, log: Path, lines: BinaryIO, seconds: int) -> Figure:
    """How far the agent is behind after so many seconds at that rate."""
    before = counted.lines
    each = int(RATE * TICK)
    began = time.perf_counter()
    with log.open("ab", buffering=0) as file:
        for turn in range(int(seconds / TICK)):
            file.write(b"".join(lines.readline() for _ in range(each)))
            time.sleep(max(0.0, began + (turn + 1) * TICK - time.perf_counter()))
    written = time.perf_counter()
    total = RATE * seconds
    counted.until_lines(before + total)
    behind = time.perf_counter() - written
    lost = total - (counted.lines - before)
    beside = f"{total / (written - began):,.0f} lines/s written for {seconds} s, {lost} lost"
    return Figure("50,000 lines a second, behind at the end", behind + lost, 0.5, "s", beside)


def rotated(counted: Counted, log: Path, lines: BinaryIO, rotations: int) -> Figure:
    """Lines lost over rotations of both kinds, in turn, while lines are written."""
    before = counted.lines
    for rotation in range(rotations):
        (by_copy if rotation % 2 else by_rename)(log, lines)
    counted.until_lines(before + rotations * BETWEEN_ROTATIONS)
    time.sleep(0.3)
    wrong = abs(rotations * BETWEEN_ROTATIONS - (counted.lines - before))
    beside = f"{rotations} rotations, {BETWEEN_ROTATIONS} lines around each"
    return Figure("lines lost or counted twice over rotations", wrong, 0, "", beside)


def in_parts(file: BinaryIO, lines: BinaryIO, number: int) -> None:
    for _ in range(number // 100):
        file.write(b"".join(lines.readline() for _ in range(100)))
        time.sleep(0.002)


def by_rename(log: Path, lines: BinaryIO) -> None:
    """As logrotate and rsyslog do: a while the old file is still written."""
    half = BETWEEN_ROTATIONS // 2
    with log.open("ab", buffering=0) as file:
        in_parts(file, lines, half)
        log.rename(older(log))
        in_parts(file, lines, half)
    log.touch()


def by_copy(log: Path, lines: BinaryIO) -> None:
    """As logrotate's copytruncate."""
    with log.open("ab", buffering=0) as file:
        in_parts(file, lines, BETWEEN_ROTATIONS // 2)
        time.sleep(BEFORE_COPY)
        older(log).write_bytes(log.read_bytes())
        os.truncate(log, 0)
        in_parts(file, lines, BETWEEN_ROTATIONS // 2)


def older(log: Path) -> Path:
    """The name for the file that is rotated away; what had it moves on."""
    first, second = log.with_name("mail.log.1"), log.with_name("mail.log.2")
    if first.exists():
        first.rename(second)
    return first
