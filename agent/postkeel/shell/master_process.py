"""Finds Postfix's master(8) and signals it, without any privilege but to be its user.

master(8) keeps its pid file locked while it runs, and the kernel lets go of the
lock when it ends, so a number that a crash has left names nobody. /proc is not
asked: a sandboxed agent does not see master there.
"""

from __future__ import annotations

import fcntl
import os
import signal


def is_running(queue_directory: str) -> bool:
    """Whether this instance's master runs; False also for who may not know."""
    return signal_master(queue_directory, 0)


def signal_master(queue_directory: str, number: int) -> bool:
    """Send master a signal, or none for 0; False when it does not run or is not ours to signal."""
    try:
        with open(os.path.join(queue_directory, "pid", "master.pid"), "rb") as file:
            # From here on the process meant is this one or none, whoever gets its number.
            process = os.pidfd_open(int(file.read(32).split(b"\0")[0]))
            try:
                # First whether it may be signalled: for a stranger's number no lock is touched.
                signal.pidfd_send_signal(process, 0)
                if not _is_locked(file.fileno()):
                    return False
                signal.pidfd_send_signal(process, number)
            finally:
                os.close(process)
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _is_locked(file: int) -> bool:
    """Whether somebody else holds the file's lock. If not it is ours until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
