"""A mail log as busy servers write it, and the exact truth of what it says.

`write_log` writes so many lines of a realistic mix: conversations with clients
and servers, interleaved as the processes of a real Postfix interleave them.
What a line says is noted at the moment when the line is written, by who
makes the conversation up and not by who would read it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mail_log_cast import Entry
from mail_log_conversations import Conversations

START = datetime(2026, 11, 19, 22, 10, tzinfo=UTC)
LATE = datetime(2026, 12, 31, 22, 10, tzinfo=UTC)
"""A beginning from which a log crosses into the next year, which RFC 3164 does not write."""
AT_ONCE = 24
PAUSE = 0.4
GAP = (0.0002, 3600.0)
ZONE = timezone(timedelta(hours=1))


class Truth:
    """What the log says, counted in the words of `postkeel.maillog.values`.

    Sessions are tuples in the order of the fields of `Session`, direction as its value.
    connections: (hour, name, session, peer) -> [connections, mails]. failures: (hour,
    name, direction, reason, peer). destinations: (hour, domain, relay, session).
    notices: kinds as their values.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.connections: dict[tuple[Any, ...], list[int]] = {}
        self.failures: Counter[tuple[Any, ...]] = Counter()
        self.destinations: Counter[tuple[Any, ...]] = Counter()
        self.notices: Counter[str] = Counter()

    def note(self, now: float, entry: Entry) -> None:
        """Count what a line says that is written at this moment."""
        hour = int(now) // 3600 * 3600
        for what, *key in entry.says:
            if what == "connection":
                name, session, peer, connections, mails = key
                row = self.connections.setdefault((hour, name, session, peer), [0, 0])
                row[0] += connections
                row[1] += mails
            elif what == "failure":
                self.failures[hour, *key] += 1
            elif what == "destination":
                self.destinations[hour, *key] += 1
            else:
                self.notices[what] += 1


def rfc3164(now: float) -> str:
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S}"


def rfc3339(now: float) -> str:
    return datetime.fromtimestamp(now, ZONE).isoformat(timespec="microseconds")


STAMPS: dict[str, Callable[[float], str]] = {"rfc3164": rfc3164, "rfc3339": rfc3339}


def entries(lines: int, seed: int, peers: int, *, kin: bool) -> Iterator[Entry]:
    """So many lines of conversations that are held at the same time, each to its end."""
    dice = random.Random(seed)  # noqa: S311  a log, not a secret
    made = Conversations(dice, peers, kin=kin)
    going: list[list[Entry]] = []
    left = lines
    while left > 0:
        if len(going) < AT_ONCE:
            conversation = made.next(at_most=left)
            left -= len(conversation)
            going.append(conversation[::-1])
            continue
        yield from turn(dice, made, going)
    while going:
        yield from turn(dice, made, going)


def turn(dice: random.Random, made: Conversations, going: list[list[Entry]]) -> Iterator[Entry]:
    """The next line of one of them."""
    at = int(dice.random() * len(going))
    entry = going[at].pop()
    if not going[at]:
        going[at] = going[-1]
        going.pop()
        made.over(entry)
    yield entry


def write_log(
    path: str | Path,
    lines: int,
    seed: int = 1,
    form: str = "rfc3164",
    *,
    peers: int = 4000,
    start: datetime = START,
    kin: bool = True,
) -> Truth:
    """Write the log; its truth. The same arguments give the same log.

    form: "rfc3164" (stamps in UTC) or "rfc3339" (an hour ahead of it). peers: hosts to
    choose from; those in front are chosen more often. kin: whether a server that is
    tried after another may be of the same domain.
    """
    truth = Truth()
    dice = random.Random(seed)  # noqa: S311  a log, not a secret
    stamp_of = STAMPS[form]
    now = start.timestamp()
    second, stamp = -1, ""
    with Path(path).open("w", encoding="utf-8", errors="surrogateescape") as file:
        for entry in entries(lines, seed, peers, kin=kin):
            now += dice.random() * PAUSE if dice.random() > GAP[0] else dice.random() * GAP[1]
            if form == "rfc3339" or int(now) != second:
                second, stamp = int(now), stamp_of(now)
            file.write(f"{stamp} mx1 {entry.tag}: {entry.text}\n")
            truth.lines += 1
            if entry.tag.startswith("postfix"):
                whole = datetime.fromtimestamp(now if form == "rfc3339" else second, UTC)
                truth.first = truth.first or whole
                truth.last = whole
            if entry.says:
                truth.note(now, entry)
    return truth


def write_strangers(path: str | Path, peers: int) -> int:
    """Write a log of clients of which none comes twice, three lines each; the number of lines."""
    with Path(path).open("w") as file:
        for number in range(peers):
            stamp = rfc3164(START.timestamp() + number * 0.05)
            head = f"{stamp} mx1 postfix/smtpd[{100 + number % 50}]:"
            client = f"mail.stranger{number}.example[192.0.2.{number % 256}]"
            file.write(
                f"{head} connect from {client}\n"
                f"{head} Anonymous TLS connection established from {client}: TLSv1.3 with"
                " cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519"
                " server-signature RSA-PSS (2048 bits) server-digest SHA256\n"
                f"{head} disconnect from {client} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1"
                " commands=7\n"
            )
    return peers * 3
