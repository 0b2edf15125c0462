"""A write and a reload of a running Postfix, seen in its greeting, and how soon."""

import smtplib
import time

import pytest

from postkeel.shell.reload import reload
from postkeel.shell.staging import postconf_accepts
from postkeel.shell.writer import put_back, write

pytestmark = pytest.mark.live


def greeting(address):
    with smtplib.SMTP() as client:
        return client.connect(address, 25)[1].decode()


def greets(address, text):
    """Whether new connections are greeted so, soon; an old smtpd may answer one more."""
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        if greeting(address) == text:
            return True
    return False


def test_what_is_written_is_live_after_a_reload_and_gone_when_put_back(
    start_postfix, append, tmp_path
):
    postfix = start_postfix()
    directory = str(postfix.config_directory)
    before = greeting(postfix.address)
    check = postconf_accepts(directory, str(tmp_path))
    began = time.monotonic()
    written = write(directory, append("smtpd_banner = written by us\n"), check=check)
    reload(directory, 10)
    taken = time.monotonic() - began
    assert greets(postfix.address, "written by us")
    assert taken < 0.9  # a main.cf of this second would have cost one or two
    put_back(written)
    reload(directory, 10)
    assert greets(postfix.address, before)
