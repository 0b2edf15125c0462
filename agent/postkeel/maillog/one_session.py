"""The lines of the one session in which a message was taken, found by its queue file.

... postfix/smtpd[124]: connect from localhost[127.0.0.1]
... postfix/smtpd[124]: Anonymous TLS connection established from localhost[127.0.0.1]: ...
... postfix/smtpd[124]: 5E9D420C: client=localhost[127.0.0.1]
... postfix/smtpd[124]: disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 ...
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from postkeel.maillog.joiner import SUMMARIES
from postkeel.maillog.messages import read_counters, read_parameters, read_words
from postkeel.maillog.prefix import read_tag, tag_start
from postkeel.maillog.values import NOT_LOGGED, Direction, Session

MOST_OCTETS: Final = 16_384
"""Of a session's lines; those of log level 4 are many thousands."""

_CONNECT: Final = b"connect from "
_DISCONNECT: Final = b"disconnect from "
_CLIENT: Final = b": client="
_PASSED_ON: Final = b"proxy-accept: "
_QUEUED_AS: Final = rb"queued as %b(?![0-9A-Za-z])"
_WORD: Final = 4


def lines_of(text: bytes, queue_id: str) -> bytes:
    """Of whole lines those of the session that took this message, up to its end; b"" for none.

    Where a filter (smtpd_proxy_filter) gave the number, it is the session before the filter.
    What is more than `MOST_OCTETS` is cut in the middle, between lines.
    """
    lines = text.splitlines(keepends=True)
    place = _taken(lines, queue_id.encode("ascii", "replace")) if queue_id else -1
    if place < 0:
        return b""
    tag = _split(lines[place])[0]
    before, after = [], []
    for line in reversed(lines[:place]):
        whose, message = _split(line)
        if whose != tag:
            continue
        if message.startswith(_DISCONNECT):
            break
        before.append(line)
        if message.startswith(_CONNECT):
            break
    for line in lines[place:]:
        whose, message = _split(line)
        if whose != tag:
            continue
        if message.startswith(_CONNECT):
            break
        after.append(line)
        if message.startswith(_DISCONNECT):
            break
    return _bounded([*reversed(before), *after])


def is_whole(lines: bytes) -> bool:
    """Whether they go to the end of the session."""
    last = lines.splitlines()[-1:]
    return bool(last) and _split(last[0])[1].startswith(_DISCONNECT)


def read_session(lines: bytes, *, direct: bool = False) -> tuple[str, Session | None]:
    """Who wrote them ("postfix/submission/smtpd") and what the session travelled over.

    lines: as `lines_of` gives them. direct: the service has TLS from the first octet. The
    session is None when they do not tell, and its protocol `NOT_LOGGED` when there was TLS and
    no summary of it. The name is "" without lines of Postfix. Total.
    """
    name, found = "", None
    for line in lines.splitlines():
        tag, message = _split(line)
        who = read_tag(tag)
        name = name or ("/".join(who) if who else "")
        if message.startswith(_DISCONNECT) and found is None:
            told = direct or read_counters(message).starttls > 0
            found = Session(direction=Direction.INBOUND, protocol=NOT_LOGGED if told else "")
        elif message[:_WORD] in SUMMARIES:
            found = _summary(message) or found
    return name, found


def process_of(lines: bytes) -> str:
    """The process that wrote them: "postfix/smtpd[124]"; "" for none."""
    for line in lines.splitlines():
        tag = _split(line)[0]
        if read_tag(tag) is not None:
            return tag.decode("ascii", "backslashreplace") + "]"
    return ""


def _summary(message: bytes) -> Session | None:
    """Of "Anonymous TLS connection established from host[address]: TLSv1.3 with cipher ..."."""
    close = message.find(b"]") + 1
    words = read_words(message[: message.rfind(b" ", 0, close)])
    agreed = read_parameters(message[close:])
    if words is None or agreed is None or words.direction is not Direction.INBOUND:
        return None
    return Session(direction=words.direction, trust=words.trust, **agreed._asdict())


def _taken(lines: list[bytes], queue_id: bytes) -> int:
    """Where the session says that it took the message; -1 for nowhere. The last such counts:
    names of queue files are given again."""
    queued = re.compile(_QUEUED_AS % re.escape(queue_id))
    client = queue_id + _CLIENT
    found = -1
    passed_on = False
    for place, line in enumerate(lines):
        if queue_id not in line:
            continue
        message = _split(line)[1]
        if message.startswith(_PASSED_ON) and queued.search(message):
            found, passed_on = place, True
        elif message.startswith(client) and not passed_on:
            found = place
    return found


def _split(line: bytes) -> tuple[bytes, bytes]:
    """ "postfix/smtpd[124" and the message of a line; nothing of what has another form."""
    end = line.find(b"]: ")
    start = line.find(b" ", tag_start(line)) + 1
    return (line[start:end], line[end + 3 :]) if 0 < start < end else (b"", b"")


def _bounded(lines: list[bytes]) -> bytes:
    """The first and the last of them that there is room for."""
    if sum(map(len, lines)) <= MOST_OCTETS:
        return b"".join(lines)
    first = _fitting(lines)
    last = _fitting(lines[len(first) :][::-1])
    return b"".join([*first, *reversed(last)])


def _fitting(lines: list[bytes]) -> list[bytes]:
    """The first ones, up to half of what there is room for."""
    ends = itertools.accumulate(map(len, lines))
    return [line for line, end in zip(lines, ends, strict=True) if end <= MOST_OCTETS // 2]
