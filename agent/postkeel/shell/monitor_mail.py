"""What one plugin wants of mail: probes by the clock and after corrections, samples of headers.

Nothing of it is imported, and no timer armed, for a plugin that wants neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from postkeel.contract import EventKind, Interest, Mailboxes, Probe, ProbeResult
from postkeel.core.errors import PostkeelError
from postkeel.shell.loop import Loop

if TYPE_CHECKING:
    from postkeel.shell.probe import Probing
    from postkeel.shell.sampling import Sampling

FIRST_PROBE_SECONDS: Final = 5.0
"""After the start, and twice as many at most, for a fleet does not act at once."""
SETTLED_SECONDS: Final = 1.0
"""From a correction to its probe: smtpd processes of before it are gone by then."""
PROBES_APART_SECONDS: Final = 60.0
"""Two writers that fight bring many corrections, and each probe is a mail."""

_ON_TIME: Final = "by the clock"
_CORRECTED: Final = "after a correction"


class MonitorMail:
    """Makes probes and takes samples, and says what came of it.

    directory: the monitor's state. secret: makes the marks of this host's probes; called when a
    probe is wanted. happened: what the plugin is to be told: the kind of event, its detail, the
    probe, the headers. complain: why it cannot be done, once each time that another thing is.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        directory: str,
        secret: Callable[[], bytes],
        happened: Callable[[EventKind, str, ProbeResult | None, tuple[bytes, ...]], object],
        complain: Callable[[str], object],
    ) -> None:
        self._loop = loop
        self._name = name
        self._directory = directory
        self._secret = secret
        self._happened = happened
        self._complain = complain
        self._probe: Probe | None = None
        self._mailboxes: Mailboxes | None = None
        self._probing: Probing | None = None
        self._sampling: Sampling | None = None
        self._began = -PROBES_APART_SECONDS
        self._why = _ON_TIME

    def want(self, interest: Interest) -> None:
        """Do this from now on, and nothing else."""
        if interest.probe != self._probe:
            self._stop_probing()
            self._probe = interest.probe
            if self._probe is not None:
                self._begin_probing(self._probe)
        if interest.mailboxes != self._mailboxes:
            self._stop_sampling()
            self._mailboxes = interest.mailboxes
            if self._mailboxes is not None:
                self._begin_sampling(self._mailboxes)

    def corrected(self) -> None:
        """A correction was made: see whether it is seen from outside as well."""
        if self._probe is None or not self._probe.every:
            return
        self._why = _CORRECTED
        now = self._loop.clock()
        due = max(now + SETTLED_SECONDS, self._began + PROBES_APART_SECONDS)
        self._loop.after(self._soon, due - now, self._start)

    def close(self) -> None:
        """Nothing is called back from now on."""
        self.want(Interest())

    @property
    def said(self) -> str:
        """What is done, in one sentence; "" for nothing."""
        parts = []
        if self._probe is not None and self._probe.every:
            targets = ", ".join(map(str, self._probe.targets)) or "no service"
            parts.append(f"probes {targets}, each {self._probe.every:g} s")
        if self._mailboxes is not None:
            parts.append(f"samples {', '.join(self._mailboxes.paths)}")
        return "; ".join(parts)

    @property
    def _soon(self) -> str:
        return f"{self._name} probe soon"

    @property
    def _timer(self) -> str:
        return f"{self._name} probe"

    def _begin_probing(self, wanted: Probe) -> None:
        if wanted.every:
            self._loop.repeat(self._timer, self._start, every=wanted.every, splay=wanted.splay)
            self._loop.after(self._soon, FIRST_PROBE_SECONDS, self._start)

    def _stop_probing(self) -> None:
        for timer in (self._timer, self._soon):
            self._loop.cancel(timer)
        if self._probing is not None:
            self._probing.close()
            self._probing = None

    def _start(self) -> None:
        if self._probe is None or self._probing is not None:  # the one under way will tell
            return
        from postkeel.shell.probe import Probing

        self._began = self._loop.clock()
        self._loop.cancel(self._soon)
        try:
            self._probing = Probing(
                self._loop, self._probe, self._directory, self._secret(), self._done, self._failed
            )
            self._probing.start()
        except PostkeelError as error:
            self._failed(error)

    def _done(self, result: ProbeResult) -> None:
        why = self._ended()
        self._complain("")
        self._happened(EventKind.PROBED, why, result, ())

    def _failed(self, error: PostkeelError) -> None:
        self._ended()
        self._complain(f"no probe can be made: {error}")

    def _ended(self) -> str:
        """Why the probe was made that has ended."""
        if self._probing is not None:
            self._probing.close()
            self._probing = None
        why, self._why = self._why, _ON_TIME
        return why

    def _begin_sampling(self, wanted: Mailboxes) -> None:
        from postkeel.shell.sampling import Sampling

        self._sampling = Sampling(self._loop, wanted, self._arrived, self._complain)

    def _stop_sampling(self) -> None:
        if self._sampling is not None:
            self._sampling.close()
            self._sampling = None

    def _arrived(self, headers: tuple[bytes, ...]) -> None:
        self._happened(EventKind.MESSAGES, "", None, headers)
