"""The plugin `central`: the one spool and sender that its options make."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from postkeel.contract import (
    Card,
    Options,
    Place,
    Report,
    Side,
    Standing,
    frozen,
    hookimpl,
)
from postkeel.reporting.severities import FACILITIES, is_routine, severities_of
from postkeel_plugins.central.options import OPTIONS

if TYPE_CHECKING:
    from postkeel_plugins.central.sender import Sender
    from postkeel_plugins.central.spool import Encode, Spool


@frozen
class _Work:
    """What one set of options made."""

    options: dict[str, object]
    place: Place
    severities: dict[str, int]
    spool: Spool
    sender: Sender


def _now() -> datetime:
    return datetime.now(UTC)


class Reporter:
    """Keeps the spool and the sender of the options that it was last given."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # a delivery that missed its deadline may still be here
        self._work: _Work | None = None

    @hookimpl
    def keel_card(self) -> Card:
        return Card(
            name="central",
            summary="reports to a central syslog, kept until a collector has taken them",
            side=Side.MONITOR,
            options=OPTIONS,
        )

    @hookimpl
    def keel_begin(self, options: Options, place: Place) -> None:
        """Send on what an earlier process left, and heed other options from now on."""
        self._working(options, place)

    @hookimpl
    def keel_deliver(self, report: Report, options: Options, place: Place) -> None:
        """Put the report into the spool; nothing for a timer that found all as wanted.

        Waits for the disk, and never for a collector.
        Diagnostics: an OSError or PostkeelError when the disk does not take it.
        Security: what strangers wrote is escaped where the message is made.
        """
        work = self._working(options, place)
        if work is None or is_routine(report):
            return
        from postkeel.reporting.fields import message_of

        work.spool.put(message_of(report, work.severities), self._clock())
        work.sender.wake()

    @hookimpl
    def keel_status(self, options: Options, place: Place) -> Standing | None:
        if not options["collectors"]:
            return None
        from postkeel_plugins.central.standing import read_standing

        return read_standing(place.state)

    def close(self) -> None:
        """End what earlier options began."""
        work, self._work = self._work, None
        if work is not None:
            work.sender.close()

    def _working(self, options: Options, place: Place) -> _Work | None:
        """What these options make; None where there is no collector."""
        with self._lock:
            work = self._work
            fits = work and work.options == options and work.place == place
            if work and fits and work.sender.is_running():
                return work
            self.close()
            if options["collectors"]:
                self._work = _begun(options, place, self._clock)
            return self._work


def _begun(options: Any, place: Place, clock: Callable[[], datetime]) -> _Work:
    from postkeel_plugins.central.collectors import collectors_of
    from postkeel_plugins.central.opening import Manner
    from postkeel_plugins.central.sender import Sender
    from postkeel_plugins.central.spool import Bounds, Spool

    bounds = Bounds(
        reports=options["spool_reports"],
        fold_seconds=options["fold_seconds"],
        per_minute=options["reports_per_minute"],
    )
    manner = Manner(
        authority=options["ca"],
        certificate=options["certificate"],
        key=options["key"],
        window_seconds=options["window_seconds"],
        window_reports=options["spool_reports"] // 2,
    )
    spool = Spool(place.state, bounds, _encoder(options))
    sender = Sender(spool, collectors_of(options["collectors"]), manner, clock)
    sender.start()
    return _Work(
        options=dict(options),
        place=place,
        severities=severities_of(options["severities"]),
        spool=spool,
        sender=sender,
    )


def _encoder(options: Any) -> Encode:
    """A message and the spool's marks to the octets for the wire."""
    import os

    from postkeel.reporting.message import Fields, Message
    from postkeel.reporting.rfc5424 import Header, rfc5424, rfc5424_cee
    from postkeel_plugins.central.host_name import host_name

    write = rfc5424_cee if options["format"] == "cee" else rfc5424
    header = Header(
        facility=FACILITIES[options["facility"]],
        host=options["host"] or host_name(),
        process=os.getpid(),
        enterprise=options["enterprise"],
    )

    def encode(message: Message, marks: Fields) -> bytes:
        return write(message, header, marks)

    return encode
