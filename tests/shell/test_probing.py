"""Rounds of probes in a process of their own, as the agent has them made."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import certificates
from postkeel.core.errors import PostkeelError
from postkeel.core.mail import LogLines, Probe, Probed, ProbeResult, Target
from postkeel.shell import probe
from postkeel.shell.loop import Loop
from postkeel.shell.probe import Probing, longest, probe_once, result_of, told
from postkeel.shell.probe_session import letter
from postkeel.shell.probe_token import new_token
from scripted_server import GREETING, OFFER, OK, TO_TLS, ScriptedServer

SECRET = b"x" * 32


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    made = certificates.make_certificate("ecdsa", host="mx.test", address="127.0.0.1")
    file = tmp_path_factory.mktemp("server") / "server.pem"
    file.write_text(made.key + made.certificate)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(file)
    return found


@pytest.fixture
def refusing(context):
    """A target that refuses the recipient."""
    server = ScriptedServer((*TO_TLS, OFFER, OK, b"550 5.7.1 no\r\n", OK), context, "127.0.0.1")
    yield Target(service="smtp/inet", host="127.0.0.1", port=server.port)
    server.close()


@pytest.fixture
def silent():
    """A target that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        yield Target(service="smtp/inet", host="127.0.0.1", port=port)


def wanted(*targets: Target, **more: object) -> Probe:
    return Probe(targets=targets, address="a@mx.test", mailbox="mail", **more)


class Round:
    """A loop that makes one round and stops when it has come to its end."""

    def __init__(self, probe: Probe, directory: str) -> None:
        self.errors: list[Exception] = []
        self.loop = Loop(self.errors.append)
        self.told: list[ProbeResult | PostkeelError] = []
        self.probing = Probing(self.loop, probe, directory, SECRET, self._told, self._told)

    def _told(self, what: ProbeResult | PostkeelError) -> None:
        self.told.append(what)
        self.probing.close()
        self.loop.stop()

    def run(self) -> ProbeResult | PostkeelError:
        self.probing.start()
        self.loop.after("too late", 60, self.loop.stop)
        self.loop.run_until_stopped()
        self.loop.cancel("too late")
        assert not self.errors
        assert len(self.told) == 1
        assert self.loop.due_times() == {}
        return self.told[0]


@pytest.fixture
def round_(tmp_path):
    with contextlib.ExitStack() as stack:

        def made(probe: Probe) -> Round:
            one = Round(probe, str(tmp_path))
            stack.callback(one.loop.close)
            stack.callback(one.probing.close)
            return one

        yield made


def test_the_result_comes_through_the_pipe(round_, refusing):
    one = round_(wanted(refusing))
    result = one.run()
    assert result.problem == ""
    (probed,) = result.probed
    assert (probed.stage, probed.code, probed.target) == ("RCPT", 550, refusing)
    assert probed.protocol == "TLSv1.3"


def test_it_is_the_same_result_on_the_other_side():
    target = Target(service="smtp/inet", host="::1", port="25")
    every = bytes(range(256))
    probed = Probed(
        target=target,
        stage="delivery",
        code=450,
        problem="\udcff\n",
        protocol="TLSv1.3",
        cipher="x",
        bits=256,
        queue_id="A",
        header=every,
        lines=every,
        log_problem="y",
        seconds=0.25,
    )
    result = ProbeResult(probed=(probed,), late=(1.5,), others=2, left=3, problem="z")
    import json

    there = json.loads(json.dumps(told(result)))
    assert result_of(there, wanted(target)) == result


def test_what_cannot_be_made_is_an_error(round_, refusing):
    failed = round_(replace(wanted(refusing), address="a@b\r\nDATA")).run()
    assert isinstance(failed, PostkeelError)
    assert "is no address for probes" in str(failed)


def test_a_mailbox_that_cannot_be_used_is_told_and_nothing_sent(round_, refusing, tmp_path):
    (tmp_path / "mail").mkdir()
    result = round_(wanted(refusing)).run()
    assert result.probed == ()
    assert "Is a directory" in result.problem
    assert "no mailbox is known" in round_(replace(wanted(refusing), mailbox="")).run().problem


def test_never_two_at_once(round_, silent):
    one = round_(wanted(silent, seconds=30))
    one.probing.start()
    process = one.probing._process
    one.probing.start()
    assert one.probing._process is process
    one.probing.close()
    one.probing.close()
    assert one.told == []


def test_closed_in_the_middle_its_process_is_gone(round_, silent):
    one = round_(wanted(silent, seconds=30))
    one.probing.start()
    number = one.probing._process._process
    os.kill(number, 0)
    one.probing.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert one.loop.due_times() == {}


def test_a_process_that_is_killed_is_told(round_, silent):
    one = round_(wanted(silent, seconds=30))
    one.probing.start()
    os.kill(one.probing._process._process, signal.SIGKILL)
    assert "was ended" in str(one.run())


def test_one_that_does_not_end_is_ended(round_, silent, monkeypatch):
    monkeypatch.setattr(probe, "longest", lambda _: 0.3)
    failed = round_(wanted(silent, seconds=30)).run()
    assert str(failed) == "the probe has not ended within 0.3 s"


def test_a_target_that_says_nothing_costs_the_others_a_second(silent, refusing, tmp_path):
    began = time.monotonic()
    result = probe_once(wanted(silent, refusing, seconds=2.0), str(tmp_path), SECRET)
    assert time.monotonic() - began < 10
    assert [one.stage for one in result.probed] == ["greeting", "RCPT"]
    assert result.probed[0].problem == "no answer in time"
    assert longest(wanted(silent, refusing, seconds=2.0)) > 4


def test_leftovers_are_removed_and_those_that_came_late_are_told(refusing, tmp_path):
    path = tmp_path / "mail"
    hour = letter("a@mx.test", new_token(SECRET, time.time() - 3600)).replace(b"\r\n", b"\n")
    soon = letter("a@mx.test", new_token(SECRET, time.time())).replace(b"\r\n", b"\n")
    path.write_bytes(b"From x\n%b\nFrom x\n%b\nFrom x\nSubject: y\n\n" % (hour, soon))
    result = probe_once(wanted(refusing), str(tmp_path), SECRET)
    assert [round(one / 100) for one in result.late] == [36]
    assert (result.others, result.left) == (1, 0)
    assert path.read_bytes() == b"From x\nSubject: y\n\n"


def test_a_mailbox_that_stays_locked_is_told(refusing, tmp_path, monkeypatch):
    from postkeel.shell import probe_round

    monkeypatch.setattr(probe_round, "LOCK_SECONDS", 0.3)
    (tmp_path / "mail").write_bytes(b"From x\n\n")
    (tmp_path / "mail.lock").touch()
    result = probe_once(wanted(refusing), str(tmp_path), SECRET)
    assert result.problem == "the mailbox is locked by another process for 0.3 s"
    assert result.probed == ()


def test_a_lock_that_is_let_go_is_waited_for(refusing, tmp_path):
    (tmp_path / "mail").write_bytes(b"From x\n\n")
    (tmp_path / "mail.lock").touch()
    code = f"import os, time; time.sleep(0.3); os.unlink({str(tmp_path / 'mail.lock')!r})"
    with subprocess.Popen([sys.executable, "-c", code]):
        result = probe_once(wanted(refusing), str(tmp_path), SECRET)
    assert (result.problem, result.probed[0].stage) == ("", "RCPT")


def test_a_log_that_cannot_be_read_does_not_keep_the_probe(refusing, tmp_path):
    log = LogLines(file=str(tmp_path))
    result = probe_once(wanted(refusing, log=log), str(tmp_path), SECRET)
    assert result.probed[0].stage == "RCPT"
    assert "no regular file" in result.probed[0].log_problem


def test_a_login_without_credentials_leaves_the_others(refusing, tmp_path):
    login = Target(service="submission/inet", host="127.0.0.1", port="1", login=True)
    result = probe_once(wanted(login, refusing, login), str(tmp_path), SECRET)
    assert [one.stage for one in result.probed] == ["AUTH", "RCPT", "AUTH"]
    assert "there are no credentials" in result.probed[0].problem


def test_without_targets_it_ends_at_once(tmp_path):
    assert probe_once(wanted(), str(tmp_path), SECRET) == ProbeResult()


def test_what_an_agent_loads_for_it_is_nothing_of_tls():
    """Its own process does that, and ends."""
    code = (
        "import sys, postkeel.shell.probe; print({'ssl', 'socket', 'hashlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_server_whose_offer_is_a_lie(context, tmp_path):
    script = (GREETING, OFFER, b"220 go\r\n", b"this is no TLS\r\n")
    server = ScriptedServer(script, context, "127.0.0.1")
    target = Target(service="smtp/inet", host="127.0.0.1", port=server.port)
    (probed,) = probe_once(wanted(target), str(tmp_path), SECRET).probed
    server.close()
    assert (probed.stage, probed.protocol) == ("TLS", "")
    assert probed.problem.startswith("TLS: ")


def test_a_defect_while_handing_in_is_told_at_once(silent, tmp_path, monkeypatch):
    from postkeel.shell import probe_round

    def broken(*_):
        raise LookupError("unknown encoding")

    monkeypatch.setattr(probe_round, "hand_in", broken)
    with pytest.raises(LookupError, match="unknown encoding"):
        probe_once(wanted(silent, seconds=30), str(tmp_path), SECRET)
