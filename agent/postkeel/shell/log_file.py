"""Follows a mail log that is a file, through rotation and restarts.

Whatever happened meanwhile, going on is the same: find the piece of the log that
the mark is in, read it to its end, then the pieces that came after it. A
piece has ended when the next one holds something: until then a syslogd that has not
opened the new file yet writes into the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postkeel.contract import LogBatch
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line
from postkeel.shell.log_archive import unreadable
from postkeel.shell.log_pieces import (
    Mark,
    Piece,
    PlainPiece,
    digest,
    following,
    holding,
    is_there,
    present_identity,
)
from postkeel.shell.log_watch import LogWatch
from postkeel.shell.loop import Loop

LONGEST_LINE: Final = 64 * 1024
"""What a line has beyond this is left out."""

_MOST = 256 * 1024 - LONGEST_LINE
"""Octets read at once; with the end of a line that was cut, a batch has 256 KiB at most."""

_ANEW = (
    "the file begins anew: if it was truncated after having been copied, "
    "lines written in between are lost"
)
_GONE = (
    "what was written after the last reading, up to a rotation or truncation, is gone: "
    "no older file holds it"
)
_NO_END = "the last line of an older file has no end, as after a crash, and was left out"
_SHORTER = (
    "the end of the file was taken away, as a crash does: lines already counted are not in it "
    "any more, and some of those after them may be missing"
)


class LogFile:
    """A mail log by its name, see `LogSource`.

    Without a position it begins with the present file. A file that is missing
    is waited for. The last line is handed out when its end is written.
    Lines lost are said in the next batch that has lines.
    Diagnostics: PostkeelError from `read` when the file may not be read.
    Security: a text file proves nothing of who wrote its lines.
    """

    def __init__(self, path: str, position: object = None) -> None:
        self.name = path
        self.position = position
        self._piece: Piece | None = None
        self._mark: Mark | None = None
        self._offset = 0
        self._inside = False
        self._beginning = (0, "")
        self._cut = 0
        self._lost: list[str] = []
        self._watch: LogWatch | None = None
        self._begin_again()

    def read(self) -> LogBatch | None:
        """The next whole lines; None when there is nothing new."""
        try:
            return self._read()
        except OSError as error:
            self._begin_again()
            raise unreadable(error.filename or self.name, error) from None

    def watch(self, loop: Loop, ready: Callable[[], object]) -> None:
        """Call `ready` in the loop's thread within milliseconds of a line being written."""
        self._watch = LogWatch(loop, self.name, ready, self._open_file)

    def _open_file(self) -> str | None:
        """A name for what is open, also when another file has its name by now."""
        return None if self._piece is None else self._piece.descriptor_name()

    def close(self) -> None:
        """Stop watching, and close what is open; `position` stays."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._leave()

    def _read(self) -> LogBatch | None:
        while piece := self._piece or self._begin():
            text = self._lines(piece)
            if text:
                return self._batch(piece, text)
            if self._piece is None:  # it was truncated, and is looked for again
                continue
            after = following(self.name, self._present_mark(piece))
            if after is None:
                return None
            text = self._pass_to(after, piece)
            if text:
                return self._batch(piece, text)
        return None

    def _pass_to(self, after: Piece, piece: Piece) -> bytes:
        """Begin the next piece, unless there are lines left in this one: then these."""
        size, beginning = self._beginning
        if digest(after.first_beginning[:size]) == beginning:
            # This one is a copy, perhaps not finished yet, of the next.
            offset, inside = self._offset, self._inside
            self._enter(after)
            self._offset, self._inside = offset, inside
            return b""
        # What this one got before the next one got its first line.
        text = self._lines(piece)
        if text or self._piece is None:
            after.close()
            return text
        if piece.octets(self._offset, 1) and not (self._inside or piece.problem):
            self._lose(_NO_END)
        self._enter(after)
        return b""

    def _begin(self) -> Piece | None:
        """Open the piece to go on with; None when there is none yet."""
        if self._mark is not None:
            return self._go_on(self._mark)
        if present_identity(self.name) is None:
            return None
        return self._enter(PlainPiece(self.name))

    def _go_on(self, mark: Mark) -> Piece | None:
        """Find the mark again, or what comes after it."""
        piece = holding(self.name, mark)
        if piece is None:
            piece = following(self.name, mark, gone=True)
            if piece is not None:
                self._enter(piece)
                self._lose(_GONE)
            return piece
        self._enter(piece)
        self._beginning = (mark.beginning_size, mark.beginning)
        self._offset = mark.offset
        self._inside = mark.inside
        if piece.identity != mark.identity:
            # A copy may have been made before the last lines that were read.
            size = piece.size()
            self._offset = mark.offset if size is None else min(mark.offset, size)
            if is_there(self.name, mark.identity):
                self._lose(_ANEW)
        elif not mark.inside and piece.octets(mark.offset - 1, 2)[:-1] not in (b"", b"\n"):
            # The end was taken away, and other lines were written in its place.
            self._inside = True
            self._lose(_SHORTER)
        return piece

    def _enter(self, piece: Piece) -> Piece:
        """Leave the piece that is open, and begin with this one."""
        if self._piece is not None and self._piece.problem:
            self._lose(self._piece.problem)
        self._leave()
        self._piece = piece
        self._offset = 0
        self._inside = False
        self._beginning = (len(piece.first_beginning), digest(piece.first_beginning))
        self._mark = None
        return piece

    def _leave(self) -> None:
        if self._piece is not None:
            self._mark = self._present_mark(self._piece)
            self._piece.close()
            self._piece = None

    def _begin_again(self) -> None:
        """Open everything anew: a descriptor may be broken for ever."""
        if self._piece is not None:
            self._piece.close()
            self._piece = None
        self._mark = None if self.position is None else Mark.from_json(self.position)

    def _lines(self, piece: Piece) -> bytes:
        """Whole lines from here on; none at the end, or when the content was replaced."""
        while True:
            # Looked at before and after: a file may be truncated, and grow again, at any moment.
            data = piece.octets(self._offset, _MOST) if self._is_same(piece) else b""
            size = piece.size()
            if not self._is_same(piece):
                self._leave()
                return b""
            if not data:
                if size is not None and size < self._offset:
                    self._offset = size
                    self._lose(_SHORTER)
                return b""
            found = take_lines(data, inside=self._inside)
            self._offset += found.taken
            self._inside = found.inside
            self._cut += found.cut
            if found.text or not found.taken:
                return found.text

    def _is_same(self, piece: Piece) -> bool:
        """Whether the piece begins as it did; from now on it must begin as it does now."""
        size, known = self._beginning
        beginning = piece.beginning()
        if digest(beginning[:size]) != known:
            return False
        if len(beginning) > size:
            self._beginning = (len(beginning), digest(beginning))
        return True

    def _present_mark(self, piece: Piece) -> Mark:
        device, inode = piece.identity
        size, beginning = self._beginning
        return Mark(
            device=device,
            inode=inode,
            offset=self._offset,
            beginning=beginning,
            beginning_size=size,
            modified=piece.modified(),
            inside=self._inside,
        )

    def _lose(self, what: str) -> None:
        if what not in self._lost:
            self._lost.append(what)

    def _batch(self, piece: Piece, text: bytes) -> LogBatch:
        if self._cut:
            self._lose(f"of {self._cut} lines only the first 64 KiB were read")
        lost = tuple(f"{one_line(self.name)}: {one}" for one in self._lost)
        self._lost = []
        self._cut = 0
        self.position = self._present_mark(piece).as_json()
        return LogBatch(source=self.name, text=text, lost=lost)


@frozen
class TakenLines:
    """What was found in some octets, of which `taken` are done with.

    inside: they ended within a line that is not wanted. cut: lines that were too long.
    """

    text: bytes
    taken: int
    inside: bool
    cut: int


def take_lines(data: bytes, *, inside: bool) -> TakenLines:
    """Take the whole lines; of those over 64 KiB the beginning, whether or not they have ended.

    inside: what comes before the first end of a line is not wanted.
    """
    at = data.find(b"\n") + 1 if inside else 0
    if inside and not at:
        return TakenLines(text=b"", taken=len(data), inside=True, cut=0)
    inside = False
    parts = []
    cut = 0
    while at < len(data):
        limit = at + LONGEST_LINE
        end = data.rfind(b"\n", at, limit + 1) + 1
        if end:
            parts.append(data[at:end])
        elif limit < len(data):
            parts += (data[at:limit], b"\n")
            cut += 1
            end = data.find(b"\n", limit) + 1
            inside = not end
        else:
            break
        at = end or len(data)
    return TakenLines(text=b"".join(parts), taken=at, inside=inside, cut=cut)
