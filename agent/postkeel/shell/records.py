"""What plugins keep: counters by the hour, a state, and how far each log was read.

All that one batch of lines says goes in by one transaction with the position behind
it. So a process may be killed at any moment: the lines after the position that
is kept are those that are not counted yet, no more and no fewer.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.model import Records, Table
from postkeel.database import DamagedError, Database, stored, transaction
from postkeel.shell.record_limits import keep_within
from postkeel.shell.record_tables import RecordTable, Value, kept_text

if TYPE_CHECKING:
    import sqlite3

STATE_LIMIT = 4 * 1024 * 1024
"""Octets of JSON of a plugin's state, and of a position."""

_SCHEMA = """
CREATE TABLE states (plugin TEXT, instance TEXT, state TEXT, PRIMARY KEY (plugin, instance));
CREATE TABLE positions (
    plugin TEXT, instance TEXT, source TEXT, position TEXT,
    PRIMARY KEY (plugin, instance, source));
"""
_LOOK_AFTER = 50
"""The rows of a table are counted when a fiftieth of its limit may have been added."""

_AT_ONCE = 1000  # rows that are read at a time


@frozen
class Kept:
    """What a plugin is given when it goes on: its last state, and the position in each source."""

    state: object | None
    positions: Mapping[str, object]


class FaultyRecordsError(PostkeelError):
    """Records that fit no table, or a state that cannot be kept: a defect of the plugin's."""


class RecordStore(Database):
    """See `Database` for how it is opened and how it fails.

    Diagnostics: after an error nothing of that commit is kept. A damaged file is
    moved aside as `records.sqlite3.corrupt-TIME` by the writer, with an error that
    says so; the next call begins a new one.
    """

    schema = _SCHEMA
    version = 1
    cache = 2048

    def __init__(self, state_directory: str, *, read_only: bool = False) -> None:
        super().__init__(os.path.join(state_directory, "records.sqlite3"), read_only=read_only)
        self._looked: dict[str, _Look] = {}

    def close(self) -> None:
        super().close()
        self._looked.clear()

    def kept(self, plugin: str, instance: str) -> Kept:
        """What the last commits of this plugin for this instance left."""
        nothing = Kept(state=None, positions={})
        try:
            return self._read(lambda connection: _kept(connection, plugin, instance), nothing)
        except DamagedError as error:
            raise self._begin_anew(error, None) from error

    def commit(
        self,
        plugin: str,
        instance: str,
        tables: tuple[Table, ...],
        records: Records | None,
        *,
        source: str | None = None,
        position: object | None = None,
        now: datetime,
    ) -> None:
        """Keep all of this or, after an error, nothing.

        tables: of the plugin's card. records: counters are added, the state takes the
        place of the last one; None leaves both as they are. position: where to go on in
        that source; of JSON's types, as the state. now: from which `Table.kept_days` count.
        Errors: FaultyRecordsError for a defect of the plugin's; the same records would
        be refused again.
        """
        known = [RecordTable(plugin, one) for one in tables]
        try:
            rows = _rows(plugin, instance, known, records)
            state = None if records is None else _json(records.state, f"state of {plugin}")
        except PostkeelError as error:
            raise FaultyRecordsError(str(error)) from error
        whose = (plugin, stored(instance))
        place = None if source is None else _json(position, f"position in {source}")

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if state is not None:
                    connection.execute("REPLACE INTO states VALUES (?, ?, ?)", (*whose, state))
                if source is not None:
                    row = (*whose, _json(source, "source"), place)
                    connection.execute("REPLACE INTO positions VALUES (?, ?, ?, ?)", row)
                for table in known:
                    self._add(connection, table, rows.get(table.table.name, []), now)

        try:
            self._guarded(write)
        except DamagedError as error:
            raise self._begin_anew(error, now) from error

    def rows(
        self,
        plugin: str,
        table: Table,
        *,
        instance: str | None = None,
        since_hour: int = 0,
        where: str | None = None,
    ) -> Iterator[tuple[Value, ...]]:
        """Each row of the table from that hour on: the hour, the key columns, the counters.

        instance: None sums over all. where: the value of the column that the table folds.
        In no promised order. Errors: PostkeelError, also while it is read.
        """
        if where is not None and not table.folds:
            raise PostkeelError(f"table {table.name} of {plugin} folds no column to look into")
        one = RecordTable(plugin, table)
        wanted = None if instance is None else stored(instance)
        value = None if where is None else kept_text(where)
        found = self._read(
            lambda connection: one.select(
                connection, instance=wanted, since_hour=since_hour, where=value
            ),
            None,
        )
        if found is None:
            return
        while chunk := self._guarded(lambda _: list(itertools.islice(found, _AT_ONCE))):
            yield from chunk

    def _add(
        self,
        connection: sqlite3.Connection,
        table: RecordTable,
        rows: list[tuple[Value, ...]],
        now: datetime,
    ) -> None:
        """Add the rows; now and then, see that the table stays within its limits."""
        look = self._looked.get(table.plain_name)
        if look is None:
            table.prepare(connection)
        connection.executemany(table.add, rows)
        if look is None or look.is_due(table.table, len(rows), now):
            keep_within(connection, table, now)
            self._looked[table.plain_name] = _Look(now)

    def _begin_anew(self, error: DamagedError, now: datetime | None) -> PostkeelError:
        if self._read_only:
            return error
        if now is None:
            now = datetime.fromtimestamp(os.stat(self.path).st_mtime, UTC)
        aside = self._set_aside(now)
        return PostkeelError(f"{error}; it was moved to {aside}, and a new one is begun")


class _Look:
    """When a table was last held against its limits, and what was added since."""

    def __init__(self, now: datetime) -> None:
        self._day = now.date()
        self._added = 0

    def is_due(self, table: Table, rows: int, now: datetime) -> bool:
        self._added += rows
        return self._added * _LOOK_AFTER >= table.most_rows or now.date() != self._day


def _rows(
    plugin: str, instance: str, tables: list[RecordTable], records: Records | None
) -> dict[str, list[tuple[Value, ...]]]:
    """By table, what to add. Errors: PostkeelError for a defect of the plugin's."""
    added = records.add if records else {}
    for name in added.keys() - {one.table.name for one in tables}:
        raise PostkeelError(f"records of {plugin}: its card has no table {name!r}")
    text = stored(instance)
    return {
        one.table.name: one.rows(text, added[one.table.name])
        for one in tables
        if one.table.name in added
    }


def _json(value: object, what: str) -> str:
    import json

    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise PostkeelError(f"{what}: not of JSON's types: {error}") from error
    if len(text) > STATE_LIMIT:
        limit = STATE_LIMIT // 1024**2
        raise PostkeelError(f"{what}: {len(text)} octets of JSON, and {limit} MiB are the most")
    return text


def _kept(connection: sqlite3.Connection, plugin: str, instance: str) -> Kept:
    import json

    whose = (plugin, stored(instance))
    states = connection.execute(
        "SELECT state FROM states WHERE plugin = ? AND instance = ?", whose
    ).fetchall()
    positions = connection.execute(
        "SELECT source, position FROM positions WHERE plugin = ? AND instance = ?", whose
    ).fetchall()
    return Kept(
        state=json.loads(states[0][0]) if states else None,
        positions={json.loads(source): json.loads(position) for source, position in positions},
    )
