"""What is in the spool's file."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from postkeel.database import DamagedError

NAME = "central.sqlite3"
VERSION = 1
CACHE = 1024
"""KiB of the file that are kept in memory."""

TABLES = ("spool", "reports", "taken", "windows", "notes")

SCHEMA = """
CREATE TABLE spool (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, secret BLOB NOT NULL,
    dropped INTEGER NOT NULL, dropped_at TEXT NOT NULL, untold INTEGER NOT NULL,
    first TEXT NOT NULL, last TEXT NOT NULL, aside TEXT NOT NULL,
    started REAL NOT NULL, base INTEGER NOT NULL, highest INTEGER NOT NULL);
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY, time TEXT NOT NULL, rank INTEGER NOT NULL,
    stands_for INTEGER NOT NULL, octets BLOB NOT NULL);
CREATE INDEX reports_by_rank ON reports (rank);
CREATE TABLE taken (digest INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE windows (
    key INTEGER PRIMARY KEY, began REAL NOT NULL, seconds REAL NOT NULL, renewed INTEGER NOT NULL,
    repeated INTEGER NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL, severity INTEGER NOT NULL,
    message TEXT NOT NULL);
CREATE TABLE notes (collector TEXT PRIMARY KEY, problem TEXT NOT NULL);
"""
"""spool: dropped and dropped_at: in all, and the last; untold, first and last: what no message has
told yet; aside: the name of the damaged file before this one; started: when the system was, in
seconds; base: what was the last number then; highest: of the reports that are gone. reports.rank:
the severity, or NEVER_DROPPED. windows.renewed: whether another one follows when it ends."""

NEVER_DROPPED = -1

DAMAGE = (1,)
"""SQLITE_ERROR: a table or column is not there."""


def path_of(directory: str) -> str:
    """The spool's file."""
    return os.path.join(directory, NAME)


def checked(row: tuple[Any, ...] | None, *types: type) -> tuple[Any, ...]:
    """The row, if it is of these types; an overwritten page may hold anything.

    Errors: DamagedError.
    """
    if row is None or tuple(map(type, row)) != types:
        raise DamagedError(f"{NAME}: a row is not as it was written")
    return row


def moment(stamp: str) -> datetime:
    """The time that was kept. Errors: DamagedError."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError as error:
        raise DamagedError(f"{NAME}: a time is not as it was written") from error
