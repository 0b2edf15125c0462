"""Runs Postfix's and OpenSSL's programs: argument lists, a deadline, bounded output."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO

from postkeel.core.errors import PostfixError
from postkeel.core.frozen import frozen

MOST_OUTPUT = 8 << 20
_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/sbin")


@frozen
class Completed:
    """A program that ended; output is UTF-8 with surrogateescape. A negative status is a signal."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


class Running:
    """A started program. `wait` or `stop` must be called: they also collect the process."""

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
        try:
            out, aside = self._read(ends)
            self._process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._kill()
            raise PostfixError(
                f"{' '.join(self.argv)}: no end after {deadline:g} s; killed"
            ) from None
        finally:
            self._close()
        return Completed(
            argv=self.argv,
            status=self._process.returncode,
            stdout=out.decode("utf-8", "surrogateescape"),
            stderr=aside.decode("utf-8", "surrogateescape"),
        )

    def _read(self, ends: float) -> tuple[bytes, bytes]:
        """Standard output and error to their ends, both at once, so that neither fills up."""
        pipes = [pipe.fileno() for pipe in self._pipes()]
        said = dict.fromkeys(pipes, b"")
        poll = select.poll()
        for pipe in pipes:
            poll.register(pipe, select.POLLIN)
        unfinished = set(pipes)
        while unfinished:
            left = ends - time.monotonic()
            ready = poll.poll(max(0.0, left) * 1000)
            if not ready and left <= 0:
                raise subprocess.TimeoutExpired(self.argv, 0)
            for pipe, _ in ready:
                part = os.read(pipe, 65536)
                said[pipe] += part
                if not part:
                    poll.unregister(pipe)
                    unfinished.discard(pipe)
                elif len(said[pipe]) > MOST_OUTPUT:
                    self._kill()
                    most = MOST_OUTPUT >> 20
                    raise PostfixError(f"{' '.join(self.argv)}: says more than {most} MiB")
        return said[pipes[0]], said[pipes[1]]

    def _pipes(self) -> tuple[IO[bytes], ...]:
        return tuple(one for one in (self._process.stdout, self._process.stderr) if one)

    def _close(self) -> None:
        for pipe in self._pipes():
            pipe.close()

    def stop(self) -> None:
        """End it unheard, for one whose answer nobody needs; instead of `wait`."""
        self._kill()
        self._close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself in the meantime
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


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
