"""Runs Postfix's and OpenSSL's programs: argument lists, a deadline, bounded output.

Not by `subprocess`, whose import costs each command 4 ms, and an agent 0.3 MiB.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Sequence

from postkeel.core.errors import PostfixError
from postkeel.core.frozen import frozen

MOST_OUTPUT = 8 << 20
_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python, and by what it starts unless told
_LOOK_AGAIN = (0.0001, 0.01)
"""Seconds between looks whether a program that says no more has ended, as it soon has."""


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
        self._status: int | None = None
        with contextlib.ExitStack() as failed, contextlib.ExitStack() as theirs:
            self._output, out = _pipe(failed, theirs)
            self._aside, aside = _pipe(failed, theirs)
            try:
                self._process = _spawned(self.argv, out, aside)
            except OSError as error:
                text = f"{argv[0]}: cannot be started: {error.strerror}"
                raise PostfixError(text) from error
            failed.pop_all()

    def wait(self, deadline: float) -> Completed:
        """What it said, when it has ended.

        Errors: PostfixError after `deadline` seconds, when the program and all
        that it started are killed, and for more output than MOST_OUTPUT bytes.
        """
        ends = time.monotonic() + deadline
        try:
            out, aside = self._read(ends)
            self._end(ends)
        except TimeoutError:
            self._kill()
            raise PostfixError(
                f"{' '.join(self.argv)}: no end after {deadline:g} s; killed"
            ) from None
        finally:
            self._close()
        return Completed(
            argv=self.argv,
            status=self._status or 0,
            stdout=out.decode("utf-8", "surrogateescape"),
            stderr=aside.decode("utf-8", "surrogateescape"),
        )

    def _read(self, ends: float) -> tuple[bytes, bytes]:
        """Standard output and error to their ends, both at once, so that neither fills up."""
        pipes = (self._output, self._aside)
        said = dict.fromkeys(pipes, b"")
        poll = select.poll()
        for pipe in pipes:
            poll.register(pipe, select.POLLIN)
        unfinished = set(pipes)
        while unfinished:
            left = ends - time.monotonic()
            ready = poll.poll(max(0.0, left) * 1000)
            if not ready and left <= 0:
                raise TimeoutError
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

    def _end(self, ends: float) -> None:
        """Collect the process. TimeoutError when it has not ended by then."""
        pause, longest = _LOOK_AGAIN
        while not self._collected(os.WNOHANG):
            if time.monotonic() >= ends:
                raise TimeoutError
            time.sleep(pause)
            pause = min(pause * 2, longest)

    def _collected(self, options: int) -> bool:
        if self._status is None:
            process, status = os.waitpid(self._process, options)
            self._status = os.waitstatus_to_exitcode(status) if process else None
        return self._status is not None

    def _close(self) -> None:
        for pipe in (self._output, self._aside):
            os.close(pipe)

    def stop(self) -> None:
        """End it unheard, for one whose answer nobody needs; instead of `wait`."""
        self._kill()
        self._close()

    def _kill(self) -> None:
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself in the meantime
                os.killpg(self._process, signal.SIGKILL)
            self._collected(0)


def _pipe(reading: contextlib.ExitStack, writing: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose ends these close."""
    read, write = os.pipe2(os.O_CLOEXEC)
    reading.callback(os.close, read)
    writing.callback(os.close, write)
    return read, write


def _spawned(argv: tuple[str, ...], out: int, aside: int) -> int:
    """The process id of the started program, the leader of a session of its own."""
    return os.posix_spawn(
        argv[0],
        argv,
        _environment(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out, 1),
            (os.POSIX_SPAWN_DUP2, aside, 2),
        ],
        setsid=True,
        setsigdef=_IGNORED,
    )


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
