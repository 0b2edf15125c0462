"""Asks postconf about new texts before they are anybody's configuration."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from postkeel.core.errors import PostfixError
from postkeel.postfix.editing import Texts
from postkeel.shell.config_file import cool, explained


def postconf_accepts(
    config_directory: str, state_directory: str, *, deadline: float = 10.0
) -> Callable[[Texts], None]:
    """A check for `write`: raises PostfixError where `postconf -n` refuses the texts.

    postconf reads both files for -n, so a broken master.cf is refused too. It
    does not judge values: `smtpd_tls_security_level = bogus` is accepted, and
    only a live handshake tells.

    The texts lie in a private directory under the state directory meanwhile,
    one an instance: call the check under the instance's lock only.
    """
    name = config_directory.replace("%", "%25").replace("/", "%2F")
    staging = os.path.join(state_directory, "staging", name)

    def check(texts: Texts) -> None:
        try:
            _remove(staging)
            os.makedirs(staging, 0o700)
            _write(os.path.join(staging, "main.cf"), texts.main_cf)
            _write(os.path.join(staging, "master.cf"), texts.master_cf)
            _ask(staging, config_directory, deadline)
        except OSError as error:
            raise PostfixError(f"nothing changed: {explained(error, staging)}") from error
        finally:
            with contextlib.suppress(OSError):  # what led here says more; the next check retries
                _remove(staging)

    return check


def _ask(staging: str, config_directory: str, deadline: float) -> None:
    from postkeel.shell.command import find_program, run

    postconf = find_program("postconf")
    answer = run([postconf, "-c", staging, "-n"], deadline)
    if answer.status != 0:
        said = answer.stderr.replace(f"{postconf}: ", "").replace(staging, config_directory)
        said = "; ".join(line.strip() for line in said.splitlines())
        raise PostfixError(f"nothing changed: postconf refuses the new texts: {said}")


def _write(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        cool(file.fileno())


def _remove(staging: str) -> None:
    """Also what a crash has left."""
    for name in ("main.cf", "master.cf"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(staging, name))
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(staging)
