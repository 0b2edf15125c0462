"""Runs Postfix's and OpenSSL's programs: argument lists, a deadline, bounded output."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from postkeel.core.errors import PostfixError

MOST_OUTPUT = 8 << 20
_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/sbin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that ended; output is UTF-8 with surrogateescape. A negative status is a signal."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


class Running:
    """A started program. `wait` must be called: it also collects the process."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        try:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise PostfixError(f"{argv[0]}: cannot be started: {error.strerror}") from error

    def wait(self, deadline: float) -> Completed:
        """What it said, when it has ended.

        Errors: PostfixError after `deadline` seconds, when the program and all
        that it started are killed, and for more output than MOST_OUTPUT bytes.
        """
        ends = time.monotonic() + deadline
        assert self._process.stdout and self._process.stderr  # noqa: S101, PT018  pipes, see above
        aside = _Reader(self._process.stderr)
        out = _Reader(self._process.stdout)
        try:
            complete = out.join(ends) and aside.join(ends)
            self._process.wait(max(0.0, ends - time.monotonic()) if complete else 0.0)
        except subprocess.TimeoutExpired:
            self._kill()
            raise PostfixError(
                f"{' '.join(self.argv)}: no end after {deadline:g} s; killed"
            ) from None
        if out.overflown or aside.overflown:
            raise PostfixError(f"{' '.join(self.argv)}: says more than {MOST_OUTPUT >> 20} MiB")
        return Completed(
            argv=self.argv,
            status=self._process.returncode,
            stdout=out.text(),
            stderr=aside.text(),
        )

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself in the meantime
        self._process.wait()


class _Reader:
    """Reads a pipe to its end in a thread, and keeps no more than is allowed."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._parts: list[bytes] = []
        self.overflown = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        size = 0
        with self._pipe:
            while part := self._pipe.read1(65536):  # type: ignore[attr-defined]
                size += len(part)
                self.overflown = size > MOST_OUTPUT
                if not self.overflown:
                    self._parts.append(part)

    def join(self, ends: float) -> bool:
        self._thread.join(max(0.0, ends - time.monotonic()))
        return not self._thread.is_alive()

    def text(self) -> str:
        return b"".join(self._parts).decode("utf-8", "surrogateescape")


def start(argv: Sequence[str]) -> Running:
    """Start a program; PostfixError when it cannot be started."""
    return Running(argv)


def run(argv: Sequence[str], deadline: float) -> Completed:
    """Start a program and wait for its end; PostfixError as `Running.wait`."""
    return start(argv).wait(deadline)


def find_program(name: str) -> str:
    """The absolute path of a program: PATH, then where Debian keeps administrators' programs.

    Errors: PostfixError that says what to install.
    """
    for directory in (*os.environ.get("PATH", "").split(":"), *_DIRECTORIES):
        path = os.path.join(directory, name)
        if directory.startswith("/") and os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    package = "openssl" if name == "openssl" else "postfix"
    raise PostfixError(f"{name} is not installed here (Debian package {package})")


def _environment() -> dict[str, str]:
    """Nothing of the caller's but PATH: MAIL_CONFIG and locales change what Postfix says."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": ":".join((path, *_DIRECTORIES)), "LC_ALL": "C"}
