"""Reports over connections that fail in every way: all arrive, in order, with their numbers."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fake_collector import (
    OPENED,
    FakeCollector,
    deafness,
    octet_counted,
    relp,
    relp_answer,
    relp_frames,
    reset,
    silence,
)
from postkeel.database import PostkeelError
from postkeel_plugins.central import relp as relp_module
from postkeel_plugins.central import sender, streams, transfer
from postkeel_plugins.central.waker import EndedError, Waker
from sending import Sending, numbered, wait_for

TOP = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize(
    ("scheme", "serve"), [("tcp", octet_counted), ("relp", relp())], ids=["tcp", "relp"]
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Attempts follow each other quickly."""
    monkeypatch.setattr(sender, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(sender, "LONGEST_WAIT", 0.2)


def url(collector, scheme="tcp"):
    host = f"[{collector.address}]" if ":" in collector.address else collector.address
    return f"{scheme}://{host}:{collector.port}"


def unused_port():
    """Nobody listens there, and the kernel does not give it to a client that tries it."""
    with FakeCollector(octet_counted) as one:
        return one.port


def once_each(collector, number):
    """Whether all reports up to this one have arrived, the first copies in order."""
    return list(dict.fromkeys(collector.numbers())) == list(range(1, number + 1))


@BOTH
def test_reports_arrive_in_order(tmp_path, scheme, serve):
    with FakeCollector(serve) as one, Sending(tmp_path, url(one, scheme)) as sending:
        sending.deliver(700)
        wait_for(lambda: len(one.messages) >= 700)
    assert one.numbers() == list(range(1, 701))
    assert all(b" mx1.example.org postkeel " in each for each in one.messages)


@BOTH
def test_ipv6(tmp_path, scheme, serve):
    with (
        FakeCollector(serve, address="::1") as one,
        Sending(tmp_path, url(one, scheme)) as sending,
    ):
        assert "[::1]" in sending.options["collectors"][0]
        sending.deliver(3)
        wait_for(lambda: once_each(one, 3))


@BOTH
def test_a_collector_that_is_away_gets_everything_when_it_is_back(tmp_path, scheme, serve):
    one = FakeCollector(serve, port=unused_port())
    with Sending(tmp_path, url(one, scheme)) as sending:
        sending.deliver(300)
        sending.says("300 reports wait", f"{url(one, scheme)}: cannot connect", "refused")
        with one:
            wait_for(lambda: once_each(one, 300))
            sending.deliver()
            wait_for(lambda: once_each(one, 301))
            wait_for(lambda: "refused" not in sending.said())


@BOTH
def test_what_was_in_flight_when_a_collector_died_is_sent_again(tmp_path, scheme, serve):
    with FakeCollector(serve) as one, Sending(tmp_path, url(one, scheme)) as sending:
        for round_ in range(1, 6):
            sending.deliver(150)
            wait_for(lambda most=round_ * 150 - 140: len(set(one.numbers())) >= most)
            one.stop()
            one.start()
        wait_for(lambda: once_each(one, 750))


def test_a_report_that_was_written_stays_until_the_window_is_over(tmp_path):
    with (
        FakeCollector(octet_counted) as one,
        Sending(tmp_path, url(one), window_seconds=1) as sending,
    ):
        sending.deliver(5)
        began = time.monotonic()
        wait_for(lambda: once_each(one, 5))
        assert sending.waiting() == 5
        wait_for(lambda: sending.waiting() == 0)
        assert time.monotonic() - began > 0.9


def test_after_the_window_nothing_is_sent_again(tmp_path):
    with (
        FakeCollector(octet_counted) as one,
        Sending(tmp_path, url(one), window_seconds=1) as sending,
    ):
        sending.deliver(5)
        wait_for(lambda: sending.delivered == 5 and once_each(one, 5) and sending.waiting() == 0)
        one.stop()
        one.start()
        sending.deliver()
        wait_for(lambda: 6 in one.numbers())
    assert one.numbers() == [1, 2, 3, 4, 5, 6]


def test_a_window_that_takes_half_of_the_spool_lets_the_oldest_go(tmp_path):
    with (
        FakeCollector(octet_counted) as one,
        Sending(tmp_path, url(one), spool_reports=100) as sending,
    ):
        for number in range(1, 151):
            sending.deliver()
            wait_for(lambda most=number: once_each(one, most))
        wait_for(lambda: 40 < sending.waiting() <= 50)
        assert "dropped" not in sending.said()


def test_the_end_of_an_idle_connection_is_seen_at_once(tmp_path):
    with FakeCollector(octet_counted) as one, Sending(tmp_path, url(one)) as sending:
        sending.deliver()
        wait_for(lambda: once_each(one, 1))
        one.stop()
        sending.says("refused")
        one.start()
        wait_for(lambda: one.numbers() == [1, 1])  # by itself, without a new report


@BOTH
def test_the_next_collector_takes_over_and_the_first_is_tried_first_again(tmp_path, scheme, serve):
    with FakeCollector(serve) as first, FakeCollector(serve) as second:
        with Sending(tmp_path, url(first, scheme), url(second, scheme)) as sending:
            sending.deliver(3)
            wait_for(lambda: once_each(first, 3))
            first.stop()
            sending.deliver(3)
            wait_for(lambda: set(second.numbers()) >= {4, 5, 6})
            sending.says(f"{url(first, scheme)}: ")
            first.start()
            second.stop()
            sending.deliver(3)
            wait_for(lambda: set(first.numbers()) >= {7, 8, 9})
        assert set(first.numbers()) | set(second.numbers()) == set(range(1, 10))


def test_the_first_collector_is_returned_to_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "RETURN_SECONDS", 0.5)
    port = unused_port()
    with FakeCollector(relp()) as second:
        first_url = f"relp://127.0.0.1:{port}"
        with Sending(tmp_path, first_url, url(second, "relp")) as sending:
            sending.deliver(5)
            wait_for(lambda: once_each(second, 5))
            with FakeCollector(relp(), port=port) as first:
                time.sleep(0.6)
                sending.deliver(5)
                wait_for(lambda: len(first.messages) >= 5)
                assert first.numbers() == list(range(6, 11))
                wait_for(lambda: sending.waiting() == 0)
    assert once_each(second, 5)


def test_a_name_that_cannot_be_resolved(tmp_path):
    with Sending(tmp_path, "tcp://log1.postkeel.invalid:514") as sending:
        sending.deliver()
        sending.says("1 report waits", "cannot find the address of log1.postkeel.invalid")


@contextlib.contextmanager
def full_listener():
    """A port that answers no further connection: its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_a_collector_that_never_answers_a_connection(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "CONNECT_SECONDS", 0.2)
    with (
        full_listener() as place,
        FakeCollector(octet_counted) as other,
        Sending(tmp_path, place, url(other)) as sending,
    ):
        sending.deliver()
        sending.says(f"{place}: cannot connect", "no answer within 0.2 s")
        wait_for(lambda: once_each(other, 1))


def test_delivering_never_waits_for_a_collector(tmp_path):
    with full_listener() as place, FakeCollector(deafness) as deaf:
        urls = (place, url(deaf), "tcp://log1.postkeel.invalid:514")
        with Sending(tmp_path, *urls) as sending:
            sending.deliver()  # imports, and makes the file
            began = time.monotonic()
            sending.deliver(50)
            assert (time.monotonic() - began) / 50 < 0.1
            assert sending.waiting() == 51


def test_a_collector_that_takes_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "STALL_SECONDS", 0.5)
    with (
        FakeCollector(deafness, room=4096) as deaf,
        FakeCollector(octet_counted) as other,
        Sending(tmp_path, url(deaf), url(other), spool_reports=100_000) as sending,
    ):
        octets = 0
        while not other.messages and octets < 64 * 1024 * 1024:
            sending.deliver(200)  # until the buffers of both kernels are full
            octets += 200 * 300
        sending.says(f"{url(deaf)}: it took nothing for 0.5 s")
        wait_for(lambda: once_each(other, sending.delivered))


def test_a_collector_that_hangs_without_an_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(relp_module, "ANSWER_SECONDS", 0.4)
    with (
        FakeCollector(silence) as mute,
        FakeCollector(relp()) as other,
        Sending(tmp_path, url(mute, "relp"), url(other, "relp")) as sending,
    ):
        sending.deliver(10)
        sending.says("it did not answer for 0.4 s")
        wait_for(lambda: once_each(other, 10))


def cuts_after(octets, scheme):
    """Reads so many octets, and resets the connection in the middle of a frame."""

    def serve(_, connection):
        if scheme == "relp":
            number, _, _ = next(relp_frames(connection))
            relp_answer(connection, number, OPENED)
        left = octets
        while left > 0 and (read := connection.recv(left)):
            left -= len(read)
        reset(connection)

    return serve


@pytest.mark.parametrize("scheme", ["tcp", "relp"])
def test_a_connection_that_is_cut_in_the_middle_of_a_frame(tmp_path, scheme):
    good = relp() if scheme == "relp" else octet_counted
    with (
        FakeCollector(cuts_after(150, scheme)) as bad,
        FakeCollector(good) as other,
        Sending(tmp_path, url(bad, scheme), url(other, scheme)) as sending,
    ):
        sending.deliver(20)
        wait_for(lambda: once_each(other, 20))
        assert f"{url(bad, scheme)}: " in sending.said()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"220 mx1.example.org ESMTP Postfix\r\n", "it does not speak RELP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak RELP"),
        (b"1 rsp 16777216 200 OK", "a RELP frame of 16777216 octets"),
        (b"1 rsp 999999999 200 OK", "a RELP frame of 999999999 octets"),
        (b"1 rsp 3 200 OK\n", "it does not speak RELP"),
        (b"7 rsp 6 200 OK\n", 'what was not asked: "rsp 7"'),
        (b"1 syslog 6 200 OK\n", 'what was not asked: "syslog 1"'),
        (b"0 serverclose 0\n", "it ended the session"),
        (b"1 rsp 14 500 not welcome\n", "it does not speak RELP"),
        (b"1 rsp 15 500 unwelcome!!\n", 'it takes no reports: "500 unwelcome!!"'),
        (b"1 rsp 22 200 OK\ncommands=starttls\n", "it does not speak RELP"),
        (b"1 rsp 24 200 OK\ncommands=starttls\n", "it takes no reports"),
    ],
)
def test_a_collector_that_talks_nonsense(tmp_path, said, complaint):
    def serve(_, connection):
        connection.sendall(said)
        silence(_, connection)

    with (
        FakeCollector(serve) as bad,
        FakeCollector(relp()) as other,
        Sending(tmp_path, url(bad, "relp"), url(other, "relp")) as sending,
    ):
        sending.deliver(3)
        sending.says(complaint)
        wait_for(lambda: once_each(other, 3))


def test_a_mail_server_on_the_port_of_syslog(tmp_path):
    def greets(_, connection):
        connection.sendall(b"220 mx1.example.org ESMTP Postfix\r\n")
        silence(_, connection)

    with FakeCollector(greets) as bad, Sending(tmp_path, url(bad)) as sending:
        sending.deliver()
        sending.says('no syslog collector does: "220 mx1.example.org ESMTP')
        assert sending.waiting() == 1


def test_answers_out_of_order(tmp_path):
    held = []

    def serve(collector, connection):
        for number, command, data in relp_frames(connection):
            if command == b"open":
                relp_answer(connection, number, OPENED)
                continue
            collector.messages.append(data)
            held.append(number)
            if len(held) == 10:
                for one in reversed(held):
                    connection.sendall(b"%d rsp 6 200 OK\n" % one)

    with FakeCollector(serve) as one, Sending(tmp_path, url(one, "relp")) as sending:
        sending.deliver(10)
        wait_for(lambda: sending.waiting() == 0)
    assert one.numbers() == list(range(1, 11))


def test_a_report_that_is_refused_is_offered_again_and_holds_up_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(relp_module, "FIRST_WAIT", 0.1)
    refusals = []

    def answer(collector, data):
        if b' seq="2"' in data and len(refusals) < 4:
            refusals.append(time.monotonic())
            return b"500 no room for this one"
        return b"200 OK"

    with FakeCollector(relp(answer)) as one, Sending(tmp_path, url(one, "relp")) as sending:
        sending.deliver(5)
        wait_for(lambda: set(one.numbers()) >= {1, 3, 4, 5})
        sending.says("refused report 2 3 times: 500 no room for this one", "1 report waits")
        wait_for(lambda: sorted(one.numbers()) == [1, 2, 3, 4, 5])
        wait_for(lambda: sending.said() == "")
    assert refusals[1] - refusals[0] > 0.09
    assert refusals[2] - refusals[1] > 0.19


def test_what_is_wrong_is_noted_once(tmp_path):
    with Sending(tmp_path, f"tcp://127.0.0.1:{unused_port()}") as sending:
        sending.deliver()
        sending.says("refused")
        spool, noted = sending.reporter._work.spool, []
        spool.note = lambda *given: noted.append(given)
        attempts = sending.reporter._work.sender._waker
        rest, rests = attempts.rest, []
        attempts.rest = lambda seconds: (rests.append(seconds), rest(seconds))
        wait_for(lambda: len(rests) >= 3)
        assert noted == []


def test_a_connection_that_ends_at_once_is_not_sought_without_a_pause(tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "LONGEST_WAIT", 60.0)
    with FakeCollector(lambda *_: None) as one, Sending(tmp_path, url(one)) as sending:
        sending.deliver()
        sending.says("it closed the connection")
        time.sleep(1)
        sending.deliver(50)  # a new report is no reason to try sooner
        assert len(one.connections) <= 12


def test_reports_go_on_after_a_kill(tmp_path):
    program = (
        "import sys; sys.path[:0] = sys.argv[1:4]\n"
        "from pathlib import Path\n"
        "from sending import Sending\n"
        "sending = Sending(Path(sys.argv[4]), sys.argv[5])\n"
        "sending.delivered = int(sys.argv[6])\n"
        "while True:\n"
        "    sending.deliver()\n"
        "    print(sending.delivered, flush=True)\n"
    )
    paths = [str(TOP / one) for one in ("agent", "plugins", "tests/bed")]
    with FakeCollector(relp()) as one:
        delivered = 0
        for _ in range(3):
            words = [*paths, str(tmp_path), url(one, "relp"), str(delivered)]
            running = subprocess.Popen(
                [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True
            )
            with running, running.stdout:
                wait_for(lambda most=delivered + 20: len(set(one.numbers())) >= most)
                os.kill(running.pid, signal.SIGKILL)
                delivered = [int(line) for line in running.stdout if line.endswith("\n")][-1]
        with Sending(tmp_path, url(one, "relp")) as sending:
            sending.delivered = delivered + 1  # perhaps taken, and not told any more
            sending.deliver()
            wait_for(lambda: sending.waiting() == 0)
        causes = {int(re.search(rb'cause="report (\d+)"', each)[1]) for each in one.messages}
    assert causes >= set(range(1, delivered + 1))
    assert set(one.numbers()) == set(range(1, max(one.numbers()) + 1))


def test_a_spool_that_is_begun_anew_begins_a_new_link(tmp_path):
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one, "relp")) as sending:
        sending.deliver(30)
        wait_for(lambda: once_each(one, 30) and sending.waiting() == 0)
        file = Path(sending.place.state) / "central.sqlite3"
        for each in file.parent.glob("central.sqlite3*"):
            each.write_bytes(b"no database" * 1000)
        sending.reporter._work.spool.close()  # as after any failure: it is opened anew
        sending.deliver(3)
        wait_for(lambda: len(one.messages) >= 34)  # the numbers begin anew, with a word on it
    assert one.numbers()[30:34] == [1, 2, 3, 4]
    assert b"damaged" in one.messages[30]


def test_a_spool_that_fails_is_left_alone_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "SPOOL_SECONDS", 0.2)
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one, "relp")) as sending:
        sending.deliver(2)
        wait_for(lambda: sending.waiting() == 0)
        spool = sending.reporter._work.spool
        settle, failures, settled = spool.settle, [], []

        def failing(*given):
            if len(failures) < 2:
                failures.append(given)
                raise PostkeelError("disk full")
            settled.extend(given[0])
            settle(*given)

        monkeypatch.setattr(spool, "settle", failing)
        sending.deliver(2)
        wait_for(lambda: sending.waiting() == 0)
        assert len(failures) == 2
        assert settled == [3, 4]
    assert one.numbers() == [1, 2, 3, 4]  # what is owed is not sent again


def test_a_thread_that_died_is_begun_anew(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one, "relp")) as sending:
        sending.deliver()
        wait_for(lambda: once_each(one, 1))
        work = sending.reporter._work
        monkeypatch.setattr(work.spool, "unwind", lambda now: 1 / 0)
        sending.deliver()
        wait_for(lambda: not work.sender.is_running())
        sending.deliver()
        wait_for(lambda: once_each(one, 3))
    assert isinstance(told[0].exc_value, ZeroDivisionError)


def test_repeats_are_told_when_their_window_ends(tmp_path):
    with (
        FakeCollector(relp()) as one,
        Sending(tmp_path, url(one, "relp"), fold_seconds=1) as sending,
    ):
        for _ in range(3):
            sending.delivered = 0
            sending.deliver()
            sending.reporter.keel_deliver(
                later(numbered(1), len(one.messages)), sending.options, sending.place
            )
        wait_for(lambda: any(b' repeated="' in each for each in one.messages))


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_jumps(tmp_path, hours):
    """Everything is sent on, at once, and what was folded is told."""
    ahead = timedelta()
    with (
        FakeCollector(relp()) as one,
        Sending(
            tmp_path, url(one, "relp"), fold_seconds=60, clock=lambda: datetime.now(UTC) + ahead
        ) as sending,
    ):
        sending.deliver()
        for seconds in range(3):
            sending.reporter.keel_deliver(
                later(numbered(1), seconds), sending.options, sending.place
            )
        wait_for(lambda: once_each(one, 1))
        ahead = timedelta(hours=hours)
        sending.deliver(2)
        wait_for(lambda: once_each(one, 4))
        assert sum(b' repeated="3"' in each for each in one.messages) == 1


def later(report, seconds):
    """The same thing, seen again: neither its time nor its duration makes it another one."""
    time_ = report.event.time + timedelta(seconds=60 + seconds)
    return replace(report, event=replace(report.event, time=time_), seconds=0.2)


def test_idle_means_asleep(tmp_path):
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one, "relp")) as sending:
        sending.deliver()
        wait_for(lambda: sending.waiting() == 0)
        thread = sending.reporter._work.sender._thread
        task = Path(f"/proc/self/task/{thread.native_id}/status")

        def slept_for_a_second():
            before = switches(task)
            time.sleep(1)
            return switches(task) == before

        wait_for(slept_for_a_second)


def switches(task):
    found = re.findall(r"ctxt_switches:\s*(\d+)", task.read_text())
    return sum(int(one) for one in found)


def test_a_waker_keeps_a_ring_for_later():
    waker = Waker()
    reading, writing = os.pipe()
    try:
        waker.ring()
        waker.ring()
        assert not waker.ready(reading, 1, 0.01)
        waker.sleep(reading, 1, 20)  # the ring that came while it was not heeded
        os.write(writing, b"x")
        assert waker.ready(reading, 1, 20)
        threading.Timer(0.05, waker.end).start()
        with pytest.raises(EndedError):
            waker.rest(20)
    finally:
        os.close(reading)
        os.close(writing)
