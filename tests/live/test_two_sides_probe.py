"""Probes by the running monitor, without rights of its own, through a real Postfix."""

from __future__ import annotations

import json
import signal

import pytest

from guarded import guarded, until
from private_postfix import PrivatePostfix
from probed_postfix import PARAMETERS, ProbedPostfix
from two_sides import Sides

pytestmark = [pytest.mark.live, pytest.mark.slow]

MORE = """mode = "audit"
[plugins.header_checker]
probe_every = 3600
probe_address = "nobody@mail.example.test"
probe_mailbox = "{mailbox}"
mailboxes = ["{mailbox}"]
"""
QUIET, SPEAKING = ({"smtpd_tls_received_header": word} for word in ("no", "yes"))


class Probed:
    """The private Postfix, and the mailbox that it delivers to."""

    def __init__(self, postfix: PrivatePostfix) -> None:
        self.postfix = postfix
        self.probed = ProbedPostfix(postfix)
        self.main_cf = postfix.main_cf.read_text()

    def is_right(self) -> bool:
        return self.postfix.main_cf.read_text() == self.main_cf


@pytest.fixture
def sides(start_postfix):
    one = Probed(start_postfix(parameters=PARAMETERS | QUIET, start=False))
    one.postfix.start()
    one.probed.put(b"")
    more = MORE.format(mailbox=one.probed.mailbox)
    with guarded(one.postfix, more=more, start=False, catch=True) as agent:
        sides = Sides(agent, one)
        sides.start("root", "monitor")
        yield sides
        sides.stop()


def last_probe(sides):
    answer = sides.one.run("headers", "--format", "json")
    assert answer.returncode in (0, 2), answer.stderr
    return json.loads(answer.stdout)


def test_a_silent_header_is_found_and_its_end_told(sides):
    said = sides.status("monitor")["followed"]
    assert any("header_checker probes smtp/inet on 127." in one for one in said), said
    found = sides.one.report_with("witnesses-disagree", 40)
    assert "smtpd_tls_received_header" in found
    assert "header:" in found
    assert "handshake: TLSv1.3" in found
    until(lambda: b"postkeel" not in sides.hardened.probed.mail(), 20)
    sides.hardened.probed.set(SPEAKING)
    sides.running["monitor"].send_signal(signal.SIGHUP)
    over = sides.one.report_with("witnesses-disagree is over", 40)
    assert "seen in a message" in over
    assert sides.hardened.probed.mail() == b""
    assert sides.errors("monitor") == ""
    assert last_probe(sides)["last_probes"][0]["targets"][0]["ok"] is True
