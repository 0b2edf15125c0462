"""One round of probes: hand in at each target, find each message again, ask the log.

    thread: hand in ──► taken, or why not
    loop:   mailbox changed ──► take the probes out ──► next target
            log changed     ──► the session's lines ──► done when all are there

The targets have their turn one after another, and none waits for one that does not answer:
two local(8) that deliver to one mailbox at once keep each other waiting for a second.
"""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import replace
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.core.mail import Probe, Probed, ProbeResult, Target
from postkeel.maillog.one_session import is_whole
from postkeel.shell.inotify import Inotify
from postkeel.shell.loop import Loop
from postkeel.shell.probe import TURN_SECONDS
from postkeel.shell.probe_log import ProbeLog
from postkeel.shell.probe_mailbox import BusyError, Mailbox, Taken
from postkeel.shell.probe_session import DELIVERY, Login, hand_in, prepare
from postkeel.shell.probe_token import Token, new_token

LOCK_SECONDS: Final = 5.0
"""For which a mailbox may be locked by somebody else."""
LOG_SECONDS: Final = 1.5
"""From the last delivery to the last lines of the log; journald is half a second late."""

_LOCKED_APART: Final = 0.02
_LAST_SECONDS: Final = 0.5
_MAILBOX, _TURN, _LOG = "mailbox", "turn", "log"
_NO_MAIL: Final = "it was taken, and is not in the mailbox after {:g} s"
_NO_LINES: Final = "the log has no line of it"


class _Sent:
    """A probe that is under way. began: by `time.monotonic`. done: nothing more is waited for."""

    def __init__(self, target: Target, token: Token) -> None:
        self.token = token
        self.began = time.monotonic()
        self.probed = Probed(target=target, stage="connection")
        self.answered = False
        self.header: bytes | None = None
        self.seconds = 0.0
        self.absent = False
        self.late = False

    @property
    def done(self) -> bool:
        if not self.answered:
            return self.late
        return self.late or self.header is not None or self.probed.stage != DELIVERY


class ProbeRound:
    """Made for one round. credentials: a problem, where there should be some and are none."""

    def __init__(
        self,
        wanted: Probe,
        mailbox: Mailbox,
        secret: bytes,
        login: Login | None = None,
        credentials: str = "",
    ) -> None:
        self._wanted = wanted
        self._mailbox = mailbox
        self._secret = secret
        self._login = login
        self._credentials = credentials
        self._loop = Loop(self._fail)
        self._waiting = list(wanted.targets)
        self._threads: list[threading.Thread] = []
        self._sent: dict[str, _Sent] = {}
        self._late: list[float] = []
        self._busy_since: float | None = None
        self._log: ProbeLog | None = None
        self._error: Exception | None = None
        self._problem = ""

    def run(self) -> ProbeResult:
        """Make it. Takes a second for each target that does not answer, and what one may take.

        Errors: PostkeelError when nothing can be watched.
        """
        prepare()
        inotify = Inotify(self._loop, lambda _: self._look())
        try:
            self._begin(inotify)
            self._loop.run_until_stopped()
        finally:
            inotify.close()
            if self._log is not None:
                self._log.close()
            self._end_loop()
        if self._error is not None:
            raise self._error
        return self._result()

    def _end_loop(self) -> None:
        """Close it, unless a thread may still wake it: its descriptor could be another's by then.

        Each has the deadline of its message; only a resolver may take longer.
        """
        for one in self._threads:
            one.join(_LAST_SECONDS)
        if not any(one.is_alive() for one in self._threads):
            self._loop.close()

    def _begin(self, inotify: Inotify) -> None:
        """Look at what is there: leftovers, and whether the mailbox can be used at all."""
        if not self._look():
            return
        for one in self._mailbox.watched:
            try:
                inotify.watch(one.path, one.mask)
            except OSError as error:
                try:
                    inotify.watch(one.instead or one.path, one.mask)
                except OSError:
                    self._unusable(f"{error.filename}: cannot be watched: {error.strerror}")
                    return
        self._log = ProbeLog(self._loop, self._wanted.log, self._stop_when_told)
        self._loop.wake(self._next)

    def _next(self) -> None:
        """Have the next target its turn, when the mailbox is free."""
        if self._busy_since is not None:
            self._loop.after(_TURN, _LOCKED_APART, self._next)
            return
        self._loop.cancel(_TURN)
        if not self._waiting:
            self._stop_when_told()
            return
        target = self._waiting.pop(0)
        token = new_token(self._secret, time.time())
        sent = self._sent[token.nonce] = _Sent(target, token)
        if target.login and self._credentials:
            self._answer(sent, replace(sent.probed, stage="AUTH", problem=self._credentials))
            return
        self._loop.after(_TURN, TURN_SECONDS, self._next)
        seconds = self._wanted.seconds + _LAST_SECONDS  # who talks too long says himself how far
        self._loop.after(f"late {token.nonce}", seconds, lambda: self._too_late(sent))
        thread = threading.Thread(target=self._hand_in, args=(sent,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _hand_in(self, sent: _Sent) -> None:
        """In a thread of its own."""
        login = self._login if sent.probed.target.login else None
        seconds = self._wanted.seconds
        address = self._wanted.address
        try:
            probed = hand_in(sent.probed.target, address, sent.token, seconds, login)
        except Exception as error:  # noqa: BLE001  carried over to the thread that waits for it
            self._loop.wake(functools.partial(self._fail, error))
        else:
            self._loop.wake(lambda: self._answer(sent, probed))

    def _answer(self, sent: _Sent, probed: Probed | None) -> None:
        sent.answered = True
        sent.absent = probed is None
        if probed is None:
            sent.late = True
        else:
            sent.probed = probed
        self._end_turn(sent)

    def _too_late(self, sent: _Sent) -> None:
        sent.late = True
        self._end_turn(sent)

    def _end_turn(self, sent: _Sent) -> None:
        if sent.done:
            self._loop.cancel(f"late {sent.token.nonce}")
            self._next()

    def _look(self) -> bool:
        """Take out what has come, later when it is locked; whether the mailbox can be used."""
        try:
            taken = self._mailbox.take()
        except BusyError:
            return self._wait_for_lock()
        except PostkeelError as error:
            self._unusable(str(error))
            return False
        self._busy_since = None
        for one in taken:
            self._found(one)
        return True

    def _wait_for_lock(self) -> bool:
        now = time.monotonic()
        self._busy_since = self._busy_since or now
        if now > self._busy_since + LOCK_SECONDS:
            self._unusable(f"the mailbox is locked by another process for {LOCK_SECONDS:g} s")
            return False
        self._loop.after(_MAILBOX, _LOCKED_APART, self._look)
        return True

    def _found(self, taken: Taken) -> None:
        sent = self._sent.get(taken.token.nonce)
        if sent is None:
            seconds = taken.came - taken.token.made
            if seconds > self._wanted.seconds:
                self._late.append(seconds)
        elif sent.header is None:
            sent.header = taken.header
            sent.seconds = time.monotonic() - sent.began
            self._end_turn(sent)

    def _unusable(self, problem: str) -> None:
        self._problem = problem
        self._loop.stop()

    def _stop_when_told(self) -> None:
        """End when all have come to their end and the log has said what it has to say."""
        if self._waiting or not all(one.done for one in self._sent.values()):
            return
        if all(is_whole(self._lines(one)) for one in self._told()):
            self._loop.stop()
        elif _LOG not in self._loop.due_times():
            self._loop.after(_LOG, LOG_SECONDS, self._loop.stop)

    def _told(self) -> list[_Sent]:
        """Those of which the log has something to say."""
        if self._log is None or self._log.problem:
            return []
        return [one for one in self._sent.values() if one.probed.queue_id]

    def _lines(self, sent: _Sent) -> bytes:
        return self._log.lines(sent.probed.queue_id) if self._log is not None else b""

    def _result(self) -> ProbeResult:
        probed = tuple(self._probed(one) for one in self._sent.values() if not one.absent)
        return ProbeResult(
            probed=probed,
            late=tuple(self._late),
            others=self._mailbox.others,
            left=self._mailbox.left,
            problem=self._problem,
        )

    def _probed(self, sent: _Sent) -> Probed:
        probed = sent.probed
        if sent.header is not None:
            probed = replace(probed, stage="", problem="", header=sent.header, seconds=sent.seconds)
        elif probed.stage == DELIVERY:
            probed = replace(probed, problem=_NO_MAIL.format(self._wanted.seconds))
        elif not sent.answered:
            probed = replace(probed, problem=f"no answer within {self._wanted.seconds:g} s")
        lines = self._lines(sent)
        problem = self._log.problem if self._log is not None else ""
        if not lines and not problem and probed.queue_id:
            problem = _NO_LINES
        return replace(probed, lines=lines, log_problem="" if lines else problem)

    def _fail(self, error: Exception) -> None:
        """A callback has raised: a defect, or a system that refuses threads."""
        self._error = error
        self._loop.stop()
