"""Samples of what a real Postfix delivers, taken while it does."""

import smtplib
import time

import pytest

from postkeel.core.mail import Mailboxes
from postkeel.headers.fields import trace_of
from postkeel.shell.loop import Loop
from postkeel.shell.sampling import Sampling
from probed_postfix import ADDRESS, PARAMETERS, ProbedPostfix, as_user

pytestmark = pytest.mark.live

MESSAGES = 20


@pytest.mark.parametrize("maildir", [False, True], ids=["mbox", "Maildir"])
def test_each_message_that_is_delivered_is_seen_once(start_postfix, maildir):
    postfix = start_postfix(parameters=PARAMETERS, start=False)
    mail = ProbedPostfix(postfix, maildir=maildir)
    postfix.start()
    errors, complaints, taken = [], [], []
    loop = Loop(errors.append)
    with as_user():
        sampling = Sampling(loop, Mailboxes(paths=(mail.name,)), taken.extend, complaints.append)
    with smtplib.SMTP(postfix.address, 25) as client:
        for number in range(MESSAGES):
            text = f"Subject: secret {number}\n\nsecret\nFrom here on\n\nFrom there\n" * 40
            client.sendmail("a@example.test", ADDRESS, text)
    ends = time.monotonic() + 60
    with as_user():
        while len(taken) < MESSAGES and time.monotonic() < ends:
            turn(loop, 0.05)
        turn(loop, 0.6)
    assert sampling.problems == ()
    sampling.close()
    loop.close()
    assert errors == []
    assert len(taken) == MESSAGES
    found = [trace_of(one) for one in taken]
    assert all(len(one.received) == 1 and not one.problems for one in found)
    assert len({one.received for one in found}) == MESSAGES
    assert b"secret" not in b"".join(taken)
    assert len(complaints) == 1  # of the mailbox that the first message has made


def turn(loop, seconds):
    loop.after("end of step", seconds, loop.stop)
    loop.run_until_stopped()
