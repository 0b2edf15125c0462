"""Makes the running Postfix read its configuration again."""

from __future__ import annotations

from postkeel.core.errors import PostfixError
from postkeel.shell.command import find_program, run


def reload(config_directory: str, deadline: float) -> None:
    """`postfix -c DIR reload`; the directory is absolute, as Postfix wants it.

    A process that serves a client goes on with the old values until it is done:
    a handshake right after this may still meet one.

    Diagnostics: PostfixError with what Postfix says, on one line; mostly it says
    it to its log alone, also that it is not running. Needs CAP_SETUID and
    CAP_SETGID: without them Postfix does reload and fails all the same.
    """
    answer = run([find_program("postfix"), "-c", config_directory, "reload"], deadline)
    if answer.status != 0:
        # Postfix speaks to a terminal or to its log; a pipe hears only of the worst.
        said = " ".join(answer.stderr.split()) or "Postfix's log says why"
        raise PostfixError(
            f"{config_directory}: reload failed with exit status {answer.status}: {said}"
        )
