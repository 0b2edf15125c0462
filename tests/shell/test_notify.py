"""sd_notify over a real socket."""

import os
import socket
import subprocess
import sys

import pytest

from postkeel.shell.notify import Notifier


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """What systemd is to a service: a datagram socket named in the environment."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(0.2)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listening


def received(listening):
    messages = []
    try:
        while True:
            messages.append(listening.recv(4096).decode())
    except TimeoutError:
        return messages


def test_says_what_happens_to_the_service(systemd):
    notifier = Notifier(os.environ)
    assert notifier.ready("guards /etc/postfix")
    assert notifier.status("x" * 300 + "\nREADY=0")
    assert notifier.reloading()
    assert notifier.stopping()
    ready, status, reloading, stopping = received(systemd)
    assert ready == "READY=1\nSTATUS=guards /etc/postfix"
    assert status.startswith("STATUS=xxx")
    assert "\n" not in status
    assert len(status) < 210
    state, stamp = reloading.split("\n")
    assert state == "RELOADING=1"
    assert int(stamp.removeprefix("MONOTONIC_USEC=")) > 0
    assert stopping == "STOPPING=1"


def test_feeds_the_watchdog_in_half_of_its_time(systemd):
    now = [0.0]
    environment = os.environ | {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environment, clock=lambda: now[0])
    assert notifier.alive_every == 30.0
    fed = []
    for now[0] in (0, 1, 29.9, 31, 59, 62):
        if notifier.alive():
            fed.append(now[0])
    assert fed == [0, 29.9, 59]
    assert received(systemd) == ["WATCHDOG=1"] * 3


NO_WATCHDOG = {
    "none": {},
    "another process's": {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"},
    "no number": {"WATCHDOG_USEC": "soon"},
    "off": {"WATCHDOG_USEC": "0"},
}


@pytest.mark.parametrize("environment", NO_WATCHDOG.values(), ids=NO_WATCHDOG)
def test_feeds_no_watchdog_that_is_not_there(systemd, environment):
    notifier = Notifier({"NOTIFY_SOCKET": os.environ["NOTIFY_SOCKET"]} | environment)
    assert notifier.alive_every is None
    assert not notifier.alive()
    assert received(systemd) == []


def test_a_socket_that_went_away_stops_nothing(systemd):
    os.unlink(os.environ["NOTIFY_SOCKET"])
    assert not Notifier(os.environ).ready("alone")


def test_imports_nothing_when_nobody_listens():
    program = (
        "import sys; from postkeel.shell.notify import Notifier; n = Notifier({});"
        "assert not n.ready('x') and not n.alive(); print('systemd' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
