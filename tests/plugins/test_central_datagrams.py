"""Collectors that take datagrams: what can be noticed is, and nothing is sent twice."""

import contextlib
import errno
import os
import re
import select
import socket

import pytest

from fake_collector import FakeCollector, octet_counted
from postkeel_plugins.central import datagrams, sender
from postkeel_plugins.central.collectors import collector_of
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.datagrams import datagrams as opened
from postkeel_plugins.central.spool import Spooled
from sending import Sending, wait_for


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(sender, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(sender, "LONGEST_WAIT", 0.2)


@contextlib.contextmanager
def receiving(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.bind(address)
        one.settimeout(20)
        yield one


def numbers(receiver, count):
    found = [re.search(rb' seq="(\d+)"', receiver.recv(65536)) for _ in range(count)]
    return [int(one[1]) for one in found]


@pytest.mark.parametrize(
    ("family", "address", "url"),
    [
        (socket.AF_INET, "127.0.0.1", "udp://127.0.0.1"),
        (socket.AF_INET6, "::1", "udp://[::1]"),
    ],
)
def test_udp(tmp_path, family, address, url):
    with (
        receiving(family, (address, 0)) as receiver,
        Sending(tmp_path, f"{url}:{receiver.getsockname()[1]}") as sending,
    ):
        sending.deliver(20)
        assert numbers(receiver, 20) == list(range(1, 21))
        wait_for(lambda: sending.waiting() == 0)


def test_nobody_listens(tmp_path):
    """The host's word on it comes behind the first datagram, which is lost; the second waits."""
    with receiving(socket.AF_INET, ("127.0.0.1", 0)) as receiver:
        address = receiver.getsockname()
    with FakeCollector(octet_counted) as other:
        urls = (f"udp://127.0.0.1:{address[1]}", f"tcp://127.0.0.1:{other.port}")
        with Sending(tmp_path, *urls) as sending:
            sending.deliver()
            sending.says("it takes no datagram: Connection refused")
            sending.deliver()
            wait_for(lambda: 2 in other.numbers() or sending.waiting() == 0)


def test_the_syslog_of_this_host(tmp_path):
    place = str(tmp_path / "log")
    with Sending(tmp_path, f"unix://{place}") as sending:
        sending.deliver(3)
        sending.says("3 reports wait", f"cannot send to {place}: No such file or directory")
        with receiving(socket.AF_UNIX, place) as receiver:
            assert numbers(receiver, 3) == [1, 2, 3]
            wait_for(lambda: "cannot" not in sending.said())
        sending.deliver(2)
        sending.says("2 reports wait", "Connection refused")  # as when syslog is started anew
        os.unlink(place)
        with receiving(socket.AF_UNIX, place) as receiver:
            assert numbers(receiver, 2) == [4, 5]


def test_a_syslog_whose_queue_is_full_is_waited_for(tmp_path):
    place = str(tmp_path / "log")
    with (
        receiving(socket.AF_UNIX, place) as receiver,
        Sending(tmp_path, f"unix://{place}") as sending,
    ):
        sending.deliver(500)  # the kernel queues some ten
        wait_for(lambda: 0 < sending.waiting() < 500)
        assert numbers(receiver, 500) == list(range(1, 501))
        wait_for(lambda: sending.waiting() == 0)


@pytest.fixture
def full(tmp_path):
    """A link to a receiver that takes nothing more."""
    place = str(tmp_path / "log")
    with receiving(socket.AF_UNIX, place) as receiver:
        link = opened(collector_of(f"unix://{place}"))
        with contextlib.closing(link):
            done, number = [1], 0
            while done:
                number += 1
                link.take((Spooled(seq=number, octets=b"x"),))
                done = link.turn(100.0)
            yield link, receiver


def test_a_syslog_that_takes_nothing_is_given_up(full):
    link, _ = full
    assert link.watched()[1] == select.POLLOUT
    assert link.due() == 100.0 + datagrams.STALL_SECONDS
    assert link.turn(129.9) == []
    with pytest.raises(LinkError, match="it took nothing for 30 s"):
        link.turn(130.0)


def test_a_syslog_that_goes_on_is_granted_further_time(full):
    link, receiver = full
    room = link.room()
    receiver.recv(16)
    assert len(link.turn(120.0)) == 1
    assert (link.due(), link.room(), link.complaint()) == (None, room + 1, "")
    assert link.watched()[1] == 0


def test_what_was_sent_before_a_failure_is_settled(tmp_path):
    place = str(tmp_path / "log")
    with receiving(socket.AF_UNIX, place) as receiver:
        link = opened(collector_of(f"unix://{place}"))
        with contextlib.closing(link):
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            large = Spooled(seq=2, octets=bytes(1 << 24))  # no socket takes that
            link.take((Spooled(seq=1, octets=b"x"), large))
            assert link.turn(0.0) == [1]
            assert link.due() == 0.0
            with pytest.raises(LinkError, match=re.escape(os.strerror(errno.EMSGSIZE))):
                link.turn(0.0)
