"""Keeps a table of counters within its card's days and rows.

Too many rows are added up, so that every counter's total stays the same: hours of
older days by the day, then the rarest values of the column that folds under
`OTHERS`. Only what does not fit even so is forgotten, the rows that count
least first, so that a flood of singular rows does not wash the others away.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from postkeel.maillog.values import OTHERS
from postkeel.shell.record_tables import RecordTable, instances, names, quoted

if TYPE_CHECKING:
    import sqlite3

DAY = 86_400
_BY_THE_HOUR = 2 * DAY
"""Younger rows keep their hour."""


def keep_within(connection: sqlite3.Connection, table: RecordTable, now: datetime) -> None:
    """Forget what is too old; when there are too many rows, make a tenth of them free."""
    second = int(now.timestamp())
    oldest = max(0, second - table.table.kept_days * DAY)
    for instance in list(instances(connection, table.name)):
        connection.execute(
            f"DELETE FROM {table.name} WHERE instance = ? AND hour < ?",  # noqa: S608  the name is quoted
            (instance, oldest),
        )
    tenth = table.table.most_rows // 10
    if _excess(connection, table) > 0:
        _by_day(connection, table, second - _BY_THE_HOUR, _excess(connection, table) + tenth)
    while (excess := _excess(connection, table)) > 0 and table.table.folds:
        # Again, for adding up spares fewer rows than it takes.
        if not _rare_as_others(connection, table, excess + tenth):
            break
    if excess > 0:
        _forget_least(connection, table, excess + tenth)


def _excess(connection: sqlite3.Connection, table: RecordTable) -> int:
    (rows,) = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608
    return int(rows) - table.table.most_rows


def _by_day(connection: sqlite3.Connection, table: RecordTable, before: int, spare: int) -> None:
    """Add the hours of days up, oldest days first, until so many rows are spared.

    Only days that ended before that second.
    """
    days = connection.execute(
        f"SELECT DISTINCT hour - hour % {DAY} AS day, instance FROM {table.name}"  # noqa: S608
        f" WHERE hour % {DAY} <> 0 AND hour < ? ORDER BY day",
        (before - before % DAY,),
    ).fetchall()
    goal = _excess(connection, table) - spare
    for day, instance in days:
        if _excess(connection, table) <= goal:
            break
        which = f"instance = ? AND hour > {day} AND hour < {day + DAY}"
        _add_up(connection, table, {"hour": str(day)}, which, instance)


def _rare_as_others(connection: sqlite3.Connection, table: RecordTable, rows: int) -> bool:
    """Add the rarest values up that have so many rows together; whether there were any.

    Those that count least, and of these the ones not seen for longest.
    """
    folds = quoted(table.table.folds)
    ranked = connection.execute(
        # The plus keeps SQLite from going row by row through the index: half the time.
        f"SELECT +{folds}, count(*) FROM {table.name}"  # noqa: S608  names are quoted
        f" WHERE +{folds} NOT IN ('', '{OTHERS}') GROUP BY 1"
        f" ORDER BY {_weight(table, 'total')}, max(hour), 1 LIMIT ?",
        (rows,),
    )
    rare = []
    for value, number in ranked:
        rare.append((value,))
        rows -= number
        if rows <= 0:
            break
    ranked.close()
    # Emptied, not dropped: a DROP fails while somebody is in the middle of reading rows.
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS rare (value PRIMARY KEY) WITHOUT ROWID")
    connection.execute("DELETE FROM temp.rare")
    connection.executemany("INSERT INTO temp.rare VALUES (?)", rare)
    which = f"{folds} IN (SELECT value FROM temp.rare)"  # noqa: S608
    _add_up(connection, table, {table.table.folds: f"'{OTHERS}'"}, which)
    return bool(rare)


def _add_up(
    connection: sqlite3.Connection,
    table: RecordTable,
    taken: dict[str, str],
    which: str,
    *values: str,
) -> None:
    """Give key columns of the rows in question other values.

    The rows that come out of it must not be in question themselves.
    """
    key = ", ".join(taken.get(one, quoted(one)) for one in table.key)
    columns = names((*table.key, *table.table.counters))
    connection.execute(
        f"INSERT INTO {table.name} ({columns}) SELECT {key}, {', '.join(table.counters)}"  # noqa: S608
        f" FROM {table.name} WHERE {which} {table.adding}",
        values,
    )
    connection.execute(f"DELETE FROM {table.name} WHERE {which}", values)  # noqa: S608


def _forget_least(connection: sqlite3.Connection, table: RecordTable, rows: int) -> None:
    """Forget so many of the rows that count least, the oldest of them first."""
    key = names(table.key)
    connection.execute(
        f"DELETE FROM {table.name} WHERE ({key}) IN (SELECT {key} FROM {table.name}"  # noqa: S608
        f" ORDER BY {_weight(table)}, hour LIMIT ?)",
        (rows,),
    )


def _weight(table: RecordTable, function: str = "") -> str:
    return " + ".join(f"{function}({one})" for one in table.counters)
