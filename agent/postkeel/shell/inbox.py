"""Reports of the correcting side, handed to the reporters of the side "monitor".

    root side: outbox ─► inbox: reporters, then the position behind the report

So a report is handed on at least once: who is killed in between hands it on again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from postkeel.contract import Event, EventKind, Outcome, Plan, Report
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.shell import inotify
from postkeel.shell.inotify import Inotify
from postkeel.shell.loop import Loop
from postkeel.shell.outbox_files import outbox_directory
from postkeel.shell.outbox_reader import OutboxPosition, OutboxReader, Taken
from postkeel.shell.whole_file import read_whole, write_whole

LOOK_AGAIN_SECONDS: Final = 900.0
"""What no event told of is found after this time."""
RETRY_SECONDS: Final = 30.0
"""While the outbox cannot be read, or a report cannot be kept, it is tried again so often."""
PORTION: Final = 256
"""Reports, and `PORTION_SECONDS`, after which the loop is given to others."""
PORTION_SECONDS: Final = 0.1

LOST: Final = "reports of the correcting side were lost before they could be handed on"

_LOOK, _AGAIN = "inbox look again", "inbox again"
_WRITTEN: Final = (
    inotify.CLOSE_WRITE
    | inotify.MOVED_TO
    | inotify.CREATE
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
    | inotify.ONLY_DIRECTORY
)
_COMING: Final = inotify.CREATE | inotify.MOVED_TO | inotify.ONLY_DIRECTORY
_POSITION_OCTETS = 4096


class Inbox:
    """Wakes when the outbox is written to, and hands on what is new, a portion at a time.

    take: hands a report on; False when it could be neither handed on nor kept: then it
    is offered again, and what comes after it waits. changed: told when `problems` differ.
    Diagnostics: `problems` says why the outbox cannot be read, or what of it.
    """

    def __init__(
        self,
        loop: Loop,
        configuration: Configuration,
        take: Callable[[Report], bool],
        complain: Callable[[Exception], object],
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._loop = loop
        self._directory = outbox_directory(configuration.state_directory)
        self._kept = os.path.join(configuration.monitor_state_directory, "inbox.json")
        self._take = take
        self._complain = complain
        self._changed = changed
        self._position: OutboxPosition | None = None
        self._reader: OutboxReader | None = None
        self._inotify: Inotify | None = None
        self._coming = -1
        self._going = False
        self._closed = False
        self._wrong: dict[str, str] = {}
        self._told: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence each."""
        refused = self._reader.refused.values() if self._reader else ()
        return tuple(dict.fromkeys((*self._wrong.values(), *refused)))

    def begin(self) -> None:
        """Go on where the process before left off."""
        self._position = self._read_position()
        self._loop.repeat(_LOOK, self._look, every=LOOK_AGAIN_SECONDS)
        self._look()

    def close(self) -> None:
        """Nothing is handed on afterwards."""
        self._closed = True
        for timer in (_LOOK, _AGAIN):
            self._loop.cancel(timer)
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        self._leave()

    def _look(self, _: object = None) -> None:
        self._watch()  # first: what is written from now on is an event
        if not self._going:
            self._going = True
            self._loop.wake(self._read)

    def _watch(self) -> None:
        """Watch what has the outbox's name now; where it is missing, for its coming."""
        try:
            watches = self._inotify = self._inotify or Inotify(self._loop, self._look)
            if os.path.isdir(self._directory):
                watches.watch(self._directory, _WRITTEN)
                watches.forget(self._coming)
            else:
                self._await(watches)
        except OSError as error:
            self._fail("watch", f"{self._directory}: cannot be watched: {error.strerror}")
        else:
            self._wrong.pop("watch", None)

    def _await(self, watches: Inotify) -> None:
        with suppress(OSError):  # where it may not look, the net is left
            self._coming = watches.watch(os.path.dirname(self._directory), _COMING)

    def _read(self) -> None:
        """One portion; the rest comes in a later turn of the loop."""
        self._going = False
        if self._closed:
            return
        before = self._position
        try:
            more = self._portion()
            self._wrong.pop("read", None)
        except PostkeelError as error:
            more = False
            self._fail("read", str(error))
        if self._position is not None and self._position != before:
            self._write_position(self._position)
        if more:
            self._going = True
            self._loop.wake(self._read)
        self._tell()

    def _portion(self) -> bool:
        """Whether there may be more. Errors: PostkeelError when it is to be tried again later."""
        reader = self._reader = self._reader or OutboxReader(self._directory, self._position)
        end = self._loop.clock() + PORTION_SECONDS
        try:
            for _ in range(PORTION):
                taken = reader.take()
                if taken is None:
                    return False
                self._hand_on(taken)
                if self._loop.clock() > end:
                    break
        except PostkeelError:
            self._leave()
            raise
        return True

    def _hand_on(self, taken: Taken) -> None:
        """Errors: PostkeelError when nobody could take it, or keep it."""
        if not (self._lost_told(taken) and self._take(taken.report)):
            raise PostkeelError(
                f"{self._directory}: a report can be neither handed on nor kept: it is tried again"
            )
        self._position = taken.position

    def _lost_told(self, taken: Taken) -> bool:
        if taken.lost == 0:
            return True
        text = f"{self._directory}: {taken.lost} {LOST}"
        self._complain(PostkeelError(text))
        return self._take(_loss(taken.report.instance, text))

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _fail(self, what: str, text: str) -> None:
        self._wrong[what] = text
        self._loop.after(_AGAIN, RETRY_SECONDS, self._look)

    def _tell(self) -> None:
        """Each problem is said once while it goes on."""
        before, self._told = self._told, self.problems
        for text in self._told:
            if text not in before:
                self._complain(PostkeelError(text))
        if self._told != before:
            self._changed()

    def _read_position(self) -> OutboxPosition | None:
        """None without one, or with a broken one: then all that is there is handed on again."""
        import json

        try:
            content = read_whole(self._kept, limit=_POSITION_OCTETS)
            return None if content is None else _position(json.loads(content))
        except (ValueError, TypeError, KeyError, RecursionError):
            error = PostkeelError(
                f"{self._kept}: not a position: reports may be handed on a second time"
            )
            self._complain(error)
        except PostkeelError as error:
            self._complain(error)
        return None

    def _write_position(self, position: OutboxPosition) -> None:
        import json

        content = json.dumps(asdict(position)).encode()
        try:
            # A power cut may cost the last ones, and have some reports handed on again.
            write_whole(self._kept, content, mode=0o600, durable=False)
            self._wrong.pop("position", None)
        except PostkeelError as error:
            self._wrong["position"] = str(error)


def _position(data: dict[str, object]) -> OutboxPosition:
    series, number, check = data["series"], data["number"], data["check"]
    if not (isinstance(series, str) and isinstance(number, int) and isinstance(check, int)):
        raise TypeError("not a position")
    return OutboxPosition(series=series, number=number, check=check)


def _loss(instance: str, text: str) -> Report:
    """No round: it tells of a problem, and the report behind it tells how the instance is."""
    event = Event(kind=EventKind.PATHS_CHANGED, instance=instance, time=datetime.now(UTC))
    return Report(
        instance=instance,
        event=event,
        outcome=Outcome.CLEAN,
        judged=(),
        plan=Plan(),
        seconds=0.0,
        problems=(text,),
    )
