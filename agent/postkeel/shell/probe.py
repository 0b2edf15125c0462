"""Probes: messages to oneself, sent through each service and found again in the mailbox.

    Probing (agent) ─ fork ─► probe_once ─► ProbeRound ─► ProbeResult, as JSON through a pipe

`probe_session` talks SMTP, `probe_mailbox` looks after what comes, `probe_log` after what
Postfix says of it. Nothing of these is loaded by an agent: it forks, and reads a pipe.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from postkeel.core.errors import PostkeelError
from postkeel.core.mail import Probe, Probed, ProbeResult

if TYPE_CHECKING:
    from postkeel.shell.loop import Loop

TURN_SECONDS: Final = 1.0
"""After which the next target has its turn, though this one has not come to its end."""

_MORE_SECONDS: Final = 15.0
"""For a mailbox that is locked, a log that is late, and a machine that is busy."""
_AT_ONCE: Final = 65536
_OF_PYTHON: Final = ("_strptime", "encodings.idna", "hashlib")
"""What Python itself imports when it is first asked for."""
_OF_ROUND: Final = (
    "postkeel.shell.probe_credentials",
    "postkeel.shell.probe_maildir",
    "postkeel.shell.probe_mbox",
    "postkeel.shell.probe_round",
)
_OF_FILE: Final = ("postkeel.shell.log_file",)
_OF_JOURNAL: Final = ("postkeel.shell.log_journal", "postkeel.shell.journal_reader")
_OCTETS: Final = ("header", "lines")
_WORDS: Final = (
    "stage",
    "code",
    "problem",
    "protocol",
    "cipher",
    "bits",
    "queue_id",
    "log_problem",
    "seconds",
)


def probe_once(wanted: Probe, directory: str, secret: bytes) -> ProbeResult:
    """Send a message through each target and read it back, in this process.

    directory: the monitor's state; names of mailboxes are below it. secret: of this host, for
    its probes alone to be taken out of the mailbox. Takes `longest(wanted)` seconds at most.
    Errors: PostkeelError when the address is none or nothing can be watched. What is wrong
    with a target or with the mailbox is in the result.
    """
    from postkeel.shell.probe_credentials import login_of, mail_address
    from postkeel.shell.probe_mailbox import mailbox_of
    from postkeel.shell.probe_round import ProbeRound

    mail_address(wanted.address)
    login, problem = None, ""
    if any(one.login for one in wanted.targets):
        try:
            login = login_of(wanted.credentials)
        except PostkeelError as error:
            problem = str(error)
    try:
        mailbox = mailbox_of(wanted.mailbox, directory, secret)
    except PostkeelError as error:
        return ProbeResult(problem=str(error))
    try:
        return ProbeRound(wanted, mailbox, secret, login, problem).run()
    except OSError as error:
        raise PostkeelError(f"{error.filename or 'the system'}: {error.strerror}") from None


def longest(wanted: Probe) -> float:
    """Seconds that a round may take."""
    return len(wanted.targets) * TURN_SECONDS + wanted.seconds + _MORE_SECONDS


def load(wanted: Probe) -> None:
    """Import what a round needs, for who may not be able to read it afterwards."""
    import importlib

    names = [*_OF_PYTHON, *_OF_ROUND]
    if wanted.log is not None:
        names += _OF_FILE if wanted.log.file else _OF_JOURNAL
    for name in names:
        with suppress(ImportError):  # who needs it says so, in words
            importlib.import_module(name)


class Probing:
    """A round of probes in a process of its own; the loop goes on meanwhile.

    done, failed: one of them is called once, in the loop's thread, unless it is closed before.
    See `probe_once` for the rest.
    """

    def __init__(
        self,
        loop: Loop,
        wanted: Probe,
        directory: str,
        secret: bytes,
        done: Callable[[ProbeResult], object],
        failed: Callable[[PostkeelError], object],
    ) -> None:
        self._loop = loop
        self._wanted = wanted
        self._directory = directory
        self._secret = secret
        self._done = done
        self._failed = failed
        self._timer = f"postkeel.probe {id(self)}"
        self._process: Any = None
        self._text = b""

    def start(self) -> None:
        """Begin, unless it has begun. Errors: PostkeelError when no process can be started."""
        from postkeel.shell.forked import Forked, deliver

        if self._process is not None:
            return
        seconds = longest(self._wanted)
        try:
            self._process = Forked(lambda pipe: deliver(self._work, pipe), seconds)
        except OSError as error:
            raise PostkeelError(f"no process can be started: {error.strerror}") from None
        self._loop.register(self._process.output, self._read)
        self._loop.after(self._timer, seconds, self._too_late)

    def close(self) -> None:
        """End it, also in the middle: what it has sent is removed by the next one."""
        if self._process is None:
            return
        self._loop.cancel(self._timer)
        self._loop.unregister(self._process.output)
        process, self._process = self._process, None
        process.close()

    def _work(self) -> object:
        return told(probe_once(self._wanted, self._directory, self._secret))

    def _too_late(self) -> None:
        self.close()
        self._failed(PostkeelError(f"the probe has not ended within {longest(self._wanted):g} s"))

    def _read(self) -> None:
        from postkeel.shell.forked import MOST_ANSWER, answer_in

        part = os.read(self._process.output, _AT_ONCE)
        self._text += part
        if part and len(self._text) <= MOST_ANSWER:
            return
        self.close()
        try:
            result = result_of(answer_in(self._text), self._wanted)
        except PostkeelError as error:
            self._failed(error)
        else:
            self._done(result)


def told(result: ProbeResult) -> dict[str, object]:
    """The result, of JSON's types, for `result_of`."""
    return {
        "probed": [
            {
                "target": str(one.target),
                **{name: getattr(one, name) for name in _WORDS},
                **{name: getattr(one, name).decode("latin-1") for name in _OCTETS},
            }
            for one in result.probed
        ],
        "late": result.late,
        "others": result.others,
        "left": result.left,
        "problem": result.problem,
    }


def result_of(told: dict[str, Any], wanted: Probe) -> ProbeResult:
    """What `told` gave, of a round that was to do what is wanted."""
    targets = {str(one): one for one in wanted.targets}
    probed = tuple(
        Probed(
            target=targets[one["target"]],
            **{name: one[name] for name in _WORDS},
            **{name: one[name].encode("latin-1") for name in _OCTETS},
        )
        for one in told["probed"]
    )
    return ProbeResult(
        probed=probed,
        late=tuple(told["late"]),
        others=told["others"],
        left=told["left"],
        problem=told["problem"],
    )
