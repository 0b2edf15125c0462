"""The channel between the sides, with real sockets, and a monitor that means harm."""

from __future__ import annotations

import array
import contextlib
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

import pytest

from guarded import until
from postkeel.core.errors import PostkeelError
from postkeel.shell.channel import PACE, PATIENCE, REFUSED, TAKEN, VERB, Requests, ask_check
from postkeel.shell.loop import Loop


class Root:
    """A root side whose loop turns in a thread, and ticks as for a watchdog."""

    def __init__(self, path):
        self.path = str(path)
        self.calls = 0
        self.ticks = 0
        self.complaints = []
        self.errors = []
        self.loop = Loop(self.errors.append)
        self.loop.repeat("tick", self.tick, every=0.01)
        self.requests = Requests(self.loop, self.path, self.check_now, self.complaints.append)
        self.thread = threading.Thread(target=self.loop.run_until_stopped, daemon=True)
        self.thread.start()

    def tick(self):
        self.ticks += 1

    def check_now(self):
        self.calls += 1

    def is_asked(self):
        """One more request is taken, as soon as those before it are out of the way."""
        before = self.calls
        until(self.takes, 20)
        return until(lambda: self.calls > before)

    def takes(self):
        with contextlib.suppress(PostkeelError):
            ask_check(self.path)
            return True

    def turns(self):
        before = self.ticks
        return until(lambda: self.ticks > before + 3)

    def close(self):
        self.requests.close()
        self.loop.wake(self.loop.stop)
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.loop.close()
        assert self.errors == []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ask" / "socket"


@pytest.fixture
def root(path):
    side = Root(path)
    yield side
    side.close()


def connected(path):
    """A connection to the channel."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.connect(str(path))
    peer.settimeout(10)
    return peer


def attempted(path):
    """A connection to the channel, or None where none is to be had at once."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.setblocking(False)
    if peer.connect_ex(str(path)):
        peer.close()
        return None
    peer.settimeout(10)
    return peer


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_who_asks_is_answered_and_a_check_follows(root):
    ask_check(root.path)
    until(lambda: root.calls == 1)
    ask_check(root.path)
    until(lambda: root.calls == 2)
    assert root.complaints == []


def test_it_answers_while_the_loop_is_at_work_and_many_requests_are_one(root):
    begun, go_on = threading.Event(), threading.Event()
    root.loop.wake(lambda: (begun.set(), go_on.wait(20)))
    assert begun.wait(10)
    for _ in range(5):
        ask_check(root.path)
    assert root.calls == 0
    go_on.set()
    until(lambda: root.calls == 1)
    assert root.turns()
    assert root.calls == 1


NOT_THE_VERB = {
    "empty": b"",
    "truncated": b"check no",
    "one octet": b"c",
    "with a newline": b"check now\n",
    "with a NUL": b"check now\0",
    "in capitals": b"CHECK NOW",
    "with a value": b"check now /etc/postfix",
    "another verb": b"status",
    "the answer": b"ok",
    "two in one": b"check nowcheck now",
    "NULs": bytes(9),
    "no UTF-8": b"\xff\xfe\x80",
    "64 KiB": b"check now" * 7282,
    "just under the limit of the socket": b"x" * 200_000,
}


@pytest.mark.parametrize("packet", NOT_THE_VERB.values(), ids=NOT_THE_VERB)
def test_anything_else_is_refused(root, packet):
    with connected(root.path) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        peer.send(packet)
        assert peer.recv(100) == REFUSED
        assert peer.recv(100) == b""
    assert root.is_asked()
    assert root.calls == 1
    (complaint,) = root.complaints
    assert str(complaint) == (
        f"{root.path}: refused what is no request of this version of postkeel: "
        f"if both sides are of one version, look at the monitor"
    )


def test_refusals_are_complained_of_once(root):
    for _ in range(5):
        with connected(root.path) as peer:
            peer.send(b"nonsense")
            assert peer.recv(100) == REFUSED
    assert root.turns()
    assert len(root.complaints) == 1


def test_passed_descriptors_are_refused_and_not_kept(root):
    before = descriptors()
    for count in (1, 100, 253):
        with connected(root.path) as peer, open("/dev/null", "rb") as file:
            passed = array.array("i", [file.fileno()] * count)
            peer.sendmsg([VERB], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
            assert peer.recv(100) == REFUSED
    assert root.is_asked()
    assert root.calls == 1
    until(lambda: descriptors() == before)


def test_descriptors_that_nobody_reads_are_not_kept_either(root):
    before = descriptors()
    with connected(root.path) as peer, open("/dev/null", "rb") as file:
        passed = array.array("i", [file.fileno()] * 50)
        with contextlib.suppress(OSError):  # closed after the first
            peer.send(VERB)
            for _ in range(5):
                peer.sendmsg([VERB], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
    assert root.is_asked()
    until(lambda: descriptors() == before)


def test_many_packets_on_one_connection_are_one_request(root):
    with connected(root.path) as peer:
        with contextlib.suppress(OSError):  # closed after the first, or no room for more
            peer.setblocking(False)
            for _ in range(1000):
                peer.send(VERB)
        until(lambda: root.calls)
    assert root.turns()
    assert root.calls == 1


def test_a_peer_that_closes_at_once_or_never_reads_disturbs_nobody(root):
    for _ in range(3):
        connected(root.path).close()
        with connected(root.path) as peer:
            peer.send(VERB)
        with connected(root.path) as peer:
            peer.send(VERB)
            peer.shutdown(socket.SHUT_RD)  # the answer would be a SIGPIPE
    assert root.is_asked()
    assert len(root.complaints) <= 1


def test_a_flood_of_connections_is_taken_at_its_pace(root):
    before, began = descriptors(), time.monotonic()
    clock = time.pthread_getcpuclockid(root.requests._thread.ident)
    taken = 0
    for _ in range(20_000):
        peer = attempted(root.path)
        if peer is not None:
            taken += 1
            peer.send(VERB)
            peer.close()
    took = time.monotonic() - began
    assert taken <= 10 + took / PACE, f"{taken} in {took:.1f} s"
    assert took < 60
    assert time.clock_gettime(clock) < 1 + took / 10
    assert root.turns()
    assert root.is_asked()
    assert root.calls <= taken + 20
    until(lambda: descriptors() == before)


def test_connections_kept_open_are_closed_and_the_loop_turns_meanwhile(root):
    before = descriptors()
    kept = [attempted(root.path) for _ in range(1000)]
    kept = [peer for peer in kept if peer is not None]
    assert descriptors() <= before + len(kept) + 1
    for peer in kept:
        assert root.turns()
        assert peer.recv(100) == b""
    assert len(kept) < 50
    assert root.is_asked()
    for peer in kept:
        peer.close()
    until(lambda: descriptors() == before)


def test_who_asks_where_nobody_has_time_is_told_soon(root):
    kept = [one for _ in range(20) if (one := attempted(root.path))]
    began = time.monotonic()
    with pytest.raises(PostkeelError, match=r"does not answer: .*: see systemctl status postkeel$"):
        ask_check(root.path, deadline=PATIENCE / 10)
    assert time.monotonic() - began < 5
    for peer in kept:
        peer.close()
    assert root.is_asked()


SERVER = """
import signal, sys
from postkeel.shell.channel import Requests
from postkeel.shell.loop import Loop
loop = Loop(print)
loop.on_signal(signal.SIGTERM, loop.stop)
requests = Requests(loop, sys.argv[1], lambda: None, print)
print("listens", flush=True)
loop.run_until_stopped()
requests.close()
loop.close()
"""


@pytest.fixture
def other(path):
    """Another process that listens at the path."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "listens\n"
        yield process
        process.kill()


@contextlib.contextmanager
def lingering():
    """A TCP socket which, whoever closes it last, keeps that one waiting for a minute."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held = socket.create_connection(listening.getsockname())
        with listening.accept()[0]:  # never reads; its end ends the wait
            held.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    held.send(bytes(65536))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
            yield held


@contextlib.contextmanager
def passed_on(path, *sockets):
    """The channel has the last reference: it waits behind silent peers until ours is gone.

    Gives the port of the first, which is received first.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            if silent := attempted(path):
                stack.enter_context(silent)
        port = sockets[0].getsockname()[1]
        for one in sockets:
            peer = stack.enter_context(connected(path))
            passed = array.array("i", [one.fileno()])
            peer.sendmsg([VERB], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
            one.close()
        yield port


def lingers(port):
    """Whether somebody is closing the TCP socket with this port, as the kernel says."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    return any(row[1].endswith(f":{port:04X}") and row[3] == FIN_WAIT1 for row in rows)


FIN_WAIT1 = "04"


def test_a_socket_that_lingers_keeps_only_the_channel_waiting(root):
    with lingering() as held, passed_on(root.path, held) as port:
        until(lambda: lingers(port), 20)
        for _ in range(5):
            assert root.turns()
        assert not root.takes(), "it did not wait: this test shows nothing"
        assert lingers(port)
    assert root.is_asked()


@pytest.mark.parametrize("received", [True, False])
def test_a_socket_that_lingers_does_not_keep_it_from_ending(path, other, received):
    """Neither one that is being refused, nor one on a connection that waits its turn."""
    with lingering() as held, lingering() as more, passed_on(path, held, more) as port:
        if received:
            until(lambda: lingers(port), 20)
        began = time.monotonic()
        other.send_signal(signal.SIGTERM)
        assert other.wait(20) == 0
        assert time.monotonic() - began < 10
        assert not path.exists()


def test_it_comes_and_goes(path):
    before = descriptors()
    side = Root(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert stat.S_ISSOCK(path.stat().st_mode)
    side.close()
    assert not path.exists()
    with pytest.raises(PostkeelError, match=r"No such file or directory: see systemctl status"):
        ask_check(str(path))
    side = Root(path)
    assert side.is_asked()
    side.close()
    until(lambda: descriptors() == before)


def test_the_directory_of_the_package_stays_as_it_is(path):
    path.parent.mkdir()
    path.parent.chmod(0o710)
    Root(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o710


def test_the_socket_of_a_killed_process_is_replaced(path, other):
    ask_check(str(path))
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert path.exists()
    with pytest.raises(PostkeelError, match="Connection refused: see systemctl status postkeel"):
        ask_check(str(path))
    side = Root(path)
    assert side.is_asked()
    side.close()


def refused(path):
    loop = Loop(pytest.fail)
    with pytest.raises(PostkeelError) as caught:
        Requests(loop, str(path), pytest.fail, pytest.fail)
    loop.close()
    return str(caught.value)


def test_the_socket_of_a_living_process_is_left_to_it(path, other):
    assert refused(path) == f"{path}: another process listens there already"
    ask_check(str(path))


def test_the_socket_of_a_successor_is_left_to_it(path):
    first = Root(path)
    path.unlink()
    second = Root(path)
    first.close()
    assert second.is_asked()
    second.close()


def a_file(path):
    path.write_text("of somebody")


def a_link_to_a_file(path):
    path.with_name("target").write_text("of somebody")
    path.symlink_to("target")


def a_link_to_nothing(path):
    path.symlink_to("/nowhere/socket")


def a_directory(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_file, a_link_to_a_file, a_link_to_nothing, a_directory, a_pipe])
def test_a_foreign_thing_at_the_path_is_left_alone(path, make):
    before = descriptors()
    path.parent.mkdir(mode=0o700)
    make(path)
    was = os.lstat(path)
    assert refused(path) == f"{path}: not a socket, and none of postkeel's: remove it"
    assert os.lstat(path) == was
    until(lambda: descriptors() == before)


def test_a_socket_of_another_kind_is_left_alone(path):
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as foreign:
        foreign.bind(str(path))
        assert refused(path) == f"{path}: another process listens there already"
        assert path.exists()


def test_a_directory_that_is_a_link_is_refused(path, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    path.parent.symlink_to("elsewhere")
    assert refused(path) == f"{path.parent}: not a directory: remove it"
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_directory_in_which_others_may_write_is_refused(path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    assert refused(path).startswith(f"{path.parent}: others may write in it")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_directory_of_somebody_else_is_refused(path):
    path.parent.mkdir(mode=0o700)
    os.chown(path.parent, 65534, 65534)
    assert "it has to belong to user 0" in refused(path)


def test_where_nothing_can_be_made_it_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "ask" / "socket"
    assert refused(path) == f"{path}: cannot listen: Not a directory"


def test_a_name_too_long_for_a_socket_is_said(tmp_path):
    path = tmp_path / ("x" * 120) / "socket"
    assert "path too long" in refused(path)
    with pytest.raises(PostkeelError, match="path too long"):
        ask_check(str(path))


def answering(path, answer):
    """A listener that answers something else; its thread."""
    path.parent.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()

    def serve():
        with listener, listener.accept()[0] as peer:
            peer.recv(100)
            peer.send(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("answer", [REFUSED, b"", TAKEN + b"\n", b"ok" * 5000])
def test_another_answer_is_an_error_that_says_what_to_do(path, answer):
    thread = answering(path, answer)
    with pytest.raises(PostkeelError, match=r"refuses to check: .*systemctl restart postkeel"):
        ask_check(str(path))
    thread.join()


def test_a_root_side_that_never_answers_is_not_waited_for(path):
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:
        mute.bind(str(path))
        mute.listen()
        began = time.monotonic()
        with pytest.raises(PostkeelError, match="timed out: see systemctl status postkeel"):
            ask_check(str(path), deadline=0.2)
        assert time.monotonic() - began < 5
