"""The event loop, with real descriptors, signals and threads."""

import os
import signal
import threading
import time

import pytest

from postkeel.shell.loop import Loop


@pytest.fixture
def errors():
    return []


@pytest.fixture
def loop(errors):
    loop = Loop(errors.append)
    yield loop
    loop.close()


def run(loop, seconds=2.0):
    """Until a callback stops it; the deadline fails the test instead of hanging it."""
    loop.after("deadline of the test", seconds, lambda: pytest.fail("nothing stopped the loop"))
    started = time.monotonic()
    loop.run_until_stopped()
    return time.monotonic() - started


def test_reads_a_descriptor_until_it_is_unregistered(loop):
    reader, writer = os.pipe()
    seen = []

    def read():
        seen.append(os.read(reader, 1))
        if len(seen) == 2:
            loop.unregister(reader)
            loop.after("end", 0.02, loop.stop)

    loop.register(reader, read)
    os.write(writer, b"abc")
    run(loop)
    os.close(reader)
    os.close(writer)
    assert seen == [b"a", b"b"]


def test_a_thread_wakes_a_sleeping_loop_at_once(loop):
    woken = []

    def later():
        time.sleep(0.05)
        loop.wake(lambda: woken.append(time.monotonic()))
        loop.wake(loop.stop)

    thread = threading.Thread(target=later)
    started = time.monotonic()
    thread.start()
    run(loop)
    thread.join()
    assert 0.05 <= woken[0] - started < 0.5


def test_wakes_of_many_threads_are_all_answered(loop):
    count = []
    threads = [
        threading.Thread(target=lambda: [loop.wake(lambda: count.append(1)) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    loop.repeat("look", lambda: len(count) == 2000 and loop.stop(), every=0.01)
    run(loop, 10)
    for thread in threads:
        thread.join()
    assert len(count) == 2000


def test_a_call_that_wakes_again_does_not_starve_the_timers(loop):
    def again():
        loop.wake(again)

    loop.wake(again)
    loop.after("end", 0.05, loop.stop)
    assert run(loop) < 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_in_the_loop_and_its_handler_given_back(errors, number):
    before = signal.getsignal(number)
    loop = Loop(errors.append)
    loop.on_signal(number, loop.stop)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    timer.start()
    took = run(loop)
    timer.join()
    loop.close()
    assert 0.04 < took < 1
    assert signal.getsignal(number) is before


def test_signals_in_one_moment_are_one_call_each(loop):
    seen = []
    loop.on_signal(signal.SIGHUP, lambda: seen.append("hangup"))
    loop.on_signal(signal.SIGTERM, lambda: seen.append("terminate"))
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
    loop.after("end", 0.05, loop.stop)
    run(loop)
    assert sorted(seen) == ["hangup", "terminate"]


def test_timers_repeat_and_single_calls_do_not(loop):
    seen = []
    loop.repeat("tick", lambda: seen.append("tick"), every=0.03)
    loop.after("once", 0.01, lambda: seen.append("once"))
    loop.after("replaced", 0.01, lambda: seen.append("never"))
    loop.after("replaced", 0.14, loop.stop)
    loop.after("cancelled", 0.01, lambda: seen.append("never"))
    loop.cancel("cancelled")
    assert set(loop.due_times()) == {"tick", "once", "replaced"}
    run(loop)
    assert seen[0] == "once"
    assert 2 <= seen.count("tick") <= 4
    assert len(seen) == seen.count("tick") + 1


def test_an_error_is_handed_on_and_the_loop_goes_on(loop, errors):
    def break_down():
        raise KeyError("source")

    loop.wake(break_down)
    loop.after("end", 0.02, loop.stop)
    run(loop)
    assert [repr(one) for one in errors] == ["KeyError('source')"]


def test_idle_is_asleep(errors):
    turns = []
    loop = Loop(errors.append, after_each=lambda: turns.append(1))
    loop.repeat("far away", lambda: None, every=3600)
    loop.after("end", 0.3, loop.stop)
    cpu = time.process_time()
    loop.run_until_stopped()
    loop.close()
    assert len(turns) == 1
    assert time.process_time() - cpu < 0.05


def test_a_clock_that_stood_still_gives_one_event(errors):
    now = [100.0]
    seen = []
    loop = Loop(errors.append, clock=lambda: now[0])

    def jump():
        now[0] += 1_000_000

    loop.repeat("tick", lambda: (seen.append(now[0]), loop.wake(loop.stop)), every=60)
    loop.wake(jump)
    loop.run_until_stopped()
    loop.close()
    assert seen == [1_000_100.0]


@pytest.mark.parametrize("what", ["reader", "once", "repeating"])
def test_what_one_callback_takes_away_is_not_called_after_it(loop, what):
    reader, writer = os.pipe()
    called = []

    def late():
        called.append(what)

    def take_away():
        if what == "reader":
            loop.unregister(reader)
        loop.cancel("late")
        loop.after("the end", 0.05, loop.stop)

    def block():
        # So that all of it is due in the next turn, in which this is called first.
        os.write(writer, b"x")
        time.sleep(0.03)
        loop.wake(take_away)

    loop.register(reader, late if what == "reader" else lambda: os.read(reader, 1))
    if what == "once":
        loop.after("late", 0.02, late)
    if what == "repeating":
        loop.repeat("late", late, every=0.02)
    loop.wake(block)
    run(loop)
    assert called == []
    os.close(reader)
    os.close(writer)


def test_a_timer_set_anew_by_another_callback_waits_its_time(loop):
    called = []
    loop.after("first", 0.01, lambda: loop.after("second", 0.05, lambda: called.append("new")))
    loop.after("second", 0.01, lambda: called.append("old"))
    loop.after("the end", 0.1, loop.stop)
    run(loop)
    assert called == ["new"]
