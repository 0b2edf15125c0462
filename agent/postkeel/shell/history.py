"""The reports and corrections of the past, in SQLite under the state directory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Judged, Outcome, Report
from postkeel.core.report_json import data_to_report, report_to_data, says_something
from postkeel.database import DamagedError, Database, stored, transaction

if TYPE_CHECKING:
    import sqlite3

Subject = tuple[str, str | None, str]
"""What a correction was about, as `Finding.subject`."""

KEPT_REPORTS = 10_000
KEPT_CORRECTIONS = 50_000
KEPT_FOR = timedelta(days=400)
DIFF_LIMIT = 65_536
"""Characters of a diff that are kept: a main.cf rewritten as a whole must not fill the disk."""

_SCHEMA = """
CREATE TABLE reports (
    id INTEGER PRIMARY KEY, instance TEXT, time TEXT, kind TEXT, detail TEXT,
    outcome TEXT, cause TEXT, seconds REAL, report TEXT);
CREATE INDEX reports_by_instance ON reports (instance, time);
CREATE INDEX reports_by_time ON reports (time);
CREATE TABLE corrections (id INTEGER PRIMARY KEY, instance TEXT, subject TEXT, time TEXT);
CREATE INDEX corrections_by_instance ON corrections (instance, time);
CREATE TABLE undelivered (id INTEGER PRIMARY KEY, reporters TEXT, report TEXT);
"""
_PRUNE_EVERY = 100  # reports: old ones are looked for this often


class History(Database):
    """See `Database` for how it is opened and how it fails.

    Diagnostics: a damaged file is moved aside as `history.sqlite3.corrupt-TIME`
    by the writer, and a new one begun: the report at hand is kept in it, and the
    error says what happened.
    """

    schema = _SCHEMA
    version = 1
    cache = 512  # of an agent that has 24 MiB in all

    def __init__(self, state_directory: str, *, read_only: bool = False) -> None:
        super().__init__(os.path.join(state_directory, "history.sqlite3"), read_only=read_only)

    def record(self, report: Report) -> None:
        """Keep the report, if it says something, and the corrections that it made."""
        if not says_something(report):
            return
        try:
            self._guarded(lambda connection: _insert(connection, report))
        except DamagedError as error:
            aside = self._set_aside(report.event.time)
            self._guarded(lambda connection: _insert(connection, report))
            raise PostkeelError(f"{error}; it was moved to {aside} and a new one begun") from error

    def reports(
        self, *, instance: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> tuple[Report, ...]:
        """The reports, newest first, at most `limit`."""
        return self._read(lambda connection: _select(connection, instance, since, limit), ())

    def corrections_since(self, instance: str, since: datetime) -> Mapping[Subject, int]:
        """How often each subject was corrected on this instance from that moment on."""
        nothing: Mapping[Subject, int] = {}
        return self._read(lambda connection: _count(connection, instance, since), nothing)

    def forget_corrections(self, instance: str) -> int:
        """Start counting anew, after a contest; how many corrections were forgotten."""
        return self._read(lambda connection: _forget(connection, instance), 0)

    def begin_delivery(self, report: Report, reporters: Iterable[str]) -> int:
        """Keep the report until these reporters have it; its number for `settle_delivery`."""
        return self._guarded(lambda connection: _begin_delivery(connection, report, reporters))

    def settle_delivery(self, number: int, left: Iterable[str]) -> None:
        """Keep the report for those only that are left, or not at all."""
        self._guarded(lambda connection: _settle_delivery(connection, number, left))

    def undelivered(self) -> tuple[tuple[int, Report, tuple[str, ...]], ...]:
        """Number, report and reporters of what is not settled, oldest first."""
        return self._read(_undelivered, ())


def _insert(connection: sqlite3.Connection, report: Report) -> None:
    with transaction(connection):
        number = _insert_report(connection, report)
        _insert_corrections(connection, report)
        _prune(connection, number, report.event.time)


def _insert_report(connection: sqlite3.Connection, report: Report) -> int:
    import json

    row = (
        stored(report.instance),
        _stamp(report.event.time),
        report.event.kind.value,
        stored(", ".join(report.event.detail)),
        report.outcome.value,
        stored(report.cause),
        report.seconds,
        json.dumps(report_to_data(_shortened(report))),
    )
    cursor = connection.execute("INSERT INTO reports VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return cursor.lastrowid or 0


def _insert_corrections(connection: sqlite3.Connection, report: Report) -> None:
    import json

    time = _stamp(report.event.time)
    connection.executemany(
        "INSERT INTO corrections VALUES (NULL, ?, ?, ?)",
        [
            (stored(report.instance), json.dumps(one.finding.subject), time)
            for one in report.judged
            if _was_corrected(report, one)
        ],
    )


def _was_corrected(report: Report, judged: Judged) -> bool:
    """Whether the files were changed for this finding, also where it did not last.

    One that was taken back, or undone before the second look, counts as well:
    two writers that fight, or a server that cannot be proved, come to an end. What
    needs no edit, as a renewed certificate, may come as often as it likes and succeeds.
    """
    planned = {one.change for one in report.plan.changes}
    tried = judged.outcome in (Outcome.REVERTED, Outcome.FAILED)
    tried = tried and planned.issuperset(judged.finding.remedy)
    if judged.finding.remedy and not judged.finding.edits:
        return tried
    return judged.outcome is Outcome.FIXED or (tried and bool(report.diff))


def _prune(connection: sqlite3.Connection, number: int, now: datetime) -> None:
    connection.execute("DELETE FROM reports WHERE id <= ?", (number - KEPT_REPORTS,))
    if number % _PRUNE_EVERY:
        return
    oldest = _stamp(now - KEPT_FOR)
    connection.execute("DELETE FROM reports WHERE time < ?", (oldest,))
    connection.execute("DELETE FROM corrections WHERE time < ?", (oldest,))
    connection.execute(
        "DELETE FROM corrections WHERE id <= (SELECT max(id) FROM corrections) - ?",
        (KEPT_CORRECTIONS,),
    )


def _select(
    connection: sqlite3.Connection, instance: str | None, since: datetime | None, limit: int
) -> tuple[Report, ...]:
    import json

    wanted = None if instance is None else stored(instance)
    start = _stamp(since) if since else ""
    rows = connection.execute(
        "SELECT report FROM reports WHERE (? IS NULL OR instance = ?) AND time >= ?"
        " ORDER BY id DESC LIMIT ?",
        (wanted, wanted, start, limit),
    )
    try:
        return tuple(data_to_report(json.loads(text)) for (text,) in rows)
    except (TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError("not a report") from error


def _count(connection: sqlite3.Connection, instance: str, since: datetime) -> Mapping[Subject, int]:
    import json

    rows = connection.execute(
        "SELECT subject FROM corrections WHERE instance = ? AND time >= ?",
        (stored(instance), _stamp(since)),
    )
    subjects = (json.loads(text) for (text,) in rows)
    return Counter((rule, service, parameter) for rule, service, parameter in subjects)


def _forget(connection: sqlite3.Connection, instance: str) -> int:
    cursor = connection.execute("DELETE FROM corrections WHERE instance = ?", (stored(instance),))
    return cursor.rowcount


def _begin_delivery(
    connection: sqlite3.Connection, report: Report, reporters: Iterable[str]
) -> int:
    import json

    row = (json.dumps(list(reporters)), json.dumps(report_to_data(_shortened(report))))
    cursor = connection.execute("INSERT INTO undelivered VALUES (NULL, ?, ?)", row)
    return cursor.lastrowid or 0


def _settle_delivery(connection: sqlite3.Connection, number: int, left: Iterable[str]) -> None:
    import json

    names = json.dumps(list(left))
    if names == "[]":
        connection.execute("DELETE FROM undelivered WHERE id = ?", (number,))
    else:
        connection.execute("UPDATE undelivered SET reporters = ? WHERE id = ?", (names, number))


def _undelivered(
    connection: sqlite3.Connection,
) -> tuple[tuple[int, Report, tuple[str, ...]], ...]:
    import json

    rows = connection.execute("SELECT id, report, reporters FROM undelivered ORDER BY id")
    return tuple(
        (number, data_to_report(json.loads(report)), tuple(json.loads(reporters)))
        for number, report, reporters in rows
    )


def _shortened(report: Report) -> Report:
    if len(report.diff) <= DIFF_LIMIT:
        return report
    return replace(report, diff=report.diff[:DIFF_LIMIT] + "\n[the rest is not kept]\n")


def _stamp(moment: datetime) -> str:
    """Of one width and zone, so that texts compare as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
