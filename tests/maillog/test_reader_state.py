"""A reader that goes on where another one stopped, as from batch to batch in the agent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from postkeel.maillog.joiner import UNEXPLAINED
from postkeel.maillog.reader import MOST_KEPT, Reader
from postkeel.maillog.tally import Tally

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AGREED = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
LIBRARY = (
    "warning: TLS library problem: error:0A000102:SSL routines::unsupported protocol:x.c:1664:"
)


def sent(queue_id, recipient, program="smtp[5]"):
    return (
        f"{program}: {queue_id}: to=<{recipient}@example.org>, relay=mx.example.com[192.0.2.1]:25,"
        " delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)"
    )


TO = f"smtp[5]: Trusted TLS connection established to mx.example.com[192.0.2.1]:25: {AGREED}"
CONVERSATIONS = {
    "inbound TLS": (
        "smtpd[7]: connect from mx.example.com[192.0.2.1]",
        f"smtpd[7]: Anonymous TLS connection established from mx.example.com[192.0.2.1]: {AGREED}",
        "smtpd[7]: disconnect from mx.example.com[192.0.2.1] ehlo=2 starttls=1 data=1 commands=5",
    ),
    "inbound clear text": (
        "smtpd[7]: connect from mx.example.com[192.0.2.1]",
        "smtpd[7]: disconnect from mx.example.com[192.0.2.1] ehlo=1 data=1 commands=3",
    ),
    "failure": (
        "smtpd[7]: connect from mx.example.com[192.0.2.1]",
        "smtpd[7]: SSL_accept error from mx.example.com[192.0.2.1]: -1",
        f"smtpd[7]: {LIBRARY}",
    ),
    "failure of tlsproxy": (
        f"tlsproxy[5]: {LIBRARY}",
        "tlsproxy[5]: TLS handshake failed for service=smtpd peer=[192.0.2.1]:25",
    ),
    "two recipients": (TO, sent("4XyZ12abCDz1", "a"), sent("4XyZ12abCDz1", "b")),
    "two recipients in clear": (sent("4XyZ12abCDz1", "a"), sent("4XyZ12abCDz1", "b")),
    "two mails": (TO, sent("4XyZ12abCDz1", "a"), sent("4XyZ12abCDz2", "b")),
}


def read(messages, state=None, now=NOW):
    """(statistics, state as it comes out of a store)."""
    tally = Tally()
    reader = Reader(tally, now=now, zone=UTC, state=state)
    reader.read("".join(f"{now.isoformat()} mx postfix/{one}\n" for one in messages).encode())
    return tally, json.loads(json.dumps(reader.state()))


def counts(tallies):
    """What several tallies come to, whoever counted it."""
    sums = {}
    for tally in tallies:
        statistics = tally.statistics()
        for kind in ("connections", "failures", "destinations"):
            for *key, count in getattr(statistics, kind):
                more = key.pop() if kind == "connections" else 0
                before = sums.get((kind, *key), (0, 0))
                sums[kind, *key] = (before[0] + count, before[1] + more)
    return sums


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_batch_for_each_line_counts_the_same(name):
    messages = CONVERSATIONS[name]
    state, tallies = {}, []
    for message in messages:
        tally, state = read([message], state)
        tallies.append(tally)
    assert counts(tallies) == counts([read(messages, {})[0]])


def test_what_has_nothing_to_tell_is_not_kept():
    assert read(CONVERSATIONS["inbound TLS"])[1] == {}
    assert read(CONVERSATIONS["inbound clear text"])[1] == {}


def test_processes_that_are_gone_are_forgotten():
    _, state = read([TO, "smtpd[7]: SSL_accept error from mx.example.com[192.0.2.1]: -1"])
    assert len(state) == 2
    _, state = read([], state, NOW + timedelta(minutes=59))
    assert len(state) == 2
    tally, state = read([], state, NOW + timedelta(minutes=61))
    assert state == {}
    assert [one.reason for one in tally.statistics().failures] == [UNEXPLAINED]


def test_a_delivery_is_soon_forgotten():
    _, state = read([TO, sent("4XyZ12abCDz1", "a")])
    assert read([], state, NOW + timedelta(seconds=59))[1] != {}
    assert read([], state, NOW + timedelta(seconds=61))[1] == {}


def test_the_state_is_bounded_and_keeps_the_newest():
    state = {}
    for first in (0, MOST_KEPT):
        many = [TO.replace("[5]", f"[{first + one}]") for one in range(1, MOST_KEPT + 1)]
        _, state = read(many, state)
    assert len(state) == MOST_KEPT
    assert f"postfix/smtp[{2 * MOST_KEPT}" in state


def test_failures_that_wait_are_counted_in_the_end():
    _, state = read(CONVERSATIONS["failure"][:2])
    tally = Tally()
    reader = Reader(tally, now=NOW, zone=UTC, state=state)
    reader.finish()
    reader.finish()
    assert [(one.reason, one.count) for one in tally.statistics().failures] == [(UNEXPLAINED, 1)]
