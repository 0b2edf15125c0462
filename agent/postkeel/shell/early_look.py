"""A look at certificates that is begun before it is known what to look at.

What a look has to load, OpenSSL above all, takes half as long as a whole command. Beside the
rest of the command, on another processor, it is nearly free.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from postkeel.core.errors import PostkeelError
from postkeel.shell.forked import Forked, answered, deliver

if TYPE_CHECKING:
    from postkeel.certificates.stored import Findings
    from postkeel.core.configuration import CertificateSources
    from postkeel.postfix.instance import Instance

_LONGEST = 60
"""Seconds after which a process ends that nobody has asked."""


class EarlyLook:
    """A process that can be asked once. `close` must be called when it was begun."""

    def __init__(self) -> None:
        self._process: Forked | None = None
        self._request = -1

    def begin(self) -> None:
        """Start it. Where that cannot be there is none, and `ask` says so."""
        with suppress(OSError):
            read, self._request = os.pipe2(os.O_CLOEXEC)
            try:
                self._process = Forked(
                    lambda pipe: deliver(lambda: _asked(read), pipe), _LONGEST, read
                )
            finally:
                os.close(read)

    def ask(
        self, instance: Instance, sources: CertificateSources, seconds: float
    ) -> Findings | None:
        """What a first look finds; None where there is no such process, or it failed."""
        if self._process is None:
            return None
        import pickle

        from postkeel.certificates.stored import understood

        bare = replace(instance, suites={}, policies={}, references={}, unused={})
        try:
            with open(self._request, "wb") as pipe:
                self._request = -1
                pickle.dump((bare, sources), pipe)
            process, self._process = self._process, None
            return understood(answered(process, seconds))
        except (PostkeelError, OSError):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """End it, asked or not."""
        if self._request >= 0:
            os.close(self._request)
            self._request = -1
        if self._process is not None:
            self._process.close()
            self._process = None


def _asked(request: int) -> object:
    """Load what a look needs, then wait for the question. Standard error is the command's alone.

    Security: it comes from the process that this one was forked from, and from no other.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 2)
    import pickle

    import cryptography.hazmat.backends.openssl.backend
    import cryptography.hazmat.primitives.serialization  # noqa: F401

    import postkeel.certificates.reading  # noqa: F401
    from postkeel.certificates.stored import told
    from postkeel.shell.certificate_facts import SYSTEM_ROOTS
    from postkeel.shell.certificate_look import Store, look

    store = Store(SYSTEM_ROOTS)
    store.roots  # noqa: B018  read while there is time
    with open(request, "rb") as pipe:
        instance, sources = pickle.load(pipe)  # noqa: S301  see Security above
    return told(look(instance, sources, store=store))
