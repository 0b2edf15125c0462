"""Work done in a process forked for it, which hands back through a pipe what came of it.

An agent that sleeps keeps nothing of what such work needs: OpenSSL costs it 4 MiB, and what
is loaded once cannot be unloaded. To start another Python would take ten times as long.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line

MOST_ANSWER = 8 << 20
"""Bytes: many times what the suites of the largest configuration take."""

_GRACE = 2
"""Seconds beyond its deadline; then a process ends that has lost the one that would end it."""


class Forked:
    """A process that does `work`, whose argument is the writing end of the pipe `output`.

    Of this process's it has the memory and the standard descriptors, but no lock, no socket
    and no signal handler. seconds: ends after them in any case; 0 until `close`. keep:
    descriptors that it has as well.

    Diagnostics: OSError when there is no room for another process. What `work` raises ends the
    process without a word, and the output with it.
    Security: other threads end at a fork, the locks they hold do not. Work may wait for those
    of Python and of malloc, which are freed then, and the agent's other threads hold no others.
    """

    def __init__(self, work: Callable[[BinaryIO], object], seconds: float = 0, *keep: int) -> None:
        self.output, write = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = _fork()
        except OSError:
            os.close(self.output)
            os.close(write)
            raise
        if self._process:
            os.close(write)
            return
        status = 1
        try:
            _keep_only(write, *keep)
            signal.alarm(int(seconds) + _GRACE if seconds else 0)
            with open(write, "wb") as pipe:
                work(pipe)
            status = 0
        finally:
            os._exit(status)

    def close(self) -> None:
        """End the process, also one that nobody waits for any more."""
        os.close(self.output)
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def answer_of(work: Callable[[], object], seconds: float) -> Any:
    """What `work` returns, as JSON knows it, from a process of its own.

    Errors: PostkeelError with a sentence when it raises, is ended, or takes longer.
    """
    try:
        process = Forked(lambda pipe: deliver(work, pipe), seconds)
    except OSError as error:
        raise PostkeelError(f"no process can be started: {error.strerror}") from None
    return answered(process, seconds)


def answered(process: Forked, seconds: float) -> Any:
    """What a process says that does `deliver`; then it is ended.

    Errors: as `answer_of`.
    """
    try:
        text = _read(process.output, seconds)
    finally:
        process.close()
    return answer_in(text)


def answer_in(text: bytes) -> Any:
    """What stands in all that a process has written that does `deliver`.

    Errors: PostkeelError when it has raised, or has not come to its end.
    """
    try:
        answer, problem = json.loads(text)
    except ValueError:
        raise PostkeelError("the process that was to answer was ended") from None
    if problem:
        raise PostkeelError(problem)
    return answer


def deliver(work: Callable[[], object], pipe: BinaryIO) -> None:
    """In the process: what `work` returns, or why it does not, for `answered`."""
    try:
        answer, problem = work(), ""
    except Exception as error:  # noqa: BLE001  whatever it is, it is told where it can be reported
        known = isinstance(error, PostkeelError)
        answer, problem = None, str(error) if known else f"{type(error).__name__}: {error}"
    pipe.write(json.dumps((answer, one_line(problem, 400))).encode())


def _read(output: int, seconds: float) -> bytes:
    ends = time.monotonic() + seconds
    poll = select.poll()
    poll.register(output, select.POLLIN)
    text = b""
    while len(text) <= MOST_ANSWER:
        if not poll.poll(max(0.0, ends - time.monotonic()) * 1000):
            raise PostkeelError(f"no answer within {seconds:g} s")
        part = os.read(output, 65536)
        if not part:
            return text
        text += part
    raise PostkeelError(f"an answer of more than {MOST_ANSWER >> 20} MiB")


def _fork() -> int:
    """0 in the new process, where no signal is lost to handlers that are not its own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: see `Forked`
            process = os.fork()
        if process == 0:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _keep_only(*descriptors: int) -> None:
    """Close the others: a lock or a socket must not outlive the agent because of this process."""
    kept = (2, *sorted(descriptors))
    ends = (*kept[1:], os.sysconf("SC_OPEN_MAX"))
    for one, end in zip(kept, ends, strict=True):
        if one + 1 < end:  # an empty range would be one without end
            os.closerange(one + 1, end)
