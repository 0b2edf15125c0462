"""Plain syslog streams as values: when a report need not be sent again."""

import pytest

from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.spool import Spooled
from postkeel_plugins.central.window import BEHIND, Window


def reports(*numbers, size=10):
    return tuple(Spooled(seq=one, octets=b"x" * size) for one in numbers)


@pytest.fixture
def window():
    return Window(60.0, 1000)


def test_frames_are_counted_in_octets(window):
    euro = Spooled(seq=1, octets="€\n".encode())
    assert window.framed((euro, *reports(2, size=12))) == b"4 \xe2\x82\xac\n12 " + b"x" * 12
    assert window.begin() == b""
    assert window.end() == b""
    assert window.again(0.0) == b""
    assert window.complaint() == ""


def test_the_time_begins_when_all_of_it_was_written(window):
    window.framed(reports(1, 2))  # 13 octets each
    window.wrote(12, 1.0)
    assert window.due() is None
    window.wrote(25, 5.0)
    assert window.due() == 65.0
    assert window.settled(25, 64.9) == []
    assert window.settled(25, 65.0) == [1]
    window.wrote(26, 70.0)
    assert window.settled(26, 129.0) == []
    assert window.settled(26, 130.0) == [2]
    assert window.due() is None


def test_what_the_other_kernel_has_not_acknowledged_is_kept(window):
    window.framed(reports(1))
    window.wrote(13, 0.0)
    assert window.settled(12, 100.0) == []
    assert window.due() == 101.0  # looked at again, and not without a pause
    assert window.settled(13, 101.0) == [1]


def test_what_has_enough_behind_it_is_done_with(window):
    window.framed(reports(1, size=1000))
    window.framed(reports(2, size=BEHIND))
    window.wrote(1005, 1.0)
    window.wrote(1005 + BEHIND + 9, 1.0)
    assert window.settled(1005 + BEHIND - 1, 1.0) == []
    assert window.settled(1005 + BEHIND, 1.0) == [1]


def test_no_more_than_so_many_are_kept():
    window = Window(60.0, 3)
    window.framed(reports(1, 2, 3, 4, 5))
    for octets in (26, 39, 52, 65):
        window.wrote(octets, 0.0)
    assert window.settled(0, 0.0) == [1, 2]
    assert window.room() == 1


def test_what_is_not_written_takes_room(window):
    room = window.room()
    window.framed(reports(*range(room)))
    assert window.room() == 0
    window.wrote(13 * room, 0.0)
    assert window.room() == room


def test_a_collector_has_nothing_to_say(window):
    with pytest.raises(LinkError, match=r'does: "\\xff \\x1b\[0m"'):
        window.received(b"\xff \x1b[0m", 0.0)
