"""What the lines of one process come to, joined: connections, failures, notices.

Postfix tells of one connection in several lines: smtpd's summary, and at the end what
the client did; a failed handshake, and OpenSSL's reason; smtp's summary, then the
status of each recipient. A process serves one connection at a time, so its name and
number join them. Clear text is what is left: mail without a summary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from postkeel.maillog.messages import (
    UNTOLD,
    Counters,
    Delivery,
    Failure,
    find_peer,
    had_tls,
    notice_kind,
    printable,
    read_counters,
    read_delivery,
    read_failure,
    read_library_problem,
    read_parameters,
    read_peer,
    read_words,
    required_and_missing,
    was_reused,
)
from postkeel.maillog.prefix import hour_prefix, moment
from postkeel.maillog.process import Handler, Handlers, Kinds, Process
from postkeel.maillog.tally import MAIL, Counts, Kind, Tally, Travelled
from postkeel.maillog.values import Direction, Notice, NoticeKind

UNEXPLAINED: Final = "no reason given"

_SENT: Final = b", status=sent "
_ABORT: Final = b"NOQUEUE: abort: "
_WARNING: Final = b"warning: "
_LIBRARY: Final = b"TLS library problem: "
_DISCONNECT: Final = len(b"disconnect from ")
_NO_HOUR: Final = b"none yet"
_DEBUG_LOGGING: Final = "a line of log level 2, which is for debugging only"
_NO_SUMMARY: Final = (
    "a TLS session without its summary: smtpd_tls_loglevel is 0, or lines are missing"
)


class Joiner:
    """Counts into a tally what the lines say that it is handed with their process.

    now, zone: for RFC 3164 stamps, which have neither year nor zone. rename: under which
    name a peer is kept; a name that it made stays as it is.
    """

    def __init__(
        self, tally: Tally, *, now: datetime, zone: tzinfo, rename: Callable[[str], str]
    ) -> None:
        self._tally = tally
        self._now = now
        self._zone = zone
        self._rename = rename
        self._hour = 0
        self._hour_prefix = _NO_HOUR
        self._peers: dict[bytes, str] = {}
        self._domains: dict[bytes, str] = {}
        self._kinds: dict[str, Kinds] = {}
        self._counters: dict[bytes, Counters] = {}

    def _forget_all_but(self, most: int) -> None:
        """Forget what only saves time, where it has become much."""
        known: tuple[dict[Any, Any], ...] = (
            self._peers,
            self._domains,
            self._counters,
            *self._kinds.values(),
        )
        for one in known:
            if len(one) > most:
                one.clear()
        self._hour_prefix = _NO_HOUR

    def hour(self, line: bytes) -> int:
        """The hour of the line; a line without a readable stamp is of the hour before it."""
        if line.startswith(self._hour_prefix):
            return self._hour
        seen = moment(line, now=self._now, zone=self._zone)
        if seen is not None:
            self._hour = self._tally.hour(int(seen))
            self._hour_prefix = hour_prefix(line)
        return self._hour or self._tally.hour(int(self._now.timestamp()))

    def peer(self, octets: bytes) -> str:
        """The domain of "host[address]"; "" when it is none."""
        found = self._peers.get(octets)
        if found is None:
            found = self._peers[octets] = read_peer(octets)
        return found

    def summary(self, process: Process, line: bytes, start: int) -> None:
        """Of "Anonymous TLS connection established from ...: TLSv1.3 with cipher ..."."""
        close = line.find(b"]", start) + 1
        blank = line.rfind(b" ", start, close)
        words, octets, what = line[start:blank], line[blank + 1 : close], line[close:]
        counts = process.kinds.get((words, what))
        if counts is None:
            counts = self._new_kind(process, words, what)
        peer = self.peer(octets)
        if counts is None or not peer:
            return
        if process.proxy and counts.kind.direction is Direction.OUTBOUND:
            return  # smtp writes the same line
        if process.failure is not None:
            self.give_up(process)
        process.travelled = counts, peer
        process.host, process.kept_host = octets, ""
        process.delivery = None
        counts.connected(self.hour(line), peer, 1)

    def _new_kind(self, process: Process, words: bytes, what: bytes) -> Counts | None:
        who, agreed = read_words(words), read_parameters(what)
        if who is None or agreed is None:
            return None
        kind = Kind(process.name, who.direction, who.trust, who.reused, agreed)
        process.kinds[words, what] = counts = self._tally.of(kind)
        return counts

    def disconnect(self, process: Process, line: bytes, start: int) -> None:
        """Of "disconnect from host[address] ehlo=2 starttls=1 mail=1 ... commands=7"."""
        if process.failure is not None:
            self.give_up(process)
        close = line.find(b"]", start) + 1
        octets, did = line[start + _DISCONNECT : close], line[close:]
        counters = self._counters.get(did)
        if counters is None:
            counters = self._counters[did] = read_counters(did)
        travelled, whole = self._travelled(process, octets), process.whole
        process.travelled, process.whole = None, True
        peer = self.peer(octets)
        if travelled is not None:
            if counters.mails:
                travelled[0].connected(self.hour(line), peer, counters.mails * MAIL)
        elif whole and (counters.mails or counters.starttls):
            self._without_summary(process, line, peer, counters)

    def _travelled(self, process: Process, octets: bytes) -> Travelled | None:
        """What the process's connection with this "host[address]" was, if it told so."""
        if process.kept_host:
            host = octets.decode("ascii", "backslashreplace")
            same = process.kept_host == self._rename(host)
        else:
            same = process.host == octets
        return process.travelled if same else None

    def _is(self, kept: str, peer: str) -> bool:
        """Whether this is the peer, which may have been kept under another name."""
        return kept == peer or kept == self._rename(peer)

    def _without_summary(
        self, process: Process, line: bytes, peer: str, counters: Counters
    ) -> None:
        """A session in clear text, or one whose summary is not in the log."""
        untold = counters.starttls > 0 or process.wrapped
        counts = self._without(process, Direction.INBOUND, reused=False, untold=untold)
        counts.connected(self.hour(line), peer, 1 + counters.mails * MAIL)
        if untold:
            self._notice(NoticeKind.LINES_LOST, process, line, "", _NO_SUMMARY)

    def handshake_failed(self, process: Process, line: bytes, start: int) -> None:
        """Of "SSL_accept error from ..."; level 2 has "SSL_accept:..." for each step."""
        failure = read_failure(line[start:])
        if failure is None:
            self.notice(process, line, start)
            return
        self.give_up(process)
        hour = self.hour(line)
        if failure.reason or process.proxy:  # tlsproxy tells the reason first
            why = failure.reason or process.problem or UNEXPLAINED
            self._count_failure(process, hour, failure, why)
            process.problem = ""
        else:
            process.failure = hour, failure

    def give_up(self, process: Process) -> None:
        """The reason of the last failure will not come any more."""
        if process.failure is not None:
            self._count_failure(process, *process.failure, UNEXPLAINED)

    def _count_failure(self, process: Process, hour: int, failure: Failure, why: str) -> None:
        process.failure = None
        self._tally.failed(process.name, failure.direction, hour, why, failure.peer)

    def warning(self, process: Process, line: bytes, start: int) -> None:
        after = start + len(_WARNING)
        if not line.startswith(_LIBRARY, after):
            self.notice(process, line, after)
            return
        reason = read_library_problem(line[after + len(_LIBRARY) :])
        if process.failure is not None:
            self._count_failure(process, *process.failure, reason or UNEXPLAINED)
        elif process.proxy:
            process.problem = process.problem or reason

    def notice(self, process: Process, line: bytes, start: int) -> None:
        """A message that is news by itself, or none."""
        text = line[start:]
        kind = notice_kind(text)
        if kind is NoticeKind.DEBUG_LOGGING:
            self._notice(kind, process, line, "", _DEBUG_LOGGING)
        elif kind is not None:
            self._notice(kind, process, line, find_peer(text), printable(text))

    def turned_away(self, process: Process, line: bytes, start: int) -> None:
        """Of "NOQUEUE: abort: TLS from ...", and never of the many "NOQUEUE: reject: ..."."""
        if line.startswith(_ABORT, start):
            self.notice(process, line, start)

    def _notice(
        self, kind: NoticeKind, process: Process, line: bytes, peer: str, text: str
    ) -> None:
        seen = moment(line, now=self._now, zone=self._zone)
        time = self._now.timestamp() if seen is None else seen
        self._tally.noticed(Notice(kind=kind, time=time, name=process.name, peer=peer, text=text))

    def delivery(self, process: Process, line: bytes, start: int) -> None:
        """Of "QUEUEID: to=<...>, relay=..., status=...", one for each recipient."""
        found = read_delivery(line, start)
        if found is None:
            return
        queue_id, _, octets, _, status, text = found
        relay = self.peer(octets)
        if not relay:
            return
        if process.failure is not None:
            self.give_up(process)
        before = process.delivery
        if before is None or before[0] != queue_id or not self._is(before[1], relay):
            if before is not None:
                process.travelled = None  # another mail comes over another connection
            process.delivery, process.counted = (queue_id, relay), False
        if not line.startswith(_SENT, status):
            if required_and_missing(line, text):
                said = printable(line[text + 1 :])
                self._notice(NoticeKind.TLS_REQUIRED, process, line, relay, said)
        elif not process.counted:  # one mail may have many recipients
            process.counted = True
            self._count_delivery(process, line, found, relay)

    def _count_delivery(self, process: Process, line: bytes, found: Delivery, relay: str) -> None:
        _, domain, octets, _, _, _ = found
        travelled = self._travelled(process, octets)
        if travelled is not None:
            counts, count = travelled[0], MAIL
        else:
            reused = was_reused(line, found)
            untold = had_tls(line, found)
            counts = self._without(process, Direction.OUTBOUND, reused=reused, untold=untold)
            count = MAIL + (not reused)
        hour = self.hour(line)
        counts.connected(hour, relay, count)
        name = self._domains.get(domain)
        if name is None:
            name = domain.decode("utf-8", "backslashreplace").lower()
            self._domains[domain] = name
        if name:
            counts.delivered(hour, name, relay)

    def _without(
        self, process: Process, direction: Direction, *, reused: bool, untold: bool
    ) -> Counts:
        """Where connections without a summary count: in clear text, or with TLS untold."""
        key = (b"reused" if reused else b"", b"untold" if untold else b"")
        counts = process.kinds.get(key)
        if counts is None:
            kind = Kind(process.name, direction, "", reused, UNTOLD if untold else None)
            counts = process.kinds[key] = self._tally.of(kind)
        return counts


SUMMARIES: Final[dict[bytes, Handler | None]] = dict.fromkeys(
    (b"Anon", b"Untr", b"Trus", b"Veri"), Joiner.summary
)
_ANY: Final[dict[bytes, Handler | None]] = {
    **SUMMARIES,
    b"warn": Joiner.warning,
    b"SSL_": Joiner.handshake_failed,
    **dict.fromkeys((b"cann", b"cert", b"serv", b"clie", b"sett", b"TLSR", b"DNSS"), Joiner.notice),
}
_SERVER: Final = {**_ANY, b"disc": Joiner.disconnect, b"NOQU": Joiner.turned_away}
_CLIENT: Final = {**_ANY, b"conn": None}
_PROXY: Final = {**_ANY, b"TLS ": Joiner.handshake_failed}
PROGRAMS: Final[Mapping[str, tuple[Handlers, Handler | None]]] = {
    "smtpd": (_SERVER, None),
    "postscreen": (_ANY, None),
    "tlsproxy": (_PROXY, None),
    "smtp": (_CLIENT, Joiner.delivery),
    "lmtp": (_CLIENT, Joiner.delivery),
}
