"""`postkeel headers` on what a real Postfix has delivered, into a Maildir and into an mbox."""

from __future__ import annotations

import json
import subprocess

import pytest

import private_postfix as bed
from delivered_mail import DOMAIN, HOST, delivered_mail
from far_side import CLIENT, clear_client
from guarded import POSTKEEL, until

pytestmark = pytest.mark.live

STRANGER = ("EHLO x", "XCLIENT NAME=[UNAVAILABLE] ADDR=203.0.113.7", f"EHLO {CLIENT}")
FORGED = f"""\
Received: from a.example (a.example [192.0.2.7]) by {HOST} (Postfix) with SMTP id F0;\r
\tMon, 1 Jan 2024 00:00:00 +0000\r
""".encode()
BODY = b"""\
Hello.\r
\r
From evil@example.org Mon Nov 23 10:00:00 2026\r
Received: from b.example by c.example with SMTP id F1; Mon, 1 Jan 2024 00:00:00 +0000\r
\r
From evil@example.org Mon Nov 23 10:00:00 2026\r
Subject: no message\r
\r
Bye.\r
."""


def read(postfix, *files):
    """The messages as the command tells them, and its exit status."""
    directory = ("-c", postfix.config_directory)
    done = subprocess.run(
        [POSTKEEL, "headers", *directory, "--format", "json", *map(str, files)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)["messages"], done.returncode


def one_with(messages, name):
    return next(one for one in messages if one["hops"][0]["id"] == name)


def test_this_postfix_is_believed_and_the_sender_is_not(mail_office):
    well = mail_office.send("told", *STRANGER, tls=(), header=FORGED)
    messages, status = read(mail_office.postfix, mail_office.box)
    hops = one_with(messages, well.queue_id)["hops"]
    assert [(one["verdict"], one["believed"]) for one in hops] == [
        ("encrypted", True),
        ("clear", False),
    ]
    assert [one["address"] for one in hops] == ["203.0.113.7", "192.0.2.7"]
    assert status == 0
    clear = mail_office.send("told", *STRANGER)
    messages, status = read(mail_office.postfix, mail_office.box)
    (hop,) = one_with(messages, clear.queue_id)["hops"]
    assert (hop["verdict"], hop["believed"], status) == ("clear", True, 2)


def test_an_mbox_in_which_a_sender_wants_to_forge_messages():
    """Postfix escapes what looks as if a message began there."""
    if reason := bed.why_not():
        pytest.skip(reason)
    with delivered_mail(virtual_mailbox_maps="static:box/mbox") as one:
        for _ in range(3):
            with clear_client(one.address, one.ports["told"]) as client:
                for line in (*STRANGER, "MAIL FROM:<>", f"RCPT TO:<to@{DOMAIN}>", "DATA"):
                    client.say(line)
                assert client.say(FORGED + b"\r\n" + BODY).startswith("2")
        mbox = one.box / "mbox"
        until(lambda: mbox.exists() and mbox.read_bytes().count(b"\nBye.\n") == 3, seconds=60)
        messages, status = read(one.postfix, mbox)
    assert [one["number"] for one in messages] == [1, 2, 3]
    assert [[hop["id"] for hop in one["hops"]][1:] for one in messages] == [["F0"]] * 3
    assert [one["problems"] for one in messages] == [[]] * 3
    assert [one["believed"] for one in messages] == [1] * 3
    assert status == 2  # they came in clear
