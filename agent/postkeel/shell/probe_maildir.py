"""A Maildir that probes come to: each message is a file, and ours are removed by name."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.shell import inotify
from postkeel.shell.probe_mailbox import (
    MOST_HEADER,
    OPEN,
    Taken,
    Watched,
    must_be_own,
    not_own,
    token_in,
    unusable,
)

MOST_MESSAGES: Final = 10_000
"""A mailbox for probes is empty most of the time; a larger one is somebody's."""

_MOST_READ: Final = 4 << 20
"""Octets of a message in which its header has to end."""
_PIECE: Final = 64 * 1024
_PLACES: Final = ("new", "cur")
_COMES: Final = inotify.CREATE | inotify.MOVED_TO | inotify.CLOSE_WRITE


class Maildir:
    """See `Mailbox`. One that is missing is made, as local(8) would with the first message."""

    def __init__(self, path: str, secret: bytes) -> None:
        self.left = 0
        self._path = path
        self._secret = secret
        self._others: set[str] = set()
        self._made = False

    @property
    def others(self) -> int:
        return len(self._others)

    @property
    def watched(self) -> tuple[Watched, ...]:
        return tuple(Watched(os.path.join(self._path, one), _COMES) for one in _PLACES)

    def take(self) -> list[Taken]:
        """See `Mailbox`."""
        if not self._made:
            self._make()
        names = self._names()
        self._others.intersection_update(names)  # what was removed, or is called otherwise now
        taken = []
        self.left = 0
        for name in sorted(names - self._others):
            found = self._read(name)
            if found is None:
                self._others.add(name)
            elif found:
                taken += found
                self.left += not _removed(name)
        return taken

    def _make(self) -> None:
        try:
            for one in ("", *(f"/{place}" for place in ("tmp", *_PLACES))):
                with suppress(FileExistsError):
                    os.mkdir(f"{self._path}{one}", 0o700)
            found = os.lstat(self._path)
        except OSError as error:
            raise unusable(error.filename or self._path, error.strerror or str(error)) from None
        if not stat.S_ISDIR(found.st_mode):
            raise unusable(self._path, "a symbolic link, which is not followed")
        if found.st_uid != os.geteuid():
            raise unusable(self._path, not_own(found))
        self._made = True

    def _names(self) -> set[str]:
        """Of all messages, with their directory."""
        names: set[str] = set()
        for one in _PLACES:
            directory = os.path.join(self._path, one)
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        names.add(entry.path)
                        if len(names) > MOST_MESSAGES:
                            raise unusable(
                                self._path,
                                f"holds more than the {MOST_MESSAGES} messages that are searched"
                                " for probes: empty it, or name another mailbox",
                            )
            except OSError as error:
                raise unusable(directory, error.strerror or str(error)) from None
        return names

    def _read(self, name: str) -> list[Taken] | None:
        """The probe that it is, as a list; an empty one when it is gone, None for other mail."""
        try:
            file = os.open(name, os.O_RDONLY | OPEN)
        except FileNotFoundError:
            return []
        except OSError:
            return None
        try:
            came = must_be_own(name, file).st_mtime
            header = _header(file)
        except (PostkeelError, OSError):
            return None
        finally:
            os.close(file)
        token = token_in(header, self._secret)
        return None if token is None else [Taken(token, header[-MOST_HEADER:], came)]


def _header(file: int) -> bytes:
    """Up to the first empty line; "" when there is none for long."""
    text = b""
    while len(text) < _MOST_READ and (part := os.read(file, _PIECE)):
        text += part
        for blank in (b"\n\n", b"\n\r\n"):
            end = text.find(blank, max(0, len(text) - len(part) - len(blank)))
            if end >= 0:
                return text[: end + 1]
    return b"" if len(text) >= _MOST_READ else text


def _removed(name: str) -> bool:
    try:
        os.unlink(name)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
