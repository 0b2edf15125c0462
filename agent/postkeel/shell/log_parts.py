"""Reads one large log on all processors: a part each, see `maillog.parts`.

The parts but the first are read by forked processes, which hand what they
counted back through a pipe. A part whose process fails is read here.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo
from typing import BinaryIO

from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line
from postkeel.maillog.parts import PartReader
from postkeel.maillog.prefix import whole_lines
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally
from postkeel.shell.forked import Forked
from postkeel.shell.log_archive import unreadable

WORTH_A_PART = 8 * 1024 * 1024
"""Octets: a fork and the way back cost as much as reading a tenth of this."""
_MOST_PARTS = 4
_AT_ONCE = 256 * 1024

Range = tuple[int, int]


def parts_of(path: str) -> tuple[Range, ...]:
    """Where to cut the file, at ends of lines; at most one part when it is small or no file."""
    if not os.path.isfile(path):
        return ()
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            number = min(len(os.sched_getaffinity(0)), size // WORTH_A_PART, _MOST_PARTS)
            cuts = [_line_after(file.fileno(), size * one // number) for one in range(1, number)]
    except OSError:
        return ()
    bounds = [0, *cuts, size]
    return tuple(itertools.pairwise(bounds))


def _line_after(descriptor: int, offset: int) -> int:
    """Where the first line begins after this place."""
    while chunk := os.pread(descriptor, _AT_ONCE, offset):
        end = chunk.find(b"\n") + 1
        if end:
            return offset + end
        offset += len(chunk)
    return offset


def read_parts(
    path: str,
    parts: tuple[Range, ...],
    reader: Reader,
    tally: Tally,
    *,
    now: datetime,
    zone: tzinfo,
    through: Callable[[Iterator[bytes]], Iterable[bytes]] = iter,
) -> None:
    """Count the file into the tally, by this reader and a process for each further part.

    through: the chunks that this process reads, on their way. Errors: PostkeelError
    when the file cannot be read.
    """
    others = [_Other(path, part, now, zone) for part in parts[1:]]
    try:
        _read(through(_chunks(path, parts[0])), reader)
        for part, other in zip(parts[1:], others, strict=True):
            if not other.hand_over(reader, tally):
                _read(through(_chunks(path, part)), reader)
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        for other in others:
            other.close()


def _read(chunks: Iterable[bytes], reader: Reader) -> None:
    for piece in whole_lines(chunks):
        reader.read(piece)


def _chunks(path: str, part: Range) -> Iterator[bytes]:
    offset, end = part
    with open(path, "rb", buffering=0) as file:
        while chunk := os.pread(file.fileno(), min(_AT_ONCE, end - offset), offset):
            offset += len(chunk)
            yield chunk


class _Other:
    """A forked process that reads one part."""

    def __init__(self, path: str, part: Range, now: datetime, zone: tzinfo) -> None:
        self._path = path
        self._forked = Forked(lambda pipe: self._work(pipe, path, part, now, zone))

    @staticmethod
    def _work(pipe: BinaryIO, path: str, part: Range, now: datetime, zone: tzinfo) -> None:
        import pickle

        tally = Tally()
        reader = PartReader(tally, now=now, zone=zone)
        _read(_chunks(path, part), reader)
        for piece in itertools.chain((reader.handover(),), tally.pieces(), (None,)):
            pickle.dump(piece, pipe, pickle.HIGHEST_PROTOCOL)

    def hand_over(self, reader: Reader, tally: Tally) -> bool:
        """Count what the process leaves; False when it failed, and then nothing is counted."""
        import pickle

        with open(self._forked.output, "rb", closefd=False) as pipe:
            try:
                handover = pickle.load(pipe)  # noqa: S301  of our own process
            except (EOFError, pickle.UnpicklingError):
                return False
            reader.take_over(handover)
            try:
                while (piece := pickle.load(pipe)) is not None:  # noqa: S301  the same
                    tally.take(piece)
            except (EOFError, pickle.UnpicklingError):
                message = f"{one_line(self._path)}: a process that read a part of it was ended"
                raise PostkeelError(message) from None
        return True

    def close(self) -> None:
        self._forked.close()
