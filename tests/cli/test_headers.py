"""`postkeel headers`: what files and pipes give, whom it believes, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from ordinary_user import run_as_nobody, why_not
from postkeel.cli.charts import columns_of

LOCAL = """\
Received: from localhost (localhost [127.0.0.1])
\tby mx.example.org (Postfix) with ESMTP id AAA
\tfor <b@example.org>; Sun, 22 Nov 2026 13:07:12 +0000 (UTC)
"""
WELL = """\
Received: from mail.sender.example (mail.sender.example [192.0.2.25])
\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)
\t(No client certificate requested)
\tby mx.example.org (Postfix) with ESMTPS id DF1
\tfor <b@example.org>; Sun, 22 Nov 2026 13:07:10 +0000 (UTC)
"""
WEAK = WELL.replace(
    "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384", "TLSv1 with cipher ECDHE-RSA-AES256-SHA"
)
CLEAR = """\
Received: from mail.sender.example (mail.sender.example [192.0.2.25])
\tby mx.example.org (Postfix) with ESMTP id DF1
\tfor <b@example.org>; Sun, 22 Nov 2026 13:07:10 +0000 (UTC)
"""
ABOVE = """\
Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=a@sender.example; dkim=fail
Authentication-Results: mx.else.example; dkim=pass
"""
FORGED = """\
Received: from evil (unknown [203.0.113.1]) by mx.example.org (Postfix) with SMTP id X;
\tSun, 22 Nov 2026 11:05:30 +0000
Authentication-Results: mx.example.org; dmarc=pass
"""
REST = "From: a@sender.example\nSubject: hello\n\nbody\n"
FROM = "From a@sender.example Mon Nov 23 10:00:00 2026\n"
OWN = ("--own", "mx.example.org")
TABLE = """\
message.eml: 3 hops, the newest first, as in its header
  It came to your hosts encrypted: TLSv1.3 with TLS_AES_256_GCM_SHA384.
     # how       from                      to                             after
       with      TLS      cipher                         key exchange
     1 local     localhost                 mx.example.org                   2 s
       ESMTP     -        -                              -
     2 encrypted mail.sender.example       mx.example.org             2 h 1 min
       ESMTPS    TLSv1.3  TLS_AES_256_GCM_SHA384         X25519
  ── above: written by your hosts; below: hearsay, anybody can write it ────────
     3 in clear  [203.0.113.1]             mx.example.org
       SMTP      -        -                              -
       Postfix says SMTP and no TLS.
  mx.example.org found spf=pass, dkim=fail.
  2 lines Authentication-Results that no host of yours vouches for.
"""


@pytest.fixture
def bare(postkeel, tmp_path):
    """The command on a host without Postfix and configuration; its standard output and status."""
    (tmp_path / "postkeel.toml").write_text("")

    def run(*words, **settings):
        given = {"env": {"PATH": str(tmp_path)}, "cwd": tmp_path} | settings
        return postkeel("headers", "--config", "postkeel.toml", *words, **given)

    return run


def message(tmp_path, *parts):
    """A file in that directory; its name."""
    (tmp_path / "message.eml").write_text("".join(parts) + REST)
    return "message.eml"


def mbox(tmp_path, *messages):
    (tmp_path / "mbox").write_text("".join(f"{FROM}{one}{REST}\n" for one in messages))
    return "mbox"


def maildir(tmp_path, *messages):
    for one in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / one).mkdir(parents=True)
    for number, text in enumerate(messages):
        (tmp_path / "Maildir" / "cur" / f"17630000{number:02}.M1.mx:2,S").write_text(text + REST)
    return "Maildir"


def unfolded(text):
    """Without the folds that a sentence may have."""
    return " ".join(text.split())


def document(done, status=0):
    assert done.stderr == ""
    assert done.returncode == status
    return json.loads(done.stdout)


class TestOneMessage:
    def test_as_a_table(self, bare, tmp_path):
        done = bare(message(tmp_path, ABOVE, LOCAL, WELL, FORGED), *OWN)
        assert done.stdout == TABLE
        assert (done.returncode, done.stderr) == (0, "")

    def test_everything_of_each_hop(self, bare, tmp_path):
        done = bare("--verbose", message(tmp_path, ABOVE, WELL, FORGED), *OWN)
        for line in (
            "       address: 192.0.2.25",
            "       client: certificate not requested",
            "       bits: 256",
            "       signature: RSA-PSS",
            "       server: Postfix",
            "       queue id: DF1",
            "       for: b@example.org",
            "       at: 2026-11-22 13:07:10+00:00",
            "       said it was: evil",
            "  Hearsay: mx.else.example found dkim=pass.",
            "  Hearsay: mx.example.org found dmarc=pass.",
            "  Your hosts: mx.example.org.",
        ):
            assert line in done.stdout.splitlines(), done.stdout

    @pytest.mark.parametrize(
        ("parts", "told", "status"),
        [
            ([WELL], "encrypted: TLSv1.3 with TLS_AES_256_GCM_SHA384", 0),
            ([WEAK], "weakly encrypted: TLSv1 with ECDHE-RSA-AES256-SHA: TLSv1 is withdrawn", 2),
            ([CLEAR], "in clear text: Postfix says ESMTP and no TLS", 2),
            ([LOCAL, CLEAR, FORGED], "in clear text: Postfix says ESMTP and no TLS", 2),
            ([WELL, CLEAR], "encrypted: TLSv1.3 with TLS_AES_256_GCM_SHA384", 0),
        ],
    )
    def test_only_hops_that_are_to_be_believed_count(self, bare, tmp_path, parts, told, status):
        done = bare(message(tmp_path, *parts), *OWN)
        assert f"It came to your hosts {told}" in unfolded(done.stdout)
        assert done.returncode == status

    def test_when_no_host_is_known_as_ones_own(self, bare, tmp_path):
        done = bare(message(tmp_path, CLEAR))
        assert done.returncode == 0
        assert "It came to your hosts" not in done.stdout
        assert "── hearsay: no host that is known as yours wrote any of it ──" in done.stdout
        assert done.stdout.endswith(
            "\nIf mx.example.org is a host of yours, say so; its lines are believed then:\n"
            "  postkeel headers --own mx.example.org ...\n"
        )

    def test_what_is_no_name_is_not_suggested(self, bare, tmp_path):
        evil = CLEAR.replace("by mx.example.org", "by $(reboot)")
        done = bare(message(tmp_path, evil), "--own", "192.0.2.0/24")
        assert done.stdout.endswith(
            "Your hosts are 192.0.2.0/24; the line on top is not of one of them.\n"
            "Say which hosts are yours; its lines are believed then:\n"
            "  postkeel headers --own mx.example.org ...\n"
        )

    def test_a_message_without_any_line(self, bare, tmp_path):
        done = bare(message(tmp_path), *OWN)
        assert "no hop, as it has no Received line" in done.stdout
        assert "this one was never sent" in unfolded(done.stdout)
        assert done.returncode == 0

    def test_own_hosts_are_those_of_postfix_and_of_the_configuration(self, place):
        parts = LOCAL.replace("mx.example.org", "relay.example.net"), WELL
        path = str(place.directory / message(place.directory, *parts))
        assert place.json("headers", path)["messages"][0]["believed"] == 0
        place.configure('[plugins.header_checker]\nown_hosts = ["relay.example.net"]\n')
        shown = place.json("headers", path)
        assert shown["own"] == ["mail.example.test", "relay.example.net"]
        assert shown["messages"][0]["believed"] == 1
        given = place.json("headers", path, *OWN)
        assert given["messages"][0]["believed"] == 2
        message(place.directory, CLEAR.replace("mx.example.org", "mail.example.test"))
        assert place.json("headers", path, status=2)["messages"][0]["believed"] == 1

    @pytest.mark.parametrize("value", ["7", '["?", 8]', '"mx.example.org"'])
    def test_own_hosts_that_are_faulty_are_left_out(self, place, value):
        place.configure(f"[plugins.header_checker]\nown_hosts = {value}\n")
        path = str(place.directory / message(place.directory, WELL))
        assert place.json("headers", path)["own"] == ["mail.example.test"]


class TestTheDocument:
    def test_a_message(self, bare, tmp_path):
        path = message(tmp_path, ABOVE, WELL, FORGED)
        shown = document(bare(path, *OWN, "--format", "json"))
        assert list(shown) == ["postkeel", "own", "messages", "summary"]
        (one,) = shown["messages"]
        well, forged = one.pop("hops")
        assert one == {
            "source": path,
            "number": 0,
            "believed": 1,
            "authentication_results": [
                {
                    "by": "mx.example.org",
                    "believed": True,
                    "methods": [
                        {"method": "spf", "result": "pass"},
                        {"method": "dkim", "result": "fail"},
                    ],
                },
                {
                    "by": "mx.else.example",
                    "believed": False,
                    "methods": [{"method": "dkim", "result": "pass"}],
                },
                {
                    "by": "mx.example.org",
                    "believed": False,
                    "methods": [{"method": "dmarc", "result": "pass"}],
                },
            ],
            "problems": [],
        }
        assert well.pop("text").startswith("from mail.sender.example (mail.sender.example ")
        assert well == {
            "verdict": "encrypted",
            "reason": "TLSv1.3 with TLS_AES_256_GCM_SHA384",
            "believed": True,
            "mta": "Postfix",
            "helo": "mail.sender.example",
            "name": "mail.sender.example",
            "address": "192.0.2.25",
            "by": "mx.example.org",
            "protocol": "ESMTPS",
            "tls": {
                "protocol": "TLSv1.3",
                "cipher": "TLS_AES_256_GCM_SHA384",
                "bits": 256,
                "key_exchange": "X25519",
                "signature": "RSA-PSS",
                "certificate": "not requested",
                "subject": "",
                "issuer": "",
            },
            "authenticated": False,
            "id": "DF1",
            "recipient": "b@example.org",
            "time": "2026-11-22T13:07:10+00:00",
            "seconds": 7300.0,
        }
        assert (forged["verdict"], forged["believed"], forged["seconds"]) == ("clear", False, None)
        assert forged["tls"] is None

    def test_the_sum_of_many(self, bare, tmp_path):
        boxes = mbox(tmp_path, WELL, LOCAL + CLEAR, ""), maildir(tmp_path, WEAK, FORGED, WELL)
        shown = document(bare(*boxes, *OWN, "--format", "json"), status=2)
        summary = shown["summary"]
        assert [(one["source"], one["number"]) for one in shown["messages"]] == [
            (boxes[0], 1),
            (boxes[0], 2),
            (boxes[0], 3),
            *((f"{boxes[1]}/cur/17630000{number:02}.M1.mx:2,S", 0) for number in range(3)),
        ]
        assert summary["messages"] == len(shown["messages"]) == 6
        assert (summary["untraced"], summary["faulty"], summary["damaged"]) == (1, 3, 0)
        hops = [hop for one in shown["messages"] for hop in one["hops"]]
        keys = ("believed", "verdict", "protocol", "mta")
        expected = Counter(tuple(hop[key] for key in keys) for hop in hops)
        assert {tuple(one[key] for key in keys): one["hops"] for one in summary["hops"]} == expected
        assert (
            summary["arrivals"]
            == [
                {"believed": True, "verdict": "clear", "messages": 2},
                {"believed": True, "verdict": "encrypted", "messages": 2},
                {"believed": True, "verdict": "weak", "messages": 1},
            ]
            or sum(one["messages"] for one in summary["arrivals"]) == 5
        )
        assert summary["protocols"] == [
            {"believed": True, "protocol": "TLSv1", "hops": 1},
            {"believed": True, "protocol": "TLSv1.3", "hops": 2},
        ]
        assert summary["examples"][0] == {"source": f"{boxes[0]}, message 2", "verdict": "clear"}
        assert summary["slowest"] == {
            "seconds": 2.0,
            "holder": "mx.example.org",
            "to": "mx.example.org",
            "believed": True,
            "source": f"{boxes[0]}, message 2",
        }

    def test_no_message_at_all(self, bare, tmp_path):
        (tmp_path / "empty").write_text("")
        shown = document(bare("empty", "--format", "json"))
        assert (shown["messages"], shown["summary"]["slowest"]) == ([], None)
        assert shown["summary"]["messages"] == 0
        done = bare("empty")
        assert (done.stdout, done.returncode) == ("There is no message in it.\n", 0)

    def test_names_that_are_no_text(self, bare, tmp_path):
        path = os.fsdecode(b"\xff\n\x1b[31m")
        (tmp_path / path).write_text(WELL)
        shown = document(bare(path, "--format", "json"))
        assert shown["messages"][0]["source"].endswith("\ufffd\n\x1b[31m")
        assert "\x1b" not in bare(path).stdout


class TestManyMessages:
    def test_what_they_come_to(self, bare, tmp_path):
        path = mbox(tmp_path, *[WELL + FORGED] * 7, LOCAL + WEAK, CLEAR, "")
        done = bare(path, *OWN)
        assert done.returncode == 2
        for line in (
            "10 messages, 17 hops",
            "your hosts: mx.example.org",
            "  encrypted                                             7   70.0% ██████████████",
            "  weak                                                  1   10.0% ██",
            "  in clear                                              1   10.0% ██",
            "  never sent: no Received line                          1   10.0% ██",
            "Hops that your hosts wrote down",
            "  encrypted  ESMTPS       Postfix                       7   70.0%",
            "  TLS versions: TLSv1.3 70.0%, TLSv1 10.0% of these hops",
            "Hearsay: the other hops",
            "  in clear   SMTP         Postfix                       7  100.0%",
            "The slowest hop took 2 s from mx.example.org to mx.example.org: mbox, message 8",
            "2 messages in clear or weakly encrypted on a hop to be believed",
            "  weak: mbox, message 8",
            "  in clear: mbox, message 9",
        ):
            assert line in done.stdout.splitlines(), done.stdout

    def test_when_none_is_known(self, bare, tmp_path):
        done = bare(mbox(tmp_path, CLEAR, CLEAR))
        assert done.returncode == 0
        assert "  not known: no line of your hosts                      2  100.0%" in done.stdout
        assert "Hearsay: all of the hops" in done.stdout
        assert "  postkeel headers --own mx.example.org ..." in done.stdout

    def test_each_of_them(self, bare, tmp_path):
        done = bare("-v", mbox(tmp_path, WELL, CLEAR), *OWN)
        text = unfolded(done.stdout)
        assert "mbox, message 1: 1 hop, the newest first" in text
        assert "mbox, message 2: 1 hop, the newest first" in text
        assert "2 messages, 2 hops" in text

    def test_the_same_file_twice_is_read_once(self, bare, tmp_path):
        path = message(tmp_path, WELL)
        assert "3 hops" not in bare(path, path, *OWN).stdout
        assert document(bare(path, path, "--format", "json"))["summary"]["messages"] == 1

    def test_standard_input(self, bare):
        text = f"{FROM}{WELL}{REST}\n{FROM}{CLEAR}{REST}"
        done = bare("-", *OWN, input=text, stdin=None)
        assert "in clear: standard input, message 2" in done.stdout


class TestBadInput:
    def test_what_cannot_be_read_is_told_at_the_end(self, bare, tmp_path):
        done = bare("missing", message(tmp_path, CLEAR), ".", *OWN)
        assert "It came to your hosts in clear text" in done.stdout
        assert done.returncode == 1
        assert done.stderr == (
            "postkeel: missing: cannot be read: No such file or directory\n"
            "postkeel: .: a directory that is no Maildir, as it has no cur and new; of other"
            " directories give the files\n"
        )

    def test_nothing_is_shown_where_nothing_was_read(self, bare):
        for words in ((), ("--format", "json")):
            done = bare("missing", *words)
            assert (done.stdout, done.returncode) == ("", 1)

    def test_a_flood_of_complaints(self, bare, tmp_path):
        path = maildir(tmp_path, WELL)
        for number in range(50):
            (tmp_path / path / "new" / str(number)).mkdir()
        done = bare(path, *OWN)
        told = done.stderr.splitlines()
        assert len(told) == 21
        assert told[-1] == "postkeel: and 30 more files could not be read"

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--own", "mx..org", "x"], "--own: 'mx..org' is no host: give a name, .domain"),
            (["--own", "mx.example.org"], "--own goes with files"),
            (["--probe", "x"], "--probe reads the message that it sends"),
            (["-c", "/nonexistent", "x"], "/nonexistent: no such directory"),
        ],
    )
    def test_usage(self, bare, words, told):
        done = bare(*words)
        assert done.returncode == 1
        assert done.stderr.startswith(f"postkeel: {told}")

    def test_what_strangers_write_cannot_act_on_a_terminal(self, bare, tmp_path):
        evil = "\x1b]0;x\x07\x9b31m\u202e\u2028中文" * 40
        parts = [
            one.replace("mail.sender.example", evil).replace("DF1", evil).replace("mx.ex", evil)
            for one in (WELL, CLEAR, ABOVE)
        ]
        path = message(tmp_path, *parts, f"Received: {evil}\n", f"Received: by {evil};\n")
        for words in ((path,), ("-v", path), (mbox(tmp_path, *parts), "-v")):
            done = bare(*words, "--own", ".example.org")
            assert done.returncode == 0
            for line in done.stdout.splitlines():
                assert line.isprintable(), repr(line)
                assert columns_of(line) <= 80, line
        document(bare(path, "--format", "json"))

    def test_a_thousand_hops(self, bare, tmp_path):
        done = bare(message(tmp_path, WELL * 1200), *OWN)
        assert "  and 900 more hops" in done.stdout
        assert "fields Received" in done.stdout
        assert "1000 hops" not in bare(mbox(tmp_path, WELL), *OWN).stdout

    def test_octets_that_are_no_message(self, bare, tmp_path):
        path = tmp_path / "garbage"
        path.write_bytes(os.urandom(300_000) + b"\n\n" + os.urandom(300_000))
        done = bare(str(path), *OWN)
        assert done.returncode == 0
        assert document(bare(str(path), "--format", "json"))["summary"]["messages"] == 1

    def test_a_bomb_and_a_header_without_end(self, bare, tmp_path):
        path = tmp_path / "bomb.gz"
        path.write_bytes(gzip.compress(b"Received: from x by y;\n" * 20_000_000, 1))
        done = bare(str(path), *OWN)
        assert "Note: the header is longer than 1 MiB; the rest of it was not read." in done.stdout


class TestHowItRuns:
    @pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
    def test_as_anybody(self):
        with tempfile.TemporaryDirectory(prefix="postkeel-mail-") as name:
            Path(name).chmod(0o755)
            path = f"{name}/{message(Path(name), WELL)}"
            (Path(name) / "postkeel.toml").write_text("")
            words = ("headers", "--config", f"{name}/postkeel.toml", *OWN, path)
            done = run_as_nobody("-m", "postkeel", *words)
            assert "It came to your hosts encrypted" in done.stdout, done.stderr
            assert done.returncode == 0
            (Path(name) / "message.eml").chmod(0o600)
            refused = run_as_nobody("-m", "postkeel", *words)
        assert (refused.stdout, refused.returncode) == ("", 1)
        assert refused.stderr == (
            f"postkeel: {path}: permission denied: a mailbox is its user's; read it as that user,"
            " or as root\n"
        )

    def test_memory_does_not_grow_with_the_messages(self, tmp_path):
        peaks = []
        for number in (300, 3000):
            path = mbox(tmp_path, *[LOCAL + WELL] * number)
            words = ("headers", str(tmp_path / path), "--format")
            peaks += [peak_memory(*words, form) for form in ("text", "json")]
        assert max(peaks[2:]) < min(peaks[:2]) + 6, peaks

    def test_a_reader_that_goes_away(self, tmp_path):
        path = mbox(tmp_path, *[WELL] * 500)
        with process("headers", str(tmp_path / path), "--format", "json") as one:
            one.stdout.read(10)
            one.stdout.close()
            assert one.wait(30) == 1
            assert one.stderr.read() == b""

    def test_interrupted(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        with process("headers", str(pipe)) as one, pipe.open("wb"):
            # It has opened the pipe now and waits for what comes.
            one.send_signal(signal.SIGINT)
            assert one.wait(30) == 130
            assert one.stderr.read() == b""

    def test_progress_on_a_terminal(self, tmp_path):
        """Of a pipe that takes its time."""
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        ours, theirs = pty.openpty()
        with process("headers", str(pipe), *OWN, stderr=theirs) as one, pipe.open("wb") as file:
            for _ in range(6):
                file.write(f"{FROM}{WELL}{REST}\n".encode() * 20)
                file.flush()
                time.sleep(0.5)
            file.close()
            output, _ = one.communicate(timeout=30)
        os.close(theirs)
        told = os.read(ours, 10_000).decode()
        os.close(ours)
        assert " messages, " in told
        assert told.endswith("\r\033[K")
        assert output.startswith(b"120 messages, 120 hops")
        assert one.returncode == 0


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def process(*words, **settings):
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    return subprocess.Popen([sys.executable, "-m", "postkeel", *words], env=environment(), **given)


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(*words):
    """MiB that the command held at most; its parent is a small process, as its pages count too."""
    command = [sys.executable, "-S", "-c", MEASURED, sys.executable, "-m", "postkeel", *words]
    done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024
