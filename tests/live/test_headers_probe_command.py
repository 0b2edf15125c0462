"""`postkeel headers --probe` on a real Postfix: three witnesses, or why there are none."""

from __future__ import annotations

import json
import os

import pytest

import private_postfix as bed
from guarded import Guarded, guarded
from probed_postfix import ADDRESS, PARAMETERS, USER, ProbedPostfix

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def probed():
    if reason := bed.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with bed.private_postfix(parameters=PARAMETERS, start=False) as postfix:
        one = ProbedPostfix(postfix)
        postfix.start()
        yield one


@pytest.fixture
def host(probed, tmp_path):
    """A function that gives a postkeel whose monitor is `nobody`; `more` are options."""
    one = None

    def configured(more: str = "") -> Guarded:
        nonlocal one
        one = guarded(
            probed.postfix,
            more=f"[plugins.header_checker]\n{more}",
            start=False,
        )
        made = one.__enter__()
        state = made.directory / "state"
        for directory in (state, state / "monitor"):
            directory.mkdir(mode=0o755)
        os.chown(state / "monitor", USER.pw_uid, USER.pw_gid)
        made.directory.chmod(0o755)
        return made

    yield configured
    probed.set({})
    if one is not None:
        one.__exit__(None, None, None)


OPTIONS = f'probe_address = "{ADDRESS}"\n'


def of(probed) -> str:
    return f'{OPTIONS}probe_mailbox = "{probed.mailbox}"\n'


def test_the_witnesses_side_by_side(host, probed):
    done = host(of(probed)).run("headers", "--probe")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    agreed = ["TLSv1.3", "with", "TLS_AES_256_GCM_SHA384", "(256", "bits)"]
    assert lines[2] == ["handshake", *agreed]
    assert lines[3] == ["header", *agreed]
    assert lines[4][:-1] == ["log", *agreed[:-1], "bits),"]
    assert lines[4][-1].startswith("postfix/smtpd[")
    assert "all witnesses agree" in done.stdout
    assert probed.mail() == b""


def test_as_a_document(host, probed):
    done = host(of(probed)).run("headers", "--probe", "--format", "json")
    (one,) = json.loads(done.stdout)["probes"]
    (target,) = one["targets"]
    assert (one["address"], one["problem"], one["findings"]) == (ADDRESS, "", [])
    assert (target["service"], target["stage"]) == ("smtp/inet", "")
    witnesses = [target[name] for name in ("handshake", "header", "log")]
    assert {each["protocol"] for each in witnesses} == {"TLSv1.3"}
    assert len({each["cipher"] for each in witnesses}) == 1
    assert target["header"]["queue_id"] == target["queue_id"]


def test_a_witness_that_keeps_silent_is_found(host, probed):
    probed.set({"smtpd_tls_received_header": "no"})
    done = host(of(probed)).run("headers", "--probe")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "smtpd_tls_received_header" in done.stdout
    assert "all witnesses agree" not in done.stdout


def test_a_refusal_is_shown_with_its_stage(host, probed):
    refused = "check_client_access static:{ 450 4.2.0 later }"
    probed.set({"smtpd_client_restrictions": refused, "mynetworks": "127.0.0.0/32"})
    done = host(of(probed)).run("headers", "--probe")
    assert done.returncode == 2
    assert "not past RCPT" in done.stdout
    assert "450 4.2.0" in done.stdout


def test_without_a_recipient_it_is_said_what_to_set(host, probed):
    probed.set({"mailbox_command": "/usr/bin/procmail"})
    done = host().run("headers", "--probe")
    assert done.returncode == 1
    assert "no probe can be made" in done.stderr
    assert "probe_mailbox" in done.stderr


def test_the_mailbox_of_another_user_is_told(host, probed):
    probed.put(b"From x\n\n")
    os.chown(probed.mailbox, 0, 0)
    try:
        done = host(of(probed)).run("headers", "--probe")
    finally:
        probed.mailbox.unlink()
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Permission denied" in done.stdout or "belongs to user 0" in done.stdout
