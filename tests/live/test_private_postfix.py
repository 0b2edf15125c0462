"""The test bed itself: a private Postfix serves, runs beside others, and leaves no trace."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import smtplib
import ssl
import subprocess
import sys

import pytest

import private_postfix as bed

pytestmark = pytest.mark.live


def addresses() -> str:
    return subprocess.run(["ip", "address"], check=True, capture_output=True, text=True).stdout


def trace_of(postfix) -> list[str]:
    """What is left of it: address, directory, processes."""
    left = [postfix.address] if postfix.address in addresses() else []
    left += [str(postfix.directory)] if postfix.directory.exists() else []
    for link in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(postfix.directory):
                left.append(str(link))
    return left


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_serves_starttls_and_goes_without_trace(start_postfix):
    postfix = start_postfix()
    for port in (25, 587):
        with smtplib.SMTP(postfix.address, port, timeout=5) as client:
            client.starttls(context=unverified())
            assert client.ehlo()[0] == 250
    with smtplib.SMTP_SSL(postfix.address, 465, timeout=5, context=unverified()) as client:
        assert client.noop()[0] == 250
    assert trace_of(postfix)
    postfix.stop()
    assert not postfix.is_running()
    assert "fatal" not in postfix.log()


def test_two_run_beside_each_other(start_postfix):
    one, other = start_postfix(certificates=()), start_postfix(certificates=())
    assert one.address != other.address
    assert one.is_running()
    assert other.is_running()
    one.stop()
    assert other.is_running()


def test_is_debians_default(start_postfix):
    postfix = start_postfix(start=False)
    assert postfix.postconf("-h", "smtpd_tls_security_level") == "may\n"
    assert "submission/inet/smtpd_tls_security_level = encrypt" in postfix.postconf("-P")
    assert "submissions/inet/smtpd_tls_wrappermode = yes" in postfix.postconf("-P")


def test_exception_leaves_no_trace(start_postfix):
    def fail() -> None:
        with bed.private_postfix(certificates=()) as postfix:
            seen.append(postfix)
            raise KeyError

    seen: list[bed.PrivatePostfix] = []
    with pytest.raises(KeyError):
        fail()
    assert trace_of(seen[0]) == []


SLEEPER = """
import time, private_postfix
with private_postfix.private_postfix(certificates=()) as postfix:
    print(postfix.directory, postfix.address, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_killed_leaves_no_trace(start_postfix, number):
    """SIGKILL gives no chance to tidy up: the next private Postfix does it then."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(bed.__file__).parent)},
    ) as sleeper:
        directory, address = sleeper.stdout.readline().split()
        sleeper.send_signal(number)
        assert sleeper.wait(10) != 0
    if number == signal.SIGKILL:
        start_postfix(start=False, certificates=())
    assert trace_of(bed.PrivatePostfix(pathlib.Path(directory), address)) == []


def test_start_that_fails_says_why_and_leaves_no_trace(start_postfix):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        start_postfix(certificates=(), master_cf="this is no service\n")
    assert "bad field count" in "".join(caught.value.__notes__)
    configuration = caught.value.cmd[2]
    assert configuration.endswith("/etc")
    assert not pathlib.Path(configuration).parent.exists()
