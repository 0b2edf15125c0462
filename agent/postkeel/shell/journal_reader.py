"""Opens the systemd journal for the entries of chosen programs or units.

The one module that imports python3-systemd's reader, so that its absence can be said in
words. It is the one below systemd.journal, whose conversions cost three times what reading
does, and whose imports cost an agent at rest 1.2 MiB. Entries come as journald keeps
them, every value bytes.
"""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterable
from typing import Any

from systemd import _reader

from postkeel.core.errors import PostkeelError
from postkeel.shell.journal_entry import DAMAGED, Entry

INVALIDATE: int = _reader.INVALIDATE

DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
"""MESSAGE_ID of journald's "Suppressed N messages from UNIT"; see sd-messages.h."""

_IDENTITY = "/etc/machine-id"
_HOMES = ("/var/log/journal", "/run/log/journal")


class RawReader(_reader._Reader):  # type: ignore[misc]  # noqa: SLF001  no type information upstream
    """A reader whose entries are not converted; times of journald itself are microseconds."""

    def begin(self) -> int:
        """When the journal's first entry was written."""
        return int(self._get_start())

    def next_entry(self, *, skip_damaged: bool = False) -> Entry | None:
        """As `get_next`, but None at the end.

        skip_damaged: have an entry that cannot be taken apart as one that says just so
        (`DAMAGED`) and when it was, instead of an OSError.
        """
        if not self._next():
            return None
        place = {"__CURSOR": self._get_cursor(), "__REALTIME_TIMESTAMP": self._get_realtime()}
        try:
            entry: dict[str, Any] = self._get_all()
        except (OSError, ValueError) as error:  # ValueError: the name of a field is no text
            if not skip_damaged:
                raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG)) from error
            entry = {DAMAGED: True}
        entry.update(place)
        return entry

    def next_cursor(self) -> str | None:
        """Step to the next entry, damaged or not."""
        return str(self._get_cursor()) if self._next() else None


def open_reader(
    units: Iterable[str],
    programs: Iterable[str],
    users: Iterable[str],
    directory: str | None = None,
) -> RawReader:
    """A reader of what these programs wrote, and of what journald says it dropped.

    Without programs it is what these units wrote; users, when given, bound both.
    All are matched by fields that journald itself sets; a sender cannot choose
    them. Only the system's own journal is read: that of users holds no mail log.
    directory: of the journal's files; None for this host's own.

    Diagnostics: PostkeelError when a user is not known, or when there is no journal or
    it may not be read, for libsystemd then shows an empty one; OSError when it cannot
    be opened.
    """
    _must_be_readable([directory] if directory else _own_directories())
    flags = 0 if directory else _reader.LOCAL_ONLY | _reader.SYSTEM_ONLY
    reader = RawReader(flags=flags, path=directory)
    writers = _written_by(programs) or [f"_SYSTEMD_UNIT={unit}" for unit in units]
    if writers:
        for match in (*writers, *(f"_UID={_number(user)}" for user in users)):
            reader.add_match(match)
        reader.add_disjunction()
    for match in (f"MESSAGE_ID={DROPPED}", "_TRANSPORT=driver"):
        reader.add_match(match)
    reader.fileno()  # from now on its events are noted, whether or not anybody waits for them
    return reader


def _written_by(programs: Iterable[str]) -> list[str]:
    """journald knows a program by the file's own name, without symbolic links."""
    names = {name for one in programs for name in (one, os.path.realpath(one))}
    return [f"_EXE={name}" for name in sorted(names)]


def _number(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise PostkeelError(f"journal: no user is called {user!r}") from error


def _own_directories() -> list[str]:
    try:
        with open(_IDENTITY, encoding="ascii") as file:
            identity = file.read().strip()
    except (OSError, ValueError) as error:
        raise PostkeelError(
            f"journal: {_IDENTITY}: {error}; journald names its directory after it"
        ) from error
    return [os.path.join(home, identity) for home in _HOMES]


def _must_be_readable(directories: list[str]) -> None:
    refused = ""
    for directory in directories:
        file = os.path.join(directory, "system.journal")
        try:
            os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
        except PermissionError:
            refused = file
        except OSError:
            continue
        else:
            return
    if refused:
        raise PostkeelError(
            f"{refused}: this user may not read the journal; "
            "add it to the group systemd-journal (usermod -a -G systemd-journal USER)"
        )
    raise PostkeelError(
        f"journal: no system.journal in {' or '.join(directories)}; "
        "is systemd-journald running, and Storage= in journald.conf not none?"
    )
