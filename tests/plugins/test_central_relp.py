"""RELP as values: frames in any pieces, answers in any order, and no way to be filled."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel_plugins.central import relp
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.relp import WINDOW, Frame, Frames, Session, frame
from postkeel_plugins.central.spool import Spooled

OPENED = b"200 OK\nrelp_version=0\nrelp_software=librelp,1.11.0\ncommands=syslog"


def read(pieces):
    """What came of it: the frames, and the error that ended it, if any."""
    frames, found = Frames(), []
    try:
        for piece in pieces:
            found.extend(frames.feed(piece))
    except LinkError as error:
        return found, str(error)
    return found, None


def cut(octets, places):
    bounds = [0, *sorted(one % (len(octets) + 1) for one in places), len(octets)]
    return [octets[begin:end] for begin, end in itertools.pairwise(bounds)]


NUMBERS = st.integers(0, 999_999_999)
COMMANDS = st.sampled_from((b"rsp", b"serverclose", b"open", b"syslog", b"a" * 32))
FRAMES = st.builds(
    lambda number, command, data: Frame(number=number, command=command, data=data),
    NUMBERS,
    COMMANDS,
    st.binary(max_size=300),
)
PIECES = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.lists(FRAMES, max_size=6), PIECES)
def test_what_was_framed_is_read_in_whatever_pieces_it_comes(frames, places):
    octets = b"".join(frame(one.number, one.command, one.data) for one in frames)
    assert read(cut(octets, places)) == (frames, None)


ALMOST = st.lists(
    st.one_of(
        st.sampled_from(
            (b"1 rsp 6 200 OK\n", b" ", b"\n", b"1", b"rsp", b"6", b"0 serverclose 0\n")
        ),
        st.binary(max_size=8),
    ),
    max_size=12,
).map(b"".join)


@given(ALMOST, PIECES)
def test_reading_is_total_and_indifferent_to_pieces(octets, places):
    found, error = read([octets])
    again, again_error = read(cut(octets, places))
    assert again == found
    assert (again_error is None) == (error is None)
    assert error is None or error.isprintable()


@given(st.binary(max_size=60), PIECES)
def test_what_is_held_is_bounded(start, places):
    frames = Frames()
    try:
        for piece in cut(start, places):
            list(frames.feed(piece))
        for _ in range(20):
            list(frames.feed(b"0" * 65536))
    except LinkError:
        return
    raise AssertionError("a megabyte of zeros was taken for a frame")


@pytest.mark.parametrize(
    "octets",
    [
        b"x", b" ", b"\n", b"1  ", b"1 \n", b"1 RSP", b"1 rsp  ", b"1 rsp x", b"1 rsp\n",
        b"1 rsp 6\n", b"1 rsp 2 OKK", b"1 rsp 0  ", b"1234567890", b"1 " + b"a" * 33,
        b"1 rsp 1234567890", b"1 rsp 131073 ", b"-1 rsp",
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused_at_once(octets):
    assert read([octets])[1] is not None
    assert read([b"%c" % one for one in octets])[1] is not None


@pytest.mark.parametrize("octets", [b"0 serverclose 0\n", b"0 serverclose 0 \n"])
def test_a_frame_without_data_with_its_blank_or_without(octets):
    assert read([octets]) == ([Frame(number=0, command=b"serverclose", data=b"")], None)


def reports(*numbers):
    return tuple(Spooled(seq=one, octets=b"<19>1 report %d" % one) for one in numbers)


@pytest.fixture
def session():
    one = Session()
    assert one.begin() == frame(1, b"open", relp._OFFER)
    assert one.room() == 0
    one.wrote(100, 0.0)
    one.received(frame(1, b"rsp", OPENED), 0.0)
    return one


def test_a_report_is_done_with_when_it_was_answered(session):
    assert session.framed(reports(7, 8)) == (
        b"2 syslog 14 <19>1 report 7\n3 syslog 14 <19>1 report 8\n"
    )
    assert session.settled(0, 1.0) == []
    session.received(b"3 rsp 6 200 OK\n2 rs", 1.0)
    assert session.settled(0, 1.0) == [8]
    session.received(b"p 3 200\n", 1.0)
    assert session.settled(0, 1.0) == [7]
    assert session.due() is None


def test_the_window(session):
    assert session.room() == WINDOW
    session.framed(reports(*range(1, 101)))
    assert session.room() == WINDOW - 100
    session.received(b"2 rsp 6 200 OK\n", 1.0)
    assert session.room() == WINDOW - 99


def test_numbers_begin_anew_after_the_last(session):
    session._number = 999_999_998
    assert session.framed(reports(1, 2)).startswith(b"999999999 syslog")
    session.received(b"1 rsp 6 200 OK\n999999999 rsp 6 200 OK\n", 1.0)
    assert session.settled(0, 1.0) == [2, 1]


def test_silence(session):
    session.framed(reports(1))
    session.wrote(200, 10.0)
    session.wrote(300, 20.0)  # what is written is no answer
    assert session.due() == 10.0 + relp.ANSWER_SECONDS
    assert session.again(69.9) == b""
    with pytest.raises(LinkError, match="did not answer for 60 s"):
        session.again(70.0)


def test_an_answer_grants_further_time(session):
    session.framed(reports(1, 2))
    session.wrote(200, 10.0)
    session.received(b"2 rsp 6 200 OK\n", 60.0)
    assert session.due() == 120.0


def test_a_refusal_is_offered_again_after_ever_longer_waits(session):
    session.framed(reports(5))
    session.wrote(200, 0.0)
    now, waits, number = 0.0, [], 2
    for _ in range(9):
        session.received(frame(number, b"rsp", b"500 out of\tdisk"), now)
        assert session.room() == WINDOW - 1
        waits.append(session.due() - now)
        assert session.again(session.due() - 0.01) == b""
        now = session.due()
        number += 1
        assert session.again(now) == frame(number, b"syslog", b"<19>1 report 5")
        assert session.again(now) == b""  # it is on its way
        session.wrote(300, now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert session.complaint() == "refused report 5 9 times: 500 out of\\tdisk"
    session.received(frame(number, b"rsp", b"200 OK"), now)
    assert session.settled(0, now) == [5]
    assert session.complaint() == ""
    assert session.room() == WINDOW


def test_one_refusal_is_no_complaint(session):
    session.framed(reports(5))
    session.received(frame(2, b"rsp", b"500"), 0.0)
    assert session.complaint() == ""


def test_a_collector_that_refuses_everything_is_not_asked_for_everything(session):
    session.framed(reports(*range(1, WINDOW + 1)))
    for number in range(2, WINDOW + 2):
        session.received(frame(number, b"rsp", b"500"), 0.0)
    assert session.room() == 0


def test_an_answer_that_is_given_twice(session):
    session.framed(reports(1))
    session.received(b"2 rsp 6 200 OK\n", 1.0)
    with pytest.raises(LinkError, match="not asked"):
        session.received(b"2 rsp 6 200 OK\n", 1.0)


@pytest.mark.parametrize("said", [b"", b"2000 OK", b"20", b"\n200 OK"])
def test_what_is_no_200_is_a_refusal(session, said):
    session.framed(reports(1))
    session.received(frame(2, b"rsp", said), 0.0)
    assert session.settled(0, 0.0) == []
    assert session.room() == WINDOW - 1


def test_the_end(session):
    assert session.end() == b"2 close 0\n"
    assert Session().end() == b""
