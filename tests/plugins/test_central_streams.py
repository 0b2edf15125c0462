"""What a connection does at moments that a server cannot be made to choose."""

import contextlib
import socket
import time

import pytest

from collector_certificates import Authority
from postkeel_plugins.central import streams, tls
from postkeel_plugins.central.conversation import LinkError
from postkeel_plugins.central.streams import Stream
from postkeel_plugins.central.tls import Credentials, secured
from postkeel_plugins.central.waker import Waker
from postkeel_plugins.central.window import Window


@pytest.fixture
def ends():
    """Both ends of a connection that does not block."""
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        yield here, there


def fill(end):
    """Write until nothing more can be."""
    with contextlib.suppress(BlockingIOError):
        while True:
            end.send(b"x" * 4096)


def test_a_connection_that_breaks_between_reading_and_writing(ends):
    here, there = ends

    class Leaves(Window):
        def again(self, _):
            there.close()
            return b"too late"

    stream = Stream(here, Leaves(60.0, 100))
    with pytest.raises(LinkError, match="the connection broke: Broken pipe"):
        stream.turn(0.0)


def test_a_client_that_met_itself():
    """Linux does that on loopback, to one who tries a port again and again."""
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            streams._connect(alone, alone.getsockname(), Waker())


def test_a_handshake_that_cannot_even_be_begun(ends, tmp_path, monkeypatch):
    here, _ = ends
    fill(here)
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.1)
    credentials = Credentials(authority=str(Authority(tmp_path).file))
    with pytest.raises(LinkError, match=r"no TLS handshake within 0\.1 s"):
        secured(here, "log1.example.org", credentials, Waker())


def test_a_stream_that_is_closed_with_something_to_write_says_no_farewell(ends):
    here, there = ends
    fill(here)
    here = streams.Stream(here, Window(60.0, 100))
    here._unwritten += b"half a frame"
    here.turn(time.monotonic())
    here.close()
    with contextlib.suppress(BlockingIOError):
        while octets := there.recv(65536):
            assert set(octets) == set(b"x")
