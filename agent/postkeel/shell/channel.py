"""The channel between the two sides: a socket on which the monitor asks for a check.

    monitor: ask_check ─► b"check now" ─► root side: Requests ─► check_now, in the loop

One verb without a value: whoever has taken over the monitor can have the root side
look, which it does anyway, and nothing else.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.shell.loop import Loop

VERB: Final = b"check now"
TAKEN: Final = b"ok"
REFUSED: Final = b"no"

PACE: Final = 0.05
"""Seconds between two connections: a flood costs twenty of them a second, and waits."""

PATIENCE: Final = 0.5
"""Seconds for a peer to send its packet; one at a time is served, and others wait."""

COMPLAIN_APART: Final = 3600.0
"""Seconds between two complaints, whatever is sent."""

_WAITING = 4
_JOIN = 1.0


class Requests:
    """The root side's end: calls `check_now` in the loop's thread when it is asked to.

    Each connection is read once, answered "ok" or "no", and closed. Requests that come
    before the loop gets round to the last one are one call; `check_now` itself decides
    how often a check is worth the while.

    Served in a thread of its own, for a receiver can be made to wait: the last reference
    to a descriptor that was passed to it is closed in its name, and to close a socket of
    the sender's making (SO_LINGER) takes as long as the sender likes. The loop goes on
    meanwhile, and so do corrections; what waits is the channel of who did that.

    Diagnostics: PostkeelError when it cannot listen; afterwards nothing is raised, and
    what is refused is complained of, at most once in `COMPLAIN_APART`.
    Security: who may enter the directory may ask. SO_PEERCRED decides nothing more: in
    the user namespace of the root side's unit every stranger has the same number, and
    the peer may hand its socket to anybody. The octets are compared with the verb and
    go nowhere else; passed descriptors are never received.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        check_now: Callable[[], object],
        complain: Callable[[Exception], object],
    ) -> None:
        self._loop = loop
        self._path = path
        self._check_now = check_now
        self._complain = complain
        self._asked = False
        self._complained: float | None = None
        self._closing = threading.Event()
        self._listener = _listener(path)
        self._identity = _identity(path)
        # A daemon: while a peer keeps it waiting, the process may end all the same.
        self._thread = threading.Thread(target=self._serve, name="postkeel.channel", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the socket away; nothing is called back afterwards."""
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # accept returns
        self._thread.join(_JOIN)
        if _identity(self._path) == self._identity:
            with suppress(OSError):
                os.unlink(self._path)

    def _serve(self) -> None:
        # Closed here, for what was passed on connections that wait is closed with it.
        with self._listener:
            while not self._closing.is_set():
                with suppress(OSError):  # gone again, no descriptor left, closing: the pace holds
                    connection, _ = self._listener.accept()
                    with connection:
                        connection.settimeout(PATIENCE)
                        self._answer(connection)
                self._closing.wait(PACE)

    def _answer(self, connection: socket.socket) -> None:
        # Without room for ancillary data the kernel drops it, and says so in the flags.
        packet, _, flags, _ = connection.recvmsg(len(VERB) + 1)
        wanted = packet == VERB and not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
        if wanted:
            self._ask()
        else:
            self._refuse()
        connection.send(TAKEN if wanted else REFUSED, socket.MSG_NOSIGNAL)

    def _ask(self) -> None:
        if not self._asked and not self._closing.is_set():
            self._asked = True
            self._loop.wake(self._asked_for)

    def _asked_for(self) -> None:
        self._asked = False  # first: who asks from now on means a later check
        if not self._closing.is_set():
            self._check_now()

    def _refuse(self) -> None:
        now = time.monotonic()
        due = self._complained is None or now >= self._complained + COMPLAIN_APART
        if due and not self._closing.is_set():
            self._complained = now
            error = PostkeelError(
                f"{self._path}: refused what is no request of this version of postkeel: "
                f"if both sides are of one version, look at the monitor"
            )
            self._loop.wake(lambda: self._complain(error))


def ask_check(path: str, deadline: float = 1.0) -> None:
    """Have the root side that listens there check soon.

    It answers that it will, not what it found. Returns within `deadline` seconds.
    Errors: PostkeelError saying what to do when nobody takes the request.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(deadline)
            connection.connect(path)
            connection.send(VERB, socket.MSG_NOSIGNAL)
            answer = connection.recv(len(TAKEN) + 1)
    except OSError as error:
        raise PostkeelError(
            f"{path}: the correcting side does not answer: {error.strerror or error}: "
            f"see systemctl status postkeel"
        ) from error
    if answer != TAKEN:
        raise PostkeelError(
            f"{path}: the correcting side refuses to check: if it is of another version, "
            f"systemctl restart postkeel"
        )


def _listener(path: str) -> socket.socket:
    """Listens at the path, in a directory where nobody else may make anything.

    Errors: PostkeelError, and what was there stays.
    """
    directory = os.path.dirname(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _check_directory(directory)
        _remove_stale(path)
        listener.bind(path)
        os.chmod(path, 0o666)  # noqa: S103  the directory keeps others out
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise PostkeelError(f"{path}: cannot listen: {error.strerror or error}") from error
    except PostkeelError:
        listener.close()
        raise
    return listener


def _check_directory(directory: str) -> None:
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise PostkeelError(f"{directory}: not a directory: remove it")
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PostkeelError(
            f"{directory}: others may write in it: it has to belong to user {os.geteuid()}, "
            f"with mode 0710 or less"
        )


def _remove_stale(path: str) -> None:
    """Remove the socket that a killed process left; nothing else."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise PostkeelError(f"{path}: not a socket, and none of postkeel's: remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as trial:
        trial.setblocking(False)
        if trial.connect_ex(path) != errno.ECONNREFUSED:
            raise PostkeelError(f"{path}: another process listens there already")
    os.unlink(path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
