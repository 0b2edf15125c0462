"""Makes the running Postfix read its configuration again."""

from __future__ import annotations

import signal

from postkeel.core.errors import PostfixError
from postkeel.shell.command import find_program, run
from postkeel.shell.master_process import signal_master
from postkeel.shell.postfix_facts import queue_directory


def reload(config_directory: str, deadline: float) -> None:
    """Have this instance's master(8) read everything again; the directory is absolute.

    A process that serves a client goes on with the old values until it is done:
    a handshake right after this may still meet one.

    `postfix reload` is not used: it starts postsuper(1), which drops to another
    user, and the service has no capability for that. What it does beside is done
    here: Postfix's own start-up code must accept the configuration first, by
    `postfix status`, for master(8) ends when it reads, say, a number that is
    none, and postconf does not object to that. Then master is sent SIGHUP.

    Diagnostics: PostfixError with what Postfix says, on one line; mostly it says
    it to its log alone, also that it is not running.
    """
    answer = run([find_program("postfix"), "-c", config_directory, "status"], deadline)
    if answer.status != 0:
        # Postfix speaks to a terminal or to its log; a pipe hears only of the worst.
        said = " ".join(answer.stderr.split()) or "Postfix's log says why"
        raise PostfixError(
            f"{config_directory}: not reloaded: `postfix status` ends with {answer.status}: {said}"
        )
    if not signal_master(queue_directory(config_directory), signal.SIGHUP):
        raise PostfixError(f"{config_directory}: not reloaded: master(8) is not to be signalled")
