"""A syslogd that writes numbered lines, as a process of its own.

`python log_writer.py FILE LINES_A_SECOND`: commands come on standard input, one a
line, and are answered by a line: "pause", "resume", "reopen", "stop". It goes on
writing to the file that it opened until it is told to reopen it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import Self

_BURST = 50


class LogWriter:
    """The process, seen from the test."""

    def __init__(self, path: str, lines_a_second: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, path, str(lines_a_second)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: str) -> int:
        """Have it done; how many lines are written by then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def lines(count: int) -> bytes:
    """The first `count` lines that it writes."""
    return b"".join(map(_line, range(count)))


def _line(number: int) -> bytes:
    return b"2026-11-22T13:09:20+00:00 mx postfix/smtpd[7]: line %d\n" % number


def _opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)


def _write(path: str, rate: float) -> None:
    number = _opened(path)
    written = 0
    paused = False
    began = time.monotonic()
    while True:
        for _ in range(0 if paused else _BURST):
            os.write(number, _line(written))
            written += 1
        ahead = began + written / rate - time.monotonic()
        if not select.select([sys.stdin], [], [], None if paused else max(0.0, ahead))[0]:
            continue
        command = sys.stdin.readline().strip()
        if command == "reopen":
            os.close(number)
            number = _opened(path)
        paused = command == "pause" or (paused and command != "resume")
        print(written, flush=True)
        if command in ("stop", ""):
            return


if __name__ == "__main__":
    _write(sys.argv[1], float(sys.argv[2]))
