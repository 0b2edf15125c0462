"""How the spool stands, in sentences; also for a process that only looks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from postkeel.contract import Standing, one_line
from postkeel.database import Database, PostkeelError
from postkeel_plugins.central import spool_tables

if TYPE_CHECKING:
    import sqlite3


class _Seen(Database):
    schema = spool_tables.SCHEMA
    version = spool_tables.VERSION
    cache = spool_tables.CACHE
    damage = spool_tables.DAMAGE

    def standing(self) -> Standing:
        return self._read(standing_of, Standing())


def read_standing(directory: str) -> Standing:
    """As the process that writes the spool would say it; nothing where there is no spool."""
    try:
        with _Seen(spool_tables.path_of(directory), read_only=True) as seen:
            return seen.standing()
    except PostkeelError as error:
        return Standing(said=(str(error),))


def standing_of(connection: sqlite3.Connection) -> Standing:
    """What the tables say, read at one moment."""
    waiting, since = connection.execute("SELECT count(*), min(time) FROM reports").fetchone()
    row = connection.execute("SELECT dropped, dropped_at, aside FROM spool").fetchone()
    dropped, last, aside = spool_tables.checked(row or (0, "", ""), int, str, str)
    notes = connection.execute("SELECT collector, problem FROM notes ORDER BY collector")
    problems = [one_line(f"{collector}: {problem}") for collector, problem in notes]
    said = []
    if waiting:
        begun = f"{_reports(waiting)} wait{'s' if waiting == 1 else ''} since {_moment(since)}"
        said.append("; ".join([begun, *problems]))
    elif problems:
        said.append("; ".join(problems))
    if dropped:
        were = "was" if dropped == 1 else "were"
        said.append(
            f"{_reports(dropped)} {were} dropped as too many waited, the last at {_moment(last)}"
        )
    if aside and os.path.lexists(aside):
        said.append(one_line(f"the spool was damaged: what waited in it is in {aside}"))
    return Standing(said=tuple(said), waiting=int(waiting), dropped=int(dropped))


def _reports(count: int) -> str:
    return f"{count:,} report{'' if count == 1 else 's'}"


def _moment(stamp: str) -> str:
    """The minute of a time as the spool keeps it."""
    return f"{one_line(str(stamp))[:16].replace('T', ' ')} UTC"
