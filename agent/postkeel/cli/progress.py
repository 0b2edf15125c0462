"""How far a long reading is, or what is waited for: one line on a terminal's standard error."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self, TextIO, TypeVar

T = TypeVar("T")

_PATIENCE = 2.0
_PAUSE = 0.1
_BAR = 20


class Progress:
    """Shows what is read of a total, from two seconds on, and leaves nothing behind.

    total: octets to read, 0 when nobody knows (a pipe). Nothing is shown, and
    no line counted, where the stream is no terminal.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._stream = stream
        self._clock = clock
        self._on = stream.isatty()
        self._began = clock()
        self._next = self._began + _PATIENCE
        self._octets = 0
        self._lines = 0
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, octets: int) -> None:
        """So many octets more of the files have been read."""
        self._octets += octets

    def counted(self, chunks: Iterable[bytes], times: int = 0) -> Iterator[bytes]:
        """The same chunks; their lines are counted on the way.

        times: how many processes read beside this one, as fast; their octets count here
        too. 0 where `read` is told of the octets.
        """
        if not self._on:
            yield from chunks
            return
        for chunk in chunks:
            self._octets += len(chunk) * times
            self._lines += chunk.count(b"\n") * max(times, 1)
            yield chunk
            self._show_if_due()

    def _show_if_due(self) -> None:
        now = self._clock()
        if now >= self._next:
            self._next = now + _PAUSE
            self._show(now - self._began)

    def _show(self, seconds: float) -> None:
        columns = self._columns()
        self._stream.write(f"\r{self._text(seconds)[: columns - 1]}\033[K")
        self._stream.flush()
        self._shown = True

    def _text(self, seconds: float) -> str:
        text = f"{self._lines:,} lines, {self._lines / seconds:,.0f} a second"
        if self._total:
            sizes = f"{_megabytes(self._octets)} of {_megabytes(self._total)} MB"
            text = f"{_drawn(self._octets / self._total)}  {sizes}, {text}"
        return text

    def _columns(self) -> int:
        try:
            return max(os.get_terminal_size(self._stream.fileno()).columns, 20)
        except (OSError, ValueError):
            return 80

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._shown = False


class MessageProgress(Progress):
    """The same of messages in several mailboxes, each of which is an equal part of the whole.

    `read` takes what the present one is measured in.
    """

    def __init__(
        self,
        mailboxes: int,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(0, stream, clock)
        self._mailboxes = mailboxes
        self._done = 0

    def through(self, messages: Iterable[T], work: Callable[[], int]) -> Iterator[T]:
        """The messages of the next mailbox. work: how much there is, 0 when nobody knows."""
        self._octets = 0
        self._total = work() if self._on else 0
        for one in messages:
            self._lines += 1
            yield one
            if self._on:
                self._show_if_due()
        self._done += 1

    def _text(self, seconds: float) -> str:
        text = f"{self._lines:,} messages, {self._lines / seconds:,.0f} a second"
        if not self._total:
            return text
        part = min(self._octets / self._total, 1.0)
        return f"{_drawn((self._done + part) / self._mailboxes)}  {text}"


class Waiting:
    """Says what is waited for, from two seconds on, and leaves nothing behind.

    Nothing is shown where the stream is no terminal.
    """

    def __init__(self, what: str, stream: TextIO = sys.stderr, patience: float = _PATIENCE) -> None:
        self._what = what
        self._stream = stream
        self._shown = False
        self._timer = threading.Timer(patience, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._timer.is_alive():
            self._timer.join()
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _show(self) -> None:
        self._stream.write(f"\r{self._what} ...\033[K")
        self._stream.flush()
        self._shown = True


def _drawn(share: float) -> str:
    """ "[#####               ]  25%"."""
    share = min(share, 1.0)
    bar = "#" * round(share * _BAR)
    return f"[{bar:<{_BAR}}] {share:4.0%}"


def _megabytes(octets: int) -> str:
    return f"{octets / 1e6:,.1f}"
