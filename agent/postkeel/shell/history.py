"""The reports and corrections of the past, in SQLite under the state directory.

A write-ahead log lets commands read while the agent writes, and a process that
is killed leaves what it committed. A power cut may cost the last moments, never
the file; for that no round waits on a disk.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Judged, Outcome, Report
from postkeel.core.report_json import data_to_report, report_to_data, says_something

if TYPE_CHECKING:
    import sqlite3

Subject = tuple[str, str | None, str]
"""What a correction was about, as `Finding.subject`."""

KEPT_REPORTS = 10_000
KEPT_CORRECTIONS = 50_000
KEPT_FOR = timedelta(days=400)
DIFF_LIMIT = 65_536
"""Characters of a diff that are kept: a main.cf rewritten as a whole must not fill the disk."""

_SCHEMA_VERSION = 1
_SCHEMA = f"""
BEGIN;
CREATE TABLE reports (
    id INTEGER PRIMARY KEY, instance TEXT, time TEXT, kind TEXT, detail TEXT,
    outcome TEXT, cause TEXT, seconds REAL, report TEXT);
CREATE INDEX reports_by_instance ON reports (instance, time);
CREATE INDEX reports_by_time ON reports (time);
CREATE TABLE corrections (id INTEGER PRIMARY KEY, instance TEXT, subject TEXT, time TEXT);
CREATE INDEX corrections_by_instance ON corrections (instance, time);
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 256",  # pages: the log stays near 1 MiB
    "PRAGMA journal_size_limit = 1048576",
    "PRAGMA cache_size = -512",  # KiB, of an agent that has 24 MiB in all
)
_PATIENCE = 1.0  # seconds to wait for another writer; the agent's loop waits with it
_PRUNE_EVERY = 100  # reports: old ones are looked for this often

T = TypeVar("T")


class History:
    """Opened at first use; `read_only` neither makes nor changes anything.

    Diagnostics: PostkeelError for every failure, a full disk included; the next
    call tries anew. A damaged file is moved aside as `history.sqlite3.corrupt-TIME`
    by the writer, and a new one begun: the report at hand is kept in it, and the
    error says what happened.
    """

    def __init__(self, state_directory: str, *, read_only: bool = False) -> None:
        self.path = os.path.join(state_directory, "history.sqlite3")
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None

    def record(self, report: Report) -> None:
        """Keep the report, if it says something, and the corrections that it made."""
        if not says_something(report):
            return
        try:
            self._guarded(lambda connection: _insert(connection, report))
        except _DamagedError as error:
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

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, act: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        if self._connection is None and not os.path.exists(self.path):
            return nothing
        return self._guarded(act)

    def _guarded(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Act on the connection; whatever fails closes it, so that the next call starts anew."""
        import sqlite3

        try:
            if self._connection is None:
                self._connection = self._open()
            return act(self._connection)
        except (sqlite3.Error, OSError, ValueError) as error:
            self.close()
            code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
            text = f"{self.path}: {getattr(error, 'strerror', None) or error}"
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise _DamagedError(text) from error
            raise PostkeelError(text) from error

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        if self._read_only:
            name = "file:" + _quoted(self.path) + "?mode=ro"
            return sqlite3.connect(name, uri=True, timeout=_PATIENCE, isolation_level=None)
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(self.path, flags, 0o600))
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, time: datetime) -> str:
        stamp = time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = f"{self.path}.corrupt-{stamp}"
        try:
            # The file itself last: the log of the old one must never meet the new one.
            for suffix in ("-wal", "-shm"):
                if os.path.exists(self.path + suffix):
                    os.rename(self.path + suffix, aside + suffix)
            os.rename(self.path, aside)
        except OSError as error:
            text = f"{self.path}: damaged, and cannot be moved aside: {error.strerror}"
            raise PostkeelError(text) from error
        return aside


class _DamagedError(PostkeelError):
    """The file is no database, or a broken one."""


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _SCHEMA_VERSION:
        raise ValueError("written by a newer postkeel")
    for pragma in _PRAGMAS:
        connection.execute(pragma).fetchall()
    if version == 0:
        connection.executescript(_SCHEMA)


def _insert(connection: sqlite3.Connection, report: Report) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        number = _insert_report(connection, report)
        _insert_corrections(connection, report)
        _prune(connection, number, report.event.time)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself on a full disk
            connection.execute("ROLLBACK")
        raise


def _insert_report(connection: sqlite3.Connection, report: Report) -> int:
    import json

    if len(report.diff) > DIFF_LIMIT:
        report = replace(report, diff=report.diff[:DIFF_LIMIT] + "\n[the rest is not kept]\n")
    row = (
        _stored(report.instance),
        _stamp(report.event.time),
        report.event.kind.value,
        _stored(", ".join(report.event.detail)),
        report.outcome.value,
        _stored(report.cause),
        report.seconds,
        json.dumps(report_to_data(report)),
    )
    cursor = connection.execute("INSERT INTO reports VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return cursor.lastrowid or 0


def _insert_corrections(connection: sqlite3.Connection, report: Report) -> None:
    import json

    time = _stamp(report.event.time)
    connection.executemany(
        "INSERT INTO corrections VALUES (NULL, ?, ?, ?)",
        [
            (_stored(report.instance), json.dumps(one.finding.subject), time)
            for one in report.judged
            if _was_corrected(report, one)
        ],
    )


def _was_corrected(report: Report, judged: Judged) -> bool:
    """Whether the files were changed for this finding, also where it did not last.

    One that was taken back, or undone before the second look, counts as well:
    two writers that fight, or a server that cannot be proved, come to an end.
    """
    written = bool(report.diff) and judged.outcome in (Outcome.REVERTED, Outcome.FAILED)
    planned = {one.change for one in report.plan.changes}
    tried = written and planned.issuperset(judged.finding.remedy)
    return judged.outcome is Outcome.FIXED or tried


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

    wanted = None if instance is None else _stored(instance)
    start = _stamp(since) if since else ""
    rows = connection.execute(
        "SELECT report FROM reports WHERE (? IS NULL OR instance = ?) AND time >= ?"
        " ORDER BY id DESC LIMIT ?",
        (wanted, wanted, start, limit),
    )
    return tuple(data_to_report(json.loads(text)) for (text,) in rows)


def _count(connection: sqlite3.Connection, instance: str, since: datetime) -> Mapping[Subject, int]:
    import json

    rows = connection.execute(
        "SELECT subject FROM corrections WHERE instance = ? AND time >= ?",
        (_stored(instance), _stamp(since)),
    )
    subjects = (json.loads(text) for (text,) in rows)
    return Counter((rule, service, parameter) for rule, service, parameter in subjects)


def _forget(connection: sqlite3.Connection, instance: str) -> int:
    cursor = connection.execute("DELETE FROM corrections WHERE instance = ?", (_stored(instance),))
    return cursor.rowcount


def _stamp(moment: datetime) -> str:
    """Of one width and zone, so that texts compare as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _stored(text: str) -> str:
    """SQLite refuses the surrogates that stand for bytes which are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
