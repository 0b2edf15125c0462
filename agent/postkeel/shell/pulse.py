"""What the agent says without anything having happened: heartbeats, digests, metrics.

Where the two sides are processes of their own it is the monitor's that speaks, for it
reaches the collectors, and it says so when the other one is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from postkeel import __version__
from postkeel.contract import Event, EventKind, Outcome, Plan, Records, Report
from postkeel.core.errors import PostkeelError
from postkeel.core.news import SEEN
from postkeel.shell.correcting import Correcting
from postkeel.shell.digests import Digests
from postkeel.shell.listening import Listened
from postkeel.shell.metric_counts import OWN_KINDS
from postkeel.shell.metrics_file import MetricsFile
from postkeel.shell.office import Office

FIRST_BEAT_SECONDS: Final = 10.0
"""To twice as many: the other side has had its first round, and a fleet does not speak at once."""
MOST_SPLAY_SECONDS: Final = 60.0
WRITTEN_APART_SECONDS: Final = 15.0
WRITTEN_AT_LEAST_SECONDS: Final = 300.0
"""Metrics that are older have stopped."""
_FIRST: Final = "first heartbeat"
_BEAT: Final = "heartbeat"
_METRICS: Final = "metrics"


class Pulse:
    """Speaks for all instances of the office.

    correcting: what the side that corrects says. listened: what stands of an instance's log.
    now: the clock of the host, aware, in its zone.
    """

    def __init__(
        self,
        office: Office,
        correcting: Callable[[], Correcting],
        listened: Callable[[str], Listened],
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
    ) -> None:
        self._office = office
        self._correcting = correcting
        self._listened = listened
        self._now = now
        self._metrics = MetricsFile(office, correcting, listened)
        self._digests = Digests(office, listened, now)
        self._begun = False
        self._written = -WRITTEN_AT_LEAST_SECONDS
        self._complaint = ""

    def begin(self) -> None:
        """Speak from now on; also after the configuration was read anew.

        The first heartbeat is soon either way, so that a collector hears of it.
        """
        loop, every = self._office.loop, self._every
        self._metrics.counts.keep(self._office.guarding.instances)
        if every:
            splay = min(MOST_SPLAY_SECONDS, every / 10)
            loop.repeat(_BEAT, self._beat, every=every - splay, splay=splay)
            loop.repeat(
                _FIRST, self._first_beat, every=FIRST_BEAT_SECONDS, splay=FIRST_BEAT_SECONDS
            )
        else:
            loop.cancel(_BEAT)
            loop.cancel(_FIRST)
        self._begun = True
        self._digests.begin()
        self.touch()

    def close(self) -> None:
        """Keep what has not been kept yet; nothing is said from now on."""
        for timer in (_FIRST, _BEAT, _METRICS):
            self._office.loop.cancel(timer)
        self._begun = False
        self._digests.close()

    def passed(self, report: Report) -> None:
        """Count a report that is handed to the reporters."""
        if report.event.kind not in OWN_KINDS:
            self._metrics.counts.passed(report)
            self._digests.passed(report, of_log=report.cause in SEEN)
        self.touch()

    def kept(self, directory: str, records: Records) -> None:
        """Count what a monitor has counted."""
        if self._metrics.counts.kept(directory, records):
            self.touch()

    def touch(self) -> None:
        """Something that the metrics tell may be another thing now: write them soon."""
        loop = self._office.loop
        due = max(loop.clock(), self._written + WRITTEN_APART_SECONDS)
        if self._begun and due < loop.due_times().get(_METRICS, due + 1):
            loop.after(_METRICS, due - loop.clock(), self._turn)

    @property
    def _every(self) -> int:
        return self._office.guarding.configuration.reporting.heartbeat

    def _turn(self) -> None:
        """The net: whatever clock was set, or file was lost, is seen within this time."""
        loop = self._office.loop
        self._written = loop.clock()
        loop.after(_METRICS, WRITTEN_AT_LEAST_SECONDS, self._turn)
        self._digests.look()
        complaint = ""
        try:
            self._metrics.write(self._now())
        except PostkeelError as error:
            complaint = str(error)
            if complaint != self._complaint:
                self._office.complain(error)
        self._complaint = complaint

    def _first_beat(self) -> None:
        self._office.loop.cancel(_FIRST)
        self._beat()

    def _beat(self) -> None:
        """A heartbeat of each instance."""
        known, now = self._correcting(), self._now()
        for instance in self._office.guarding.instances:
            self._office.deliver(self._heartbeat(instance, known, now))
        self._metrics.heartbeat = now
        self.touch()

    def _heartbeat(self, instance: str, known: Correcting, now: datetime) -> Report:
        status = known.instances.get(instance)
        settings = self._office.guarding.configuration.settings(instance)
        told = {
            "postkeel": __version__,
            "guarded": _yes(instance in known.guarded),
            "alarms": str(len(self._listened(instance).standing)),
            "mode": settings.mode.value,
            "profile": settings.profile,
        }
        if status is not None:
            opened = status.open_errors + status.open_warnings + status.open_infos
            told |= {
                "last_outcome": status.outcome,
                "last_round": status.time,
                "open_findings": str(opened),
                "open_errors": str(status.open_errors),
                "held": _yes(status.held),
                "mode": status.mode,
                "profile": status.profile,
                "postfix": status.postfix,
                "openssl": status.openssl,
            }
        told["every"] = str(self._every)
        return Report(
            instance=instance,
            event=Event(kind=EventKind.HEARTBEAT, instance=instance, time=now.astimezone(UTC)),
            outcome=Outcome.CLEAN,
            judged=(),
            plan=Plan(),
            seconds=0.0,
            problems=known.problems,
            told=tuple(told.items()),
        )


def _yes(fact: bool) -> str:  # noqa: FBT001  the fact is all there is to say
    return "yes" if fact else "no"
