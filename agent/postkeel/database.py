"""An SQLite file under the state directory: opened with care, every call guarded.

A write-ahead log lets commands read while the agent writes, and a process that
is killed leaves what it committed. A power cut may cost the last moments, never
the file; for that nothing waits on a disk.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from postkeel.core.errors import PostkeelError

if TYPE_CHECKING:
    import sqlite3

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 256",  # pages: the log stays near 1 MiB
    "PRAGMA journal_size_limit = 1048576",
)
_READ_SECONDS = 10.0  # for all that a command reads
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock
_LONGEST = 16_777_216  # octets of one value
_PATIENCE = 1.0  # seconds to wait for another writer; the agent's loop waits with it

__all__ = ["DamagedError", "Database", "MisplacedError", "PostkeelError", "stored", "transaction"]

T = TypeVar("T")


class DamagedError(PostkeelError):
    """The file is no database, or a broken one."""


class MisplacedError(PostkeelError):
    """A link, directory or pipe stands where the file should be."""


class _HalfBegunError(PostkeelError):
    """A writer was killed before the file had its write-ahead log; another one will mend it."""


class Database:
    """Opened at first use; `read_only` neither makes nor changes anything.

    A subclass says what is in it: `schema` makes its tables and sets
    user_version to `version`; a file of a later version is refused.
    Diagnostics: PostkeelError for every failure, a full disk included; the next
    call tries anew.
    Security: a symbolic link or pipe in place of the file is refused; a new one
    is for its owner only.
    """

    schema: ClassVar[str]
    version: ClassVar[int]
    cache: ClassVar[int]
    """KiB of the file that are kept in memory."""
    damage: ClassVar[tuple[int, ...]] = ()
    """Result codes of SQLite that mean damage as well, besides those that always do."""
    any_thread: ClassVar[bool] = False
    """Whether threads share it: the subclass then sees to it that they come one at a time."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None

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
        """As `_guarded`, and `nothing` where there is no file yet; a reader makes none."""
        if self._connection is None and _is_missing(self.path):
            return nothing
        # A writer that is about to begin the file, or was killed then, left it empty.
        try:
            return self._guarded(
                lambda connection: act(connection) if _begun(connection) else nothing
            )
        except _HalfBegunError:
            return nothing

    def _guarded(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Act on the connection; what fails closes it, so that the next call starts anew.

        Unless the disk is full: what is open can still be read, and nothing else be opened.
        """
        import sqlite3

        try:
            if self._connection is None:
                self._connection = self._open()
            return act(self._connection)
        except (sqlite3.Error, OSError, ValueError) as error:
            code = getattr(error, "sqlite_errorcode", None) or 0
            if code != sqlite3.SQLITE_FULL:
                self.close()
            text = f"{self.path}: {getattr(error, 'strerror', None) or error}"
            if code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, *self.damage}:
                raise DamagedError(text) from error
            if code == sqlite3.SQLITE_READONLY_ROLLBACK:
                raise _HalfBegunError(text) from error
            raise PostkeelError(text) from error

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        if not self._read_only:
            _make(self.path)
        if not stat.S_ISREG(os.lstat(self.path).st_mode):
            # SQLite follows a link, and waits for the other end of a pipe.
            raise MisplacedError(f"{self.path}: not a regular file")
        name = f"file:{_quoted(self.path)}?mode={'ro' if self._read_only else 'rw'}"
        connection = sqlite3.connect(
            name,
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=not self.any_thread,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = _begun(connection)
        if found > self.version:
            raise ValueError("written by a newer postkeel")
        connection.execute(f"PRAGMA cache_size = -{self.cache}").fetchall()
        connection.execute("PRAGMA trusted_schema = OFF").fetchall()  # root reads the monitor's
        if self._read_only:
            _bound(connection)
            return
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if found == 0:
            script = f"BEGIN;{self.schema}PRAGMA user_version = {self.version};COMMIT;"
            connection.executescript(script)

    def _set_aside(self, moment: datetime) -> str:
        """Move a damaged file to `NAME.corrupt-TIME`, so that a new one can be begun; its name."""
        stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
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


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written within, or nothing; waits a second for another writer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it by itself on a full disk
            connection.execute("ROLLBACK")
        raise


def stored(text: str) -> str:
    """The text without the surrogates that stand for bytes which are no UTF-8: SQLite has none."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _bound(connection: sqlite3.Connection) -> None:
    """Give up on a file that is made to be read for ever, or to fill the memory."""
    import sqlite3

    end = time.monotonic() + _READ_SECONDS
    connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)


def _begun(connection: sqlite3.Connection) -> int:
    """The version of what is in the file; 0 when nothing is yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _is_missing(path: str) -> bool:
    """Whether there surely is none; where one may not look, opening it says why."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _make(path: str) -> None:
    """An empty file, if there is none.

    One that is there is not touched: to close it would drop the locks that
    another connection of this process has on it.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
