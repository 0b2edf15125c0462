r"""RELP as its client: each report is done with when the collector has answered for it.

A frame is `TXNR SP COMMAND SP LENGTH [SP DATA] LF`. The session is opened by `open`, each report
is a `syslog` with a number of its own, and is answered `NUMBER rsp LENGTH 200 OK`. At most
128 are unanswered at a time, as with librelp.

Guarantee: at least once. A report leaves the spool only after the collector said 200 to it,
whatever becomes of the connection, of this process or of the collector in between; what was not
answered is sent again with the same number in the spool. That holds as far as the collector's
word does: rsyslog answers when its queue has the report, so this queue has to be on disk, or
`queue.type="Direct"`, for a report to outlive the collector.

A report that is answered otherwise is sent again, after a second, two, four and so on up to a
minute, for as long as it takes; from the third refusal on that is a complaint. It keeps its place
among the 128, so that a collector which refuses everything is not asked for everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from postkeel.contract import frozen, one_line
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.spool import Spooled

WINDOW = 128
ANSWER_SECONDS = 60.0
"""How long a collector may be silent while it owes an answer."""

_LAST_NUMBER = 999_999_999
_LONGEST_DATA = 131_072  # librelp's own limit
_OFFER = b"relp_version=0\nrelp_software=postkeel\ncommands=syslog"
_ACCEPTED = b"200"
FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_MOST_DOUBLINGS = 10
_REFUSALS_TOLD = 3

_HEAD = re.compile(rb"([0-9]{1,9}) ([a-z]{1,32}) ([0-9]{1,9})([ \n])")
_BEGINNING = re.compile(rb"(?:[0-9]{1,9}(?: (?:[a-z]{1,32}(?: [0-9]{0,9})?)?)?)?")
"""What can still become a head."""


@frozen
class Frame:
    """One frame of a collector."""

    number: int
    command: bytes
    data: bytes


def frame(number: int, command: bytes, data: bytes = b"") -> bytes:
    """The octets of a frame."""
    if not data:
        return b"%d %b 0\n" % (number, command)
    return b"%d %b %d %b\n" % (number, command, len(data), data)


class Frames:
    """Cuts what arrives into frames, in whatever pieces it comes; holds at most one frame."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, octets: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Errors: LinkError for what is none."""
        self._held += octets
        start = 0
        try:
            while (found := self._next(start)) is not None:
                one, start = found
                yield one
        finally:
            del self._held[:start]

    def _next(self, start: int) -> tuple[Frame, int] | None:
        """A frame and where it ends; None when not all of it is here."""
        head = _HEAD.match(self._held, start)
        if head is None:
            if _BEGINNING.fullmatch(self._held, start):
                return None
            raise self._garbage(start)
        length = int(head[3])
        if length > _LONGEST_DATA:
            raise LinkError(f"it announced a RELP frame of {length} octets")
        bare = head[4] == b"\n"  # without data the blank is left out
        begin = head.end() - bare
        end = begin + length
        if bare and length:
            raise self._garbage(start)
        if len(self._held) <= end:
            return None
        data = bytes(self._held[begin:end])
        if self._held[end : end + 1] != b"\n":
            raise self._garbage(start)
        return Frame(number=int(head[1]), command=head[2], data=data), end + 1

    def _garbage(self, start: int) -> LinkError:
        said = self._held[start : start + 60].decode("utf-8", "surrogateescape")
        return LinkError(f'it does not speak RELP: it said "{one_line(said)}"')


@frozen
class _Refused:
    """A report that the collector did not take, and when it is offered again."""

    report: Spooled
    times: int
    due: float
    answer: str


class Session:
    """A `Conversation` in RELP."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._number = 0
        self._open = False
        self._asked: dict[int, Spooled | None] = {}  # by transaction; None: the opening
        self._refused: dict[int, _Refused] = {}  # by the report's number
        self._done: list[int] = []
        self._since: float | None = None  # the collector owes an answer

    def begin(self) -> bytes:
        return self._asking(b"open", _OFFER, None)

    def room(self) -> int:
        held = len(self._asked) + len(self._refused)
        return WINDOW - held if self._open else 0

    def framed(self, reports: Sequence[Spooled]) -> bytes:
        return b"".join([self._asking(b"syslog", one.octets, one) for one in reports])

    def wrote(self, octets: int, now: float) -> None:  # noqa: ARG002  answers count, not octets
        if self._since is None:
            self._since = now

    def received(self, octets: bytes, now: float) -> None:
        for one in self._frames.feed(octets):
            self._answered(one, now)
        self._since = now if self._asked else None

    def again(self, now: float) -> bytes:
        if self._since is not None and now >= self._since + ANSWER_SECONDS:
            raise LinkError(f"it did not answer for {ANSWER_SECONDS:g} s")
        asked = {one.seq for one in self._asked.values() if one is not None}
        due = [one for one in self._refused.values() if one.due <= now]
        return self.framed([one.report for one in due if one.report.seq not in asked])

    def settled(self, taken: int, now: float) -> list[int]:  # noqa: ARG002  the collector's word counts
        done, self._done = self._done, []
        return done

    def due(self) -> float | None:
        moments = [one.due for one in self._refused.values()]
        if self._since is not None:
            moments.append(self._since + ANSWER_SECONDS)
        return min(moments, default=None)

    def complaint(self) -> str:
        for seq, one in self._refused.items():
            if one.times >= _REFUSALS_TOLD:
                return f"refused report {seq} {one.times} times: {one.answer}"
        return ""

    def end(self) -> bytes:
        return self._asking(b"close", b"", None) if self._open else b""

    def _asking(self, command: bytes, data: bytes, report: Spooled | None) -> bytes:
        self._number = self._number % _LAST_NUMBER + 1
        self._asked[self._number] = report
        return frame(self._number, command, data)

    def _answered(self, one: Frame, now: float) -> None:
        if one.command == b"serverclose":
            raise LinkError("it ended the session")
        if one.command != b"rsp" or one.number not in self._asked:
            said = f"{one.command.decode()} {one.number}"
            raise LinkError(f'it answered what was not asked: "{said}"')
        report = self._asked.pop(one.number)
        if report is None:
            self._opened(one.data)
        elif _code(one.data) == _ACCEPTED:
            self._refused.pop(report.seq, None)
            self._done.append(report.seq)
        else:
            self._refuse(report, _shown(one.data), now)

    def _opened(self, data: bytes) -> None:
        lines = data.split(b"\n")
        offered = [one.partition(b"=")[2].split(b",") for one in lines if one[:9] == b"commands="]
        if _code(data) != _ACCEPTED or not any(b"syslog" in one for one in offered):
            raise LinkError(f'it takes no reports: "{_shown(data)}"')
        self._open = True

    def _refuse(self, report: Spooled, answer: str, now: float) -> None:
        before = self._refused.get(report.seq)
        times = before.times + 1 if before else 1
        wait = min(_LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, _MOST_DOUBLINGS))
        self._refused[report.seq] = _Refused(
            report=report, times=times, due=now + wait, answer=answer
        )


def _code(data: bytes) -> bytes:
    return data.replace(b"\n", b" ").partition(b" ")[0]


def _shown(data: bytes) -> str:
    return one_line(data.decode("utf-8", "surrogateescape"), 120)
