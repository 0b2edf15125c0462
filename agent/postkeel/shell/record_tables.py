"""A plugin's table of counters as an SQL table: its shape, and what is put in and read.

Its name is PLUGIN.TABLE, so no two plugins can meet in one, nor in a table of
postkeel's own. Rows are told apart by instance, hour and the key columns, which have
no type: a number stays a number and a text a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Row, Table
from postkeel.core.text import one_line
from postkeel.database import stored

if TYPE_CHECKING:
    import sqlite3

Value = int | str

MOST = 2**53
"""Where a counter stops: the whole numbers that every reader of JSON has end here."""

KEY_LIMIT = 255
"""Characters of a text in a key that are kept."""

_LARGEST_NUMBER = 2**63 - 1  # in a key, for SQLite


class RecordTable:
    """The SQL of one table of one plugin's card, whose names the registry has checked."""

    def __init__(self, plugin: str, table: Table) -> None:
        self.table = table
        self.plain_name = f"{plugin}.{table.name}"
        self.name = quoted(self.plain_name)
        self.key = ("instance", "hour", *table.key)

    @cached_property
    def add(self) -> str:
        """Puts one row in, or adds its counters to the row that is there."""
        columns = (*self.key, *self.table.counters)
        values = ", ".join("?" * len(columns))
        return f"INSERT INTO {self.name} ({names(columns)}) VALUES ({values}) {self.adding}"  # noqa: S608  names are quoted

    @cached_property
    def adding(self) -> str:
        """Ends an INSERT: what becomes of a row that is there already."""
        sums = (f"{one} = min({one} + excluded.{one}, {MOST})" for one in self.counters)
        return f"ON CONFLICT DO UPDATE SET {', '.join(sums)}"

    @property
    def counters(self) -> Iterable[str]:
        return map(quoted, self.table.counters)

    def rows(self, instance: str, added: Mapping[Row, tuple[int, ...]]) -> list[tuple[Value, ...]]:
        """What to give to `add`. Errors: PostkeelError for a row that is none of this table's."""
        made = []
        for row, counts in added.items():
            if not self._is_row(row, counts):
                shown = one_line(f"{row!r}: {counts!r}", 200)
                raise PostkeelError(f"records of {self.plain_name}: no row of it: {shown}")
            key = [one if isinstance(one, int) else kept_text(one) for one in row]
            made.append((instance, *key, *counts))
        return made

    def _is_row(self, row: Row, counts: tuple[int, ...]) -> bool:
        """Whether it has the table's columns, and SQLite can hold them."""
        return (
            len(row) == len(self.table.key) + 1
            and len(counts) == len(self.table.counters)
            and isinstance(row[0], int)
            and row[0] >= 0
            and all(isinstance(one, str) or _is_number(one, _LARGEST_NUMBER) for one in row)
            and all(_is_number(one, MOST) and one >= 0 for one in counts)
        )

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the table; one of a former card gives what fits.

        Former columns that the card has no more are summed over; a new key column is
        "" in former rows, a new counter 0.
        """
        present = columns_of(connection, self.plain_name)
        if not present:
            self._create(connection)
        elif present != self._columns:
            former = quoted(f"{self.plain_name}.former")
            connection.execute(f"ALTER TABLE {self.name} RENAME TO {former}")
            self._create(connection)
            both = names(one for one, kind in self._columns.items() if present.get(one) == kind)
            connection.execute(
                f"INSERT INTO {self.name} ({both}) SELECT {both} FROM {former} WHERE true"  # noqa: S608  names are quoted
                f" {self.adding}"
            )
            connection.execute(f"DROP TABLE {former}")
        if self.table.folds:
            index = quoted(f"{self.plain_name}.{self.table.folds}")
            folds = quoted(self.table.folds)
            connection.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {self.name} ({folds})")

    @property
    def _columns(self) -> dict[str, bool]:
        keys = dict.fromkeys(self.key, True)
        return {**keys, **dict.fromkeys(self.table.counters, False)}

    def _create(self, connection: sqlite3.Connection) -> None:
        keys = "".join(f"{quoted(one)} NOT NULL DEFAULT '', " for one in self.key)
        counters = "".join(f"{one} INTEGER NOT NULL DEFAULT 0, " for one in self.counters)
        connection.execute(
            f"CREATE TABLE {self.name} ({keys}{counters}PRIMARY KEY ({names(self.key)}))"
            " WITHOUT ROWID"
        )

    def select(
        self,
        connection: sqlite3.Connection,
        *,
        instance: str | None,
        since_hour: int,
        where: str | None,
    ) -> Iterator[tuple[Value, ...]]:
        """Rows of hour, key columns and counters; of all instances together when that is None."""
        present = columns_of(connection, self.plain_name)
        if not present:
            return iter(())
        if instance is None:
            only = list(instances(connection, self.name))[:2]
            instance = only[0] if len(only) == 1 else None
        conditions = ["hour >= ?"]
        values: list[Value] = [since_hour]
        if instance is not None:
            conditions.append("instance = ?")
            values.append(instance)
        if where is not None:
            conditions.append(f"{self._column(self.table.folds, present)} = ?")
            values.append(where)
        together = instance is None or present != self._columns
        return connection.execute(
            f"SELECT {', '.join(self._selected(present, together=together))} FROM {self.name}"  # noqa: S608  names are quoted
            f" WHERE {' AND '.join(conditions)} {self._grouped() if together else ''}",
            values,
        )

    def _selected(self, present: Mapping[str, bool], *, together: bool) -> Iterator[str]:
        yield "hour"
        for one in self.table.key:
            yield self._column(one, present)
        for one in self.table.counters:
            column = quoted(one) if present.get(one) is False else "0"
            yield f"min(sum({column}), {MOST})" if together else column

    def _grouped(self) -> str:
        return f"GROUP BY {', '.join(str(one + 1) for one in range(len(self.table.key) + 1))}"

    def _column(self, key: str, present: Mapping[str, bool]) -> str:
        return quoted(key) if present.get(key) else "''"


def _is_number(value: object, most: int) -> bool:
    return isinstance(value, int) and abs(value) <= most


def kept_text(text: str) -> str:
    """A text as it stands in a key."""
    return stored(text[:KEY_LIMIT])[:KEY_LIMIT]


def columns_of(connection: sqlite3.Connection, plain_name: str) -> dict[str, bool]:
    """The columns of a table, each with whether it belongs to the key; {} without the table."""
    rows = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (plain_name,))
    return {name: bool(place) for name, place in rows}


def instances(connection: sqlite3.Connection, name: str) -> Iterator[str]:
    """The instances that have rows, each found by one look into the tree."""
    found = ""
    while True:
        (found,) = connection.execute(
            f"SELECT min(instance) FROM {name} WHERE instance > ?",  # noqa: S608  the name is quoted
            (found,),
        ).fetchone()
        if found is None:
            return
        yield found


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def names(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))
