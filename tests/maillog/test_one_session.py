"""The lines of one session among those of all others, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.maillog.one_session import (
    MOST_OCTETS,
    is_whole,
    lines_of,
    process_of,
    read_session,
)
from postkeel.maillog.values import NOT_LOGGED, Direction, Session

STAMP = "Nov 22 13:09:22 mx "
SUMMARY = (
    "Anonymous TLS connection established from localhost[127.0.0.1]: TLSv1.3 with cipher"
    " TLS_AES_256_GCM_SHA384 (256/256 bits)"
)
OF_3_7 = f"{SUMMARY} key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256"
OF_3_10 = f"{SUMMARY} key-exchange x25519 server-signature RSA-PSS (2048 bits) server-digest SHA256"
CONNECT = "connect from localhost[127.0.0.1]"
TAKEN = "5E9D420C: client=localhost[127.0.0.1]"
BYE = "disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 commands=6"
CLEAR = "disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"


def log(*messages: str, tag: str = "postfix/smtpd[124]", stamp: str = STAMP) -> bytes:
    return "".join(f"{stamp}{tag}: {one}\n" for one in messages).encode()


OURS = log(CONNECT, OF_3_7, TAKEN, BYE)
OTHERS = log(CONNECT, SUMMARY, "77AA: client=x[192.0.2.1]", BYE, tag="postfix/smtpd[125]")
OF_BOTH = OURS.splitlines(keepends=True), OTHERS.splitlines(keepends=True)
MIXED = b"".join(line for pair in zip(*OF_BOTH, strict=True) for line in pair)


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        MIXED,
        log(CONNECT, "1111: client=y[192.0.2.2]", BYE) + OURS + log(CONNECT),
        log("5E9D420C: message-id=<x>", tag="postfix/cleanup[9]") + OURS,
        OURS + log("5E9D420C: to=<a>, relay=local, status=sent", tag="postfix/local[7]"),
        log(CONNECT, "5E9D420CA: client=z[192.0.2.9]", BYE, tag="postfix/smtpd[1]") + OURS,
        log(TAKEN, tag="postfix/smtpd[3]") + OURS,  # the name of a queue file is given again
        b"garbage\n\n]: \n" + OURS,
    ],
)
def test_those_of_the_session_and_no_others(text):
    assert lines_of(text, "5E9D420C") == OURS


@pytest.mark.parametrize("queue_id", ["", "5E9D420", "E9D420C", "\udc80", "5e9d420c", ".*"])
def test_no_session_for_another_name(queue_id):
    assert lines_of(MIXED, queue_id) == b""


def test_a_session_whose_beginning_or_end_is_not_there():
    assert lines_of(log(TAKEN), "5E9D420C") == log(TAKEN)
    assert lines_of(log(BYE, OF_3_7, TAKEN), "5E9D420C") == log(OF_3_7, TAKEN)
    crashed = log(CONNECT, TAKEN)
    assert lines_of(crashed + log(CONNECT, BYE), "5E9D420C") == crashed


def test_before_a_filter_it_is_the_session_that_the_probe_had():
    accepted = "proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 5E9D420C; from=<> to=<a@b>"
    front = log(CONNECT, OF_3_7, accepted, BYE)
    back = log(CONNECT, TAKEN, CLEAR, tag="postfix/smtpd[300]")
    assert lines_of(back + front, "5E9D420C") == front
    assert lines_of(front + back, "5E9D420C") == front
    assert lines_of(front.replace(b"5E9D420C", b"5E9D420CA") + back, "5E9D420C") == back


def test_what_is_too_much_is_cut_between_lines():
    noise = [f"noise {number} {'x' * 500}" for number in range(100)]
    text = lines_of(log(CONNECT, *noise, TAKEN, BYE), "5E9D420C")
    assert len(text) <= MOST_OCTETS
    assert text.startswith(log(CONNECT, noise[0]))
    assert text.endswith(log(TAKEN, BYE))
    assert set(text.splitlines()) < set(log(CONNECT, *noise, TAKEN, BYE).splitlines())


def test_one_line_that_is_too_long_leaves_the_others():
    text = lines_of(log(CONNECT, "x" * MOST_OCTETS, TAKEN, BYE), "5E9D420C")
    assert text == log(CONNECT) + log(TAKEN, BYE)


def session(protocol: str, **more: object) -> Session:
    return Session(direction=Direction.INBOUND, protocol=protocol, **more)


TLS = {"trust": "Anonymous", "cipher": "TLS_AES_256_GCM_SHA384", "bits": 256}
SIGNED = TLS | {"key_exchange": "X25519", "signature": "RSA-PSS"}
SAID = [
    (OURS, session("TLSv1.3", **SIGNED)),
    (log(CONNECT, OF_3_10, TAKEN, BYE), session("TLSv1.3", **SIGNED)),
    (log(CONNECT, SUMMARY, TAKEN), session("TLSv1.3", **TLS)),
    (log(CONNECT, TAKEN, BYE), session(NOT_LOGGED)),
    (log(CONNECT, TAKEN, CLEAR), session("")),
    (log(CONNECT, TAKEN), None),
    (log(CONNECT, "Anonymous nonsense", TAKEN), None),
    (log(SUMMARY.replace(" from ", " to "), TAKEN), None),
    (log(SUMMARY.replace("cipher", "zipper"), TAKEN), None),
]


@pytest.mark.parametrize(("lines", "said"), SAID)
def test_what_the_lines_say(lines, said):
    assert read_session(lines) == ("postfix/smtpd", said)


def test_tls_from_the_first_octet_has_no_starttls_to_count():
    lines = log(CONNECT, TAKEN, CLEAR, tag="postfix/submissions/smtpd[5]")
    assert read_session(lines, direct=True) == ("postfix/submissions/smtpd", session(NOT_LOGGED))


def test_stamps_of_both_forms():
    lines = log(CONNECT, OF_3_7, TAKEN, BYE, stamp="2026-11-22T13:09:22.123456+01:00 mx ")
    assert lines_of(MIXED + lines, "5E9D420C") == lines
    assert read_session(lines)[1] == session("TLSv1.3", **SIGNED)


def test_who_wrote_them_and_whether_they_are_all():
    assert process_of(b"nonsense\n" + OURS) == "postfix/smtpd[124]"
    assert process_of(b"nonsense\n") == process_of(b"") == ""
    assert is_whole(OURS)
    assert not is_whole(log(CONNECT, TAKEN))
    assert not is_whole(b"")
    assert read_session(b"") == ("", None)


PIECES = st.sampled_from(
    [*OURS.splitlines(keepends=True), *OTHERS.splitlines(keepends=True), b"]: "]
)


@given(st.lists(PIECES | st.binary(max_size=40)).map(b"".join), st.text(max_size=10))
def test_any_octets_are_read(text, queue_id):
    for one in (queue_id, "5E9D420C"):
        found = lines_of(text, one)
        assert set(found.splitlines()) <= set(text.splitlines())
        is_whole(found)
        process_of(found)
        read_session(found)
    read_session(text)
    process_of(text)
