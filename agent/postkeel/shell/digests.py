"""The daily digest: reports are summed up as they pass, and told at a time of day.

The sums and the day that was told last are kept in the monitor's state, so a restart
neither repeats a digest nor leaves one out. A process that is killed may leave out
of the sums what passed within the last seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Final

from postkeel.contract import Event, EventKind, Outcome, Plan, Report
from postkeel.core.calendar import due_day, last_day, seconds_until, settled_day
from postkeel.core.errors import PostkeelError
from postkeel.reporting.digest import Day, alarm_key, day_of
from postkeel.shell.listening import Listened
from postkeel.shell.office import Office
from postkeel.shell.whole_file import read_whole, write_whole

KEPT_AFTER_SECONDS: Final = 15.0
"""What passes is kept within this time."""
_TIMER: Final = "digest"
_KEEPER: Final = "digest kept"
_VERSION: Final = 1
_LIMIT: Final = 8_388_608


class Digests:
    """Sums of each instance, and the calendar.

    now: the clock of the host, aware, in its zone.
    """

    def __init__(
        self,
        office: Office,
        listened: Callable[[str], Listened],
        now: Callable[[], datetime],
    ) -> None:
        self._office = office
        self._listened = listened
        self._now = now
        self._path = ""
        self._told: date | None = None
        self._since = now()
        self._days: dict[str, Day] = {}

    def begin(self) -> None:
        """Take up what was kept, and arm the timer; also after the configuration was read anew."""
        if self._at is None:
            self.close()
            self._path = ""
            return
        configuration = self._office.guarding.configuration
        path = os.path.join(configuration.monitor_state_directory, "digest.json")
        if path != self._path:
            self._path = path
            self._take_up()
        self.look()

    def passed(self, report: Report, *, of_log: bool) -> None:
        """Count a report. of_log: by the monitors, else by the side that corrects."""
        instances = self._office.guarding.instances
        if not self._path or report.instance not in instances:
            return
        day = self._days.setdefault(report.instance, Day())
        (day.add_alarms if of_log else day.add_round)(report)
        if _KEEPER not in self._office.loop.due_times():
            self._office.loop.after(_KEEPER, KEPT_AFTER_SECONDS, self._keep)

    def look(self) -> None:
        """Tell the digest if its moment has come, also where the clock was set meanwhile."""
        at, now = self._at, self._now()
        if at is None:
            return
        last = last_day(now, at, _instant)
        told = settled_day(self._told or last, last)
        due = due_day(told, last)
        if due is not None:
            self._tell(now)
        if due is not None or told != self._told:
            self._told = due or told
            self._keep()
        wait = seconds_until(now, at, _instant)
        self._office.loop.after(_TIMER, wait, self.look)

    def close(self) -> None:
        """Keep what has not been kept yet; nothing is told from now on."""
        self._office.loop.cancel(_TIMER)
        if _KEEPER in self._office.loop.due_times():
            self._keep()

    @property
    def _at(self) -> time | None:
        text = self._office.guarding.configuration.reporting.digest
        return time.fromisoformat(text) if text else None

    def _tell(self, now: datetime) -> None:
        """Only what was handed on is begun anew: a digest that is lost would be lost for good."""
        since = min(self._since, now)
        for instance in self._office.guarding.instances:
            sums = self._days.get(instance, Day()).told()
            self._office.deliver(_digest(instance, since, now, sums))
        self._since = now
        self._days = {
            one: Day(alarm_key(*alarm) for alarm in self._listened(one).standing)
            for one in self._office.guarding.instances
        }

    def _take_up(self) -> None:
        self._told, self._since, self._days = None, self._now(), {}
        try:
            content = read_whole(self._path, limit=_LIMIT)
            if content is not None:
                self._read(content)
        except (PostkeelError, ValueError) as error:
            text = f"{self._path}: {error}; the sums of the digest begin anew"
            self._office.complain(PostkeelError(text))

    def _read(self, content: bytes) -> None:
        import json

        try:
            data = json.loads(content)
            if data["version"] != _VERSION:
                raise ValueError("not of this version of postkeel")
            told = date.fromisoformat(data["told"])
            since = datetime.fromisoformat(data["since"])
            days = {str(name): day_of(one) for name, one in data["instances"].items()}
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not what was kept of a digest: {error}") from error
        if since.tzinfo is None:
            raise ValueError("a time without its zone")
        self._told, self._since, self._days = told, since, days

    def _keep(self) -> None:
        import json

        self._office.loop.cancel(_KEEPER)
        told = self._told or self._since.date()
        instances = self._office.guarding.instances
        data = {
            "version": _VERSION,
            "told": told.isoformat(),
            "since": self._since.isoformat(),
            "instances": {one: day.data() for one, day in self._days.items() if one in instances},
        }
        try:
            write_whole(self._path, json.dumps(data).encode(), mode=0o600, durable=False)
        except PostkeelError as error:
            self._office.complain(error)


def _instant(local: datetime) -> datetime:
    """By the host's zone; astimezone of Python 3.11 errs where the clocks leave an hour out."""
    return datetime.fromtimestamp(local.timestamp(), UTC)


def _digest(
    instance: str, since: datetime, until: datetime, sums: tuple[tuple[str, str], ...]
) -> Report:
    times = tuple(
        (name, one.astimezone(UTC).isoformat(timespec="seconds"))
        for name, one in (("since", since), ("until", until))
    )
    return Report(
        instance=instance,
        event=Event(kind=EventKind.DIGEST, instance=instance, time=until.astimezone(UTC)),
        outcome=Outcome.CLEAN,
        judged=(),
        plan=Plan(),
        seconds=0.0,
        told=(*times, *sums),
    )
