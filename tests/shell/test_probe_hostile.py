"""Probes in bad company: servers that play tricks, and mailboxes that are none."""

import base64
import contextlib
import fcntl
import os
import subprocess
import sys
import time
import tracemalloc

import pytest

from hostile_smtp import HOST, RECEIVED, STAGES, HostileSmtp, add_to, appending, as_delivered
from postkeel.core.mail import Probe, Target
from postkeel.shell import probe_round
from postkeel.shell.probe import probe_once
from postkeel.shell.probe_token import FIELD, new_token
from postkeel.shell.proof import SILENCE

SECRET = b"x" * 32
ADDRESS = "probe@mx.example.test"
FOREIGN = (
    b"From somebody@example.test  Mon Nov 23 10:00:00 2026\n"
    b"Subject: not yours\n\nKeep me.\n\n>From here on as well.\n\n"
)
LONG = 20
"""Seconds: many times what any of this may take on a machine that is busy."""


@pytest.fixture
def mailbox(tmp_path):
    (tmp_path / "mail").mkdir()
    return tmp_path / "mail/probe"


@pytest.fixture
def serve(mailbox):
    """A function that starts a server: what it does at which stage, and with a message."""
    with contextlib.ExitStack() as stack:

        def serve(acts=None, deliver=None):
            server = HostileSmtp(acts, deliver or appending(mailbox))
            stack.callback(server.close)
            return server

        yield serve


def probe(mailbox, *servers, seconds=LONG, login=False, credentials=""):
    targets = tuple(
        Target(service=f"smtp{number}", host=HOST, port=one.port, login=login)
        for number, one in enumerate(servers)
    )
    wanted = Probe(
        targets=targets,
        address=ADDRESS,
        mailbox=str(mailbox),
        seconds=seconds,
        credentials=str(credentials),
    )
    began = time.monotonic()
    result = probe_once(wanted, str(mailbox.parent), SECRET)
    assert time.monotonic() - began < seconds + LONG
    return result


def one_of(result):
    assert not result.problem, result
    (one,) = result.probed
    return one


def says_and_waits(octets):
    def act(peer):
        peer.say(octets)
        peer.hear()

    return act


def closes(peer):
    peer.connection.close()


def silent(peer):
    while peer.connection.recv(65536):
        pass


def drips(peer):
    while True:
        peer.say(b"2")
        time.sleep(0.05)


def floods(octets):
    def act(peer):
        while True:
            peer.say(octets * 100)

    return act


def of(stage):
    """The stage that a probe says it has come to."""
    return {"EHLO in TLS": "EHLO", "message": "DATA"}.get(stage, stage)


IN_WORDS = tuple(one for one in STAGES if one != "TLS")


def test_the_server_is_an_ordinary_one_until_it_is_not(serve, mailbox):
    server = serve()
    one = one_of(probe(mailbox, server))
    assert (one.stage, one.problem, one.code, one.queue_id) == ("", "", 0, "4F1282AC977")
    assert one.protocol == "TLSv1.3"
    assert RECEIVED in one.header
    assert mailbox.read_bytes() == b""
    assert {line for secured, line in server.heard if not secured} == {
        b"EHLO [127.0.0.1]",
        b"STARTTLS",
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_closes(serve, mailbox, stage):
    one = one_of(probe(mailbox, serve({stage: closes}, deliver=len)))
    assert one.stage == of(stage)
    assert "closed" in one.problem or "reset" in one.problem or "TLS" in one.problem
    assert one.code == 0


@pytest.mark.parametrize("stage", IN_WORDS)
def test_a_server_that_goes_away_in_words(serve, mailbox, stage):
    act = says_and_waits(b"421-4.3.2 Bye \x1b[2J\xff\r\n421 4.3.2 Not now\x07\r\n")
    one = one_of(probe(mailbox, serve({stage: act}, deliver=len)))
    assert (one.stage, one.code) == (of(stage), 421)
    assert "421 4.3.2 Not now" in one.problem
    assert one.problem.isprintable()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "octets", [b"250-more of it\r\n", b"a line without end", b"\0\n", b"\n", b"299\n"]
)
def test_a_server_that_never_stops_talking(serve, mailbox, stage, octets):
    one = one_of(probe(mailbox, serve({stage: floods(octets)}, deliver=len)))
    assert one.stage == of(stage)
    assert one.problem
    assert len(one.problem) < 400
    assert one.problem.isprintable()


def test_servers_that_keep_one_waiting_hold_up_nobody(serve, mailbox, monkeypatch):
    monkeypatch.setattr(probe_round, "TURN_SECONDS", 0.2)
    acts = [{stage: silent} for stage in STAGES] + [{stage: drips} for stage in STAGES]
    servers = [serve(one, deliver=len) for one in acts] + [serve()]
    began = time.monotonic()
    result = probe(mailbox, *servers, seconds=4)
    assert time.monotonic() - began < 15
    assert result.problem == ""
    *others, last = result.probed
    assert (last.stage, last.problem) == ("", "")
    for one in others:
        assert one.stage not in ("", "delivery")
        assert one.problem, one
        assert one.problem in (SILENCE, "no answer within 4 s") or one.stage == "TLS"


def test_without_tls_nothing_is_said_but_a_greeting(serve, mailbox):
    server = serve({"EHLO": says_and_waits(b"250-mx\r\n250 PIPELINING\r\n")})
    one = one_of(probe(mailbox, server))
    assert (one.stage, one.problem) == ("STARTTLS", "STARTTLS is not offered")
    assert {line for _, line in server.heard} <= {b"EHLO [127.0.0.1]", b"QUIT"}


@pytest.mark.parametrize(
    ("acts", "stage"),
    [
        ({"STARTTLS": says_and_waits(b"220 go\r\n250 injected\r\n")}, "STARTTLS"),
        ({"TLS": says_and_waits(b"250 injected\r\n" * 10)}, "TLS"),
        ({"TLS": says_and_waits(bytes(range(256)) * 20)}, "TLS"),
        ({"TLS": says_and_waits(b"\x15\x03\x03\x00\x02\x02\x28")}, "TLS"),
        ({"STARTTLS": says_and_waits(b"454 4.7.0 TLS not available\r\n")}, "STARTTLS"),
    ],
    ids=["injected reply", "lie", "garbage", "alert", "refusal"],
)
def test_tricks_around_tls_are_no_way_into_clear_text(serve, mailbox, acts, stage):
    server = serve(acts)
    one = one_of(probe(mailbox, server))
    assert one.stage == stage
    assert one.problem
    assert one.protocol == ""
    assert not any(line.startswith((b"MAIL", b"RCPT", b"DATA")) for _, line in server.heard)


@pytest.mark.parametrize(
    ("answer", "queue_id"),
    [
        (b"250 2.0.0 Ok: queued as 4F1282AC977.*\r\n", "4F1282AC977"),
        (b"250 Ok: queued as " + b"A" * 400 + b"\r\n", ""),
        (b"250 Ok\r\n", ""),
        (b"250 queued as \xff\xfe\r\n", ""),
    ],
)
def test_a_name_in_the_queue_is_only_letters_and_digits(serve, mailbox, answer, queue_id):
    one = one_of(probe(mailbox, serve({"message": says_and_waits(answer)})))
    assert (one.stage, one.queue_id) == ("", queue_id)


def test_a_message_that_is_there_and_was_never_answered(serve, mailbox):
    one = one_of(probe(mailbox, serve({"message": silent}), seconds=2))
    assert RECEIVED in one.header
    assert mailbox.read_bytes() == b""


def test_a_goodbye_that_is_never_answered_changes_nothing(serve, mailbox):
    def refuses(peer):
        peer.say(b"450 4.7.1 Try again later\r\n")
        silent(peer)

    one = one_of(probe(mailbox, serve({"RCPT": refuses})))
    assert (one.stage, one.code) == ("RCPT", 450)
    one = one_of(probe(mailbox, serve({"QUIT": silent})))
    assert (one.stage, one.code, one.queue_id) == ("", 0, "4F1282AC977")


def test_a_password_that_is_given_back_is_not_shown(serve, mailbox, tmp_path):
    credentials = tmp_path / "credentials"
    credentials.write_text("user:open sesame\n")
    credentials.chmod(0o600)
    packed = base64.b64encode(b"\0user\0open sesame")
    for echo in (b"open sesame", packed):
        server = serve({"AUTH": says_and_waits(b"535 5.7.8 no " + echo + b"\r\n")})
        one = one_of(probe(mailbox, server, login=True, credentials=credentials))
        assert (one.stage, one.code) == ("AUTH", 535)
        assert "sesame" not in one.problem
        assert packed.decode() not in one.problem
        assert not any(packed in line for secured, line in server.heard if not secured)


class TestDelivery:
    def test_twice(self, serve, mailbox):
        def twice(message):
            appending(mailbox)(message)
            appending(mailbox)(message)

        assert one_of(probe(mailbox, serve(deliver=twice))).stage == ""
        assert probe(mailbox, serve()).late == ()
        assert mailbox.read_bytes() == b""

    def test_with_a_header_of_ten_mebibytes(self, serve, mailbox):
        def deliver(message):
            top = b"From x  Mon Nov 23 12:00:00 2026\n" + b"X-Long: y\n" * 1_000_000
            add_to(mailbox, top + RECEIVED + message + b"\n")

        tracemalloc.start()
        try:
            one = one_of(probe(mailbox, serve(deliver=deliver)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert one.stage == ""
        assert one.header.count(RECEIVED) == 1
        assert len(one.header) <= 256 << 10
        assert mailbox.read_bytes() == b""
        assert peak < 64 << 20

    def test_with_a_mark_of_somebody_elses_making(self, serve, mailbox):
        forged = [
            new_token(b"another secret".ljust(32), time.time()).text,
            "1.0.0.0",
            "1." + "f" * 13 + "." + "0" * 16 + "." + "0" * 32,
            "x" * 100_000,
        ]
        kept = b"".join(as_delivered(f"{FIELD}: {one}\n\nHa!\n".encode()) for one in forged)
        mailbox.write_bytes(kept)
        result = probe(mailbox, serve())
        assert one_of(result).stage == ""
        assert result.others == len(forged)
        assert mailbox.read_bytes() == kept

    def test_with_our_mark_in_a_body(self, serve, mailbox):
        token = new_token(SECRET, time.time()).text
        kept = as_delivered(f"Subject: x\n\n{FIELD}: {token}\n".encode())
        mailbox.write_bytes(kept)
        assert one_of(probe(mailbox, serve())).stage == ""
        assert mailbox.read_bytes() == kept

    def test_between_the_mail_of_others(self, serve, mailbox):
        def deliver(message):
            add_to(mailbox, FOREIGN + as_delivered(message) + FOREIGN * 3)

        mailbox.write_bytes(FOREIGN)
        result = probe(mailbox, serve(deliver=deliver))
        assert one_of(result).stage == ""
        assert mailbox.read_bytes() == FOREIGN * 5
        assert result.others == 5

    def test_into_a_crowd(self, serve, mailbox):
        mailbox.write_bytes(FOREIGN * 50_000)
        before = time.process_time()
        result = probe(mailbox, serve())
        assert one_of(result).stage == ""
        assert time.process_time() - before < 5
        assert mailbox.stat().st_size == len(FOREIGN) * 50_000

    def test_behind_a_link_that_was_put_there_meanwhile(self, serve, mailbox, tmp_path):
        victim = tmp_path / "victim"
        victim.write_bytes(FOREIGN)

        def deliver(message):
            aside = mailbox.with_name("link")
            aside.symlink_to(victim)
            with victim.open("ab") as file:
                file.write(as_delivered(message))
            aside.rename(mailbox)

        mailbox.write_bytes(b"")
        result = probe(mailbox, serve(deliver=deliver))
        assert "symbolic link" in result.problem
        assert victim.read_bytes().startswith(FOREIGN + b"From MAILER-DAEMON")


def sparse(path):
    path.write_bytes(b"")
    os.truncate(path, 1 << 30)


def locked_by_name(path):
    path.write_bytes(FOREIGN)
    path.with_name("probe.lock").write_bytes(b"")


MAILBOXES = {
    "symbolic link": lambda path: path.symlink_to("/etc/hostname"),
    "no regular file": os.mkfifo,
    "1024 MiB": sparse,
    "locked": locked_by_name,
    "irectory": lambda path: path.mkdir(),
    "no such directory": lambda path: path.parent.rmdir(),
}


@pytest.mark.parametrize("words", MAILBOXES)
def test_what_is_no_mailbox_is_said_and_nothing_is_sent(serve, mailbox, words, monkeypatch):
    monkeypatch.setattr(probe_round, "LOCK_SECONDS", 0.3)
    MAILBOXES[words](mailbox)
    server = serve()
    result = probe(mailbox, server)
    assert words in result.problem
    assert result.problem.isprintable()
    assert server.heard == []


HOLDS = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_a_lock_that_another_process_never_gives_back(serve, mailbox, monkeypatch):
    monkeypatch.setattr(probe_round, "LOCK_SECONDS", 0.3)
    mailbox.write_bytes(FOREIGN)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(mailbox)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline()
        assert "locked" in probe(mailbox, serve()).problem
        holder.stdin.close()
    assert mailbox.read_bytes() == FOREIGN
    assert not mailbox.with_name("probe.lock").exists()
    with mailbox.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert one_of(probe(mailbox, serve())).stage == ""


class TestMaildir:
    @pytest.fixture
    def maildir(self, tmp_path):
        for one in ("tmp", "new", "cur"):
            (tmp_path / "Maildir" / one).mkdir(parents=True)
        return tmp_path / "Maildir"

    def deliver_to(self, maildir):
        def deliver(message):
            (maildir / "tmp/1").write_bytes(RECEIVED + message)
            (maildir / "tmp/1").rename(maildir / "new/1")

        return deliver

    def wanted(self, maildir, server):
        target = Target(service="smtp", host=HOST, port=server.port)
        return Probe(targets=(target,), address=ADDRESS, mailbox=f"{maildir}/", seconds=LONG)

    def test_what_lies_among_the_messages(self, serve, maildir):
        os.mkfifo(maildir / "new/pipe")
        (maildir / "new/link").symlink_to("/etc/hostname")
        (maildir / "new/directory").mkdir()
        sparse(maildir / "new/sparse")
        (maildir / "new/closed").write_bytes(FOREIGN)
        before = sorted(os.listdir(maildir / "new"))
        server = serve(deliver=self.deliver_to(maildir))
        result = probe_once(self.wanted(maildir, server), "/", SECRET)
        assert one_of(result).stage == ""
        assert sorted(os.listdir(maildir / "new")) == before
        assert result.left == 0

    @pytest.mark.parametrize("part", ["", "/new"])
    def test_a_link_in_its_place(self, serve, maildir, tmp_path, part):
        place = maildir if not part else maildir / "new"
        place.rename(tmp_path / "aside")
        place.symlink_to(tmp_path / "aside")
        server = serve(deliver=self.deliver_to(maildir))
        result = probe_once(self.wanted(maildir, server), "/", SECRET)
        assert result.problem or one_of(result).stage == ""
        assert list((tmp_path / "aside").rglob("1")) == [] or result.problem
