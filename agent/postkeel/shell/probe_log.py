"""The third witness of a probe: what the mail log says of the sessions it made."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.core.mail import LogLines
from postkeel.maillog.one_session import lines_of
from postkeel.shell.log_source import LogSource
from postkeel.shell.loop import Loop

MOST_OCTETS: Final = 8 << 20
"""Of lines that are kept: a second of the busiest log."""

_SERVER: Final = b"/smtpd["
_LATENESS: Final = 1_000_000
"""Microseconds by which journald's clock may be behind."""


class ProbeLog:
    """Follows the log from now on. problem: why it cannot be read, "" while it can.

    heard: called in the loop's thread when there are more lines.
    """

    def __init__(self, loop: Loop, wanted: LogLines | None, heard: Callable[[], object]) -> None:
        self.problem = "no log is followed"
        self._heard = heard
        self._text = b""
        self._source: LogSource | None = None
        if wanted is None:
            return
        try:
            self._source = _from_now(wanted)
            self._source.read()
            self._source.watch(loop, self._read)
        except PostkeelError as error:
            self.problem = str(error)
        else:
            self.problem = ""

    def lines(self, queue_id: str) -> bytes:
        """Those of the session that took this message, as far as they are there."""
        return lines_of(self._text, queue_id)

    def close(self) -> None:
        if self._source is not None:
            self._source.close()

    def _read(self) -> None:
        try:
            while self._source is not None and (batch := self._source.read()):
                lines = batch.text.splitlines(keepends=True)
                self._text += b"".join(line for line in lines if _SERVER in line)
                self._text = self._text[-MOST_OCTETS:]
                self.problem = ""
        except PostkeelError as error:
            self.problem = str(error)
        self._heard()


def _from_now(wanted: LogLines) -> LogSource:
    if wanted.file:
        from postkeel.shell.log_file import LogFile

        return LogFile(wanted.file, _end_of(wanted.file))
    from postkeel.shell.log_journal import Journal

    now = {"cursor": "", "until": int(time.time() * 1_000_000) - _LATENESS}
    return Journal(wanted.units, wanted.programs, wanted.users, now)


def _end_of(path: str) -> object:
    """The position behind the last line; None for a file that is empty, or not there yet.

    Errors: PostkeelError when it may not be read.
    """
    from postkeel.shell.log_archive import unreadable
    from postkeel.shell.log_pieces import Mark, PlainPiece, digest

    try:
        piece = PlainPiece(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    size = piece.size() or 0
    device, inode = piece.identity
    beginning = piece.first_beginning
    if not size:
        piece.close()
        return None
    mark = Mark(
        device=device,
        inode=inode,
        offset=size,
        beginning=digest(beginning),
        beginning_size=len(beginning),
        modified=piece.modified(),
        inside=piece.octets(size - 1, 1) != b"\n",
    )
    piece.close()
    return mark.as_json()
