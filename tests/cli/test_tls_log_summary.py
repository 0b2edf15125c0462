"""Adding up: the oldest protocol of a peer, stretches of time, shares that do not lie."""

from __future__ import annotations

from itertools import permutations

import pytest

from postkeel.cli.tls_log_summary import Volume, destinations, stretches, summarise
from postkeel.cli.wording import percent
from postkeel.maillog.values import (
    NOT_LOGGED,
    ConnectionCount,
    DestinationCount,
    Direction,
    Session,
    Statistics,
)

HOUR, DAY = 3600, 86_400
IN = Direction.INBOUND
CLEAR = Session(direction=IN)


def over(protocol, **more):
    return Session(direction=IN, trust="Anonymous", protocol=protocol, cipher="C", **more)


def count(session, peer="a.example", hour=0, name="postfix/smtpd", connections=1, mails=2):
    return ConnectionCount(hour, name, session, peer, connections, mails)


WEAKEST = {
    ("TLSv1.3", "TLSv1", "TLSv1.2"): "TLSv1",
    ("TLSv1.3", "TLSv1.2", ""): "TLSv1.2",
    ("TLSv1.3", NOT_LOGGED): "TLSv1.3",
    (NOT_LOGGED, ""): NOT_LOGGED,
    ("",): "",
    ("SSLv3", "TLSv1"): "SSLv3",
}


@pytest.mark.parametrize(("protocols", "weakest"), WEAKEST.items(), ids=str)
def test_the_oldest_protocol_of_a_peer(protocols, weakest):
    for order in permutations(protocols):
        counts = tuple(count(over(one) if one else CLEAR) for one in order)
        (peer,) = summarise(Statistics(lines=1, connections=counts)).peers
        assert peer.weakest == weakest
        assert peer.volume.connections == len(protocols)


def test_all_that_adds_up():
    first, again = over("TLSv1.3"), over("TLSv1.3")
    summary = summarise(
        Statistics(
            lines=9,
            connections=(
                count(first, connections=3, mails=4),
                count(first, name="postfix/submission/smtpd", hour=HOUR),
                count(again, peer="b.example", connections=5),
                count(CLEAR, peer="b.example", connections=1, mails=7),
            ),
        )
    )
    (travel,) = summary.travels
    assert (travel.service, travel.connections, travel.mails) == ("smtpd", 9, 8)
    assert summary.services == {
        (IN, "postfix/smtpd"): Volume(8, 6, 1, 7),
        (IN, "postfix/submission/smtpd"): Volume(1, 2, 0, 0),
    }
    assert summary.hours == {(IN, 0): Volume(8, 6, 1, 7), (IN, HOUR): Volume(1, 2, 0, 0)}
    assert [(one.name, one.volume) for one in summary.peers] == [
        ("b.example", Volume(5, 2, 1, 7)),
        ("a.example", Volume(4, 6, 0, 0)),
    ]
    assert summary.volume(IN) == Volume(9, 8, 1, 7)
    assert summary.volume(Direction.OUTBOUND) == Volume()


def test_destinations_name_the_relay_of_most_mails_first():
    secure = Session(direction=Direction.OUTBOUND, protocol="TLSv1.3")
    clear = Session(direction=Direction.OUTBOUND)
    rows = (
        DestinationCount(0, "b.example", "mx1.example", secure, 1),
        DestinationCount(0, "b.example", "mx2.example", clear, 2),
        DestinationCount(0, "a.example", "mx1.example", secure, 9),
    )
    found = destinations(Statistics(lines=3, destinations=rows))
    assert [tuple(one) for one in found] == [
        ("a.example", 9, 0, ("mx1.example",)),
        ("b.example", 1, 2, ("mx2.example", "mx1.example")),
    ]


STRETCHES = {
    "hours": (range(0, 3 * HOUR, HOUR), HOUR, HOUR, 3),
    "a gap": ([0, 9 * HOUR], HOUR, HOUR, 10),
    "days when there are too many hours": (range(0, 3 * DAY, HOUR), HOUR, DAY, 3),
    "days when hours are not told apart": ([0, DAY], DAY, DAY, 2),
    "weeks": (range(0, 28 * DAY, DAY), HOUR, 7 * DAY, 4),
    "weeks, twice as many": (range(0, 140 * DAY, DAY), HOUR, 14 * DAY, 10),
    "nothing known but the whole": ([0], 400 * DAY, 448 * DAY, 1),
}


@pytest.mark.parametrize(
    ("hours", "shortest", "length", "parts"), STRETCHES.values(), ids=STRETCHES
)
def test_stretches(hours, shortest, length, parts):
    given = {one: Volume(1, 2, 3, 4) for one in hours}
    found, made = stretches(given, shortest, 12)
    assert (found, len(made)) == (length, parts)
    total = [sum(column) for column in zip(*(volume for _, volume in made), strict=True)]
    assert total == [len(given) * one for one in (1, 2, 3, 4)]
    assert [begin for begin, _ in made] == [nth * length for nth in range(parts)]


def test_no_hours_no_stretches():
    assert stretches({}, HOUR, 12) == (HOUR, [])


SHARES = {
    (0, 0): "-",
    (0, 9): "0.0%",
    (9, 9): "100.0%",
    (1, 1_000_000): "0.1%",
    (999_999, 1_000_000): "99.9%",
    (1, 3): "33.3%",
}


@pytest.mark.parametrize(("given", "said"), SHARES.items(), ids=str)
def test_what_is_not_all_is_not_shown_as_all(given, said):
    assert percent(*given) == said
