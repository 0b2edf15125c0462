"""The log monitor where it lives: systemd, journald, rsyslog and Postfix's own unit.

One boot of each Debian serves all tests here, in their order; each leaves behind a
server that works. Sessions are real ones (STARTTLS on port 25), and what was counted
is asked of `postkeel tls-log`.
"""

from __future__ import annotations

import json
import os
import time

import pytest

import booted_debian as bed
from certificates import make_certificate

pytestmark = pytest.mark.system

STATE = "/var/lib/postkeel"
SMTPD = "/usr/lib/postfix/sbin/smtpd"
CERTIFICATE = "/etc/postfix/certificate.pem"
KEY = "/etc/postfix/key.pem"
CLAIM = (
    "Anonymous TLS connection established from liar.example[192.0.2.9]:"
    " TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
)
LIES = f"""\
connect from liar.example[192.0.2.9]
{CLAIM}
disconnect from liar.example[192.0.2.9] ehlo=2 starttls=1 quit=1 commands=4
"""
UNITS = {
    "bookworm": "postfix@-.service",
    "trixie": "postfix.service",
    "sid": "postfix.service",
}
SERVICE = (
    "Type=notify",
    "WatchdogSec=20",
    "KillMode=mixed",
    "Restart=on-failure",
    "RestartSec=100ms",
)
CONVERSE = """\
import smtplib, ssl, sys, time
context = ssl._create_unverified_context()
context.maximum_version = ssl.TLSVersion.TLSv1_2  # the agent's own handshakes have TLS 1.3

def converse():
    with smtplib.SMTP("127.0.0.1", 25, "client.example", 20) as session:
        session.starttls(context=context)

done = 0
if sys.argv[1] == "until-told":
    import select
    while not select.select([sys.stdin], [], [], 0.03)[0]:
        converse()
        done += 1
else:
    for done in range(int(sys.argv[1])):
        converse()
    done += 1
print(done)
"""


class Server:
    """A booted Debian whose Postfix offers TLS, guarded by an agent that only looks."""

    def __init__(self, debian, suite):
        self.debian = debian
        self.run = debian.run
        self.unit = UNITS[suite]
        made = make_certificate("rsa", host="mx.example.test", address="127.0.0.1")
        debian.write(CERTIFICATE, made.certificate)
        debian.write(KEY, made.key, mode=0o600)
        parameters = (
            f"smtpd_tls_cert_file={CERTIFICATE}",
            f"smtpd_tls_key_file={KEY}",
            "smtpd_tls_security_level=may",
            "smtpd_tls_loglevel=1",
            "smtpd_client_connection_rate_limit=0",
        )
        self.run("postconf", "-e", *parameters)
        debian.write("/etc/postkeel/postkeel.toml", 'mode = "audit"\n')
        debian.write("/root/converse.py", CONVERSE)
        self.run("systemctl", "restart", "postfix")
        self.start_agent()

    def start_agent(self):
        properties = [f"--property={one}" for one in SERVICE]
        program = ("/usr/local/sbin/postkeel", "run")
        self.run("systemd-run", "--quiet", "--unit=postkeel", *properties, *program)

    def converse(self, times=1):
        assert self.run("python3", "/root/converse.py", str(times)) == f"{times}\n"

    def tls_log(self):
        said = self.run("postkeel", "tls-log", "--format", "json", may_fail=True)
        return json.loads(said) if said else {"connections": [], "lost": [], "proven": None}

    def counted(self):
        """Inbound sessions of `converse` with TLS, in the agent's own history."""
        return sum(
            one["count"]
            for one in self.tls_log()["connections"]
            if one["direction"] == "inbound" and one["protocol"] == "TLSv1.2"
        )

    def settled(self):
        """`counted` after whatever is still on its way."""
        self.run("journalctl", "--sync")
        time.sleep(1.5)
        return self.counted()

    def main_process(self):
        return self.run("systemctl", "show", "--property=MainPID", "--value", "postkeel").strip()

    def written(self, *matches):
        """What these messages of the journal say."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--output=cat", "--quiet", *matches, may_fail=True)

    def logged(self, words):
        """Whether the agent said so in the syslog's file."""
        lines = self.run("cat", "/var/log/syslog", "/var/log/mail.log").splitlines()
        return any(" postkeel" in line and words in line for line in lines)

    def last(self):
        """What `postkeel status` tells of the last round."""
        (instance,) = json.loads(self.run("postkeel", "status", "--format", "json"))["instances"]
        return instance["last"]


@pytest.fixture(scope="module", params=bed.SUITES)
def server(request):
    reason = bed.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with bed.booted_debian(request.param) as debian:
        yield Server(debian, request.param)


def until(true, seconds):
    """How long it took. Fails when it takes longer."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


def test_it_is_up_and_follows_the_journal(server):
    assert server.run("systemctl", "is-active", "postkeel", server.unit) == "active\nactive\n"
    until(lambda: server.last() is not None, 5)
    assert server.last()["followed"] == ["tls_log_monitor follows journal"]


def test_a_session_is_counted_within_two_seconds(server):
    before = server.settled()
    server.converse()
    assert until(lambda: server.counted() > before, 2) < 2
    assert server.settled() == before + 1
    found = server.tls_log()
    assert (found["proven"], found["lost"]) == (True, [])
    assert {one["service"] for one in found["connections"]} == {"smtpd"}


def forged_by_logger(server):
    """Any user can name himself as he likes; the process is there until journald has looked."""
    with server.debian.start("logger", "-t", "postfix/smtpd[99]") as logger:
        logger.stdin.write(LIES)
        logger.stdin.flush()
        until(lambda: CLAIM in server.written("_EXE=/usr/bin/logger"), 5)
    return "_EXE=/usr/bin/logger"


def forged_by_a_command_of_postfix(server):
    """What .forward names runs in Postfix's own unit."""
    server.debian.write(
        "/usr/local/bin/forge",
        f"#!/bin/sh\n(echo '{LIES}'; sleep 2) | logger -t 'postfix/smtpd[98]'\n",
        mode=0o755,
    )
    server.debian.write("/home/alice/.forward", '"|/usr/local/bin/forge"\n')
    server.run("chown", "alice:", "/home/alice/.forward")
    server.run("sendmail", "-i", "alice", fed="Subject: go\n\nnow\n")
    where = f"_SYSTEMD_UNIT={server.unit}"
    until(lambda: CLAIM in server.written(where, "_EXE=/usr/bin/logger"), 10)
    return where


def forged_as_postfix_s_own_program(server):
    """A user can have any program run what he likes (LD_PRELOAD), and it keeps its name."""
    script = f"mount --bind /usr/bin/logger {SMTPD}; exec setpriv --reuid=alice --clear-groups"
    command = f"{script} --regid=alice {SMTPD} -t 'postfix/smtpd[97]'"
    with server.debian.start("unshare", "--mount", "sh", "-c", command) as pretended:
        pretended.stdin.write(LIES)
        pretended.stdin.flush()
        until(lambda: CLAIM in server.written(f"_EXE={SMTPD}"), 5)
    return f"_EXE={SMTPD}"


@pytest.mark.parametrize(
    "forge",
    [forged_by_logger, forged_by_a_command_of_postfix, forged_as_postfix_s_own_program],
)
def test_a_forged_line_is_not_counted(server, forge):
    before = server.settled()
    where = forge(server)
    assert CLAIM in server.written(where)
    server.converse()
    assert server.settled() == before + 1
    assert "liar.example" not in json.dumps(server.tls_log())


def rotated(server):
    for _ in range(3):
        server.run("journalctl", "--rotate")
        time.sleep(0.2)


def vacuumed(server):
    server.run("journalctl", "--rotate")
    time.sleep(2)
    server.run("journalctl", "--vacuum-time=1s")


def journald_restarted(server):
    server.run("systemctl", "restart", "systemd-journald")


def agent_restarted(server):
    server.run("systemctl", "restart", "postkeel")


def agent_killed(server):
    process = server.main_process()
    server.run("systemctl", "kill", "-s", "KILL", "postkeel")
    until(lambda: server.main_process() not in {"0", process}, 5)


def test_each_session_is_counted_once_whatever_happens(server):
    before = server.settled()
    with server.debian.start("python3", "/root/converse.py", "until-told") as talking:
        for happens in (rotated, journald_restarted, agent_restarted, agent_killed, vacuumed):
            happens(server)
            time.sleep(0.3)
        talking.stdin.write("stop\n")
        talking.stdin.flush()
        times = int(talking.stdout.read())
    assert times > 50
    until(lambda: server.counted() >= before + times, 5)
    assert server.settled() == before + times
    assert server.tls_log()["lost"] == []


def test_sessions_before_and_after_a_reboot_are_counted_once(server):
    before = server.settled()
    server.converse(5)
    server.debian.reboot()
    server.converse(5)
    server.start_agent()
    server.converse(5)
    until(lambda: server.counted() >= before + 15, 5)
    assert server.settled() == before + 15
    assert server.tls_log()["lost"] == []


def test_smtpd_without_tls_is_told_and_a_round_is_asked_for(server):
    assert not server.logged("tls-disabled")
    server.run("mv", CERTIFICATE, f"{CERTIFICATE}.away")
    server.run("systemctl", "restart", "postfix")
    with pytest.raises(RuntimeError, match="TLS not available"):
        server.converse()
    until(lambda: server.logged("tls-disabled"), 3)
    until(lambda: server.last()["event"] == "requested", 3)
    server.run("mv", f"{CERTIFICATE}.away", CERTIFICATE)
    server.run("systemctl", "restart", "postfix")
    server.converse()


def test_what_journald_suppresses_is_told(server):
    assert not server.logged("log-lines-lost")
    drop_in = f"/etc/systemd/system/{server.unit}.d/rate.conf"
    limits = "[Service]\nLogRateLimitIntervalSec=2s\nLogRateLimitBurst=5\n"
    server.debian.write(drop_in, limits)
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "restart", "postfix")
    before = server.settled()
    server.converse(200)
    time.sleep(2.1)  # journald says what it dropped once the interval is over
    server.converse()
    until(lambda: server.logged("log-lines-lost"), 3)
    assert before < server.settled() < before + 201
    lost = server.tls_log()["lost"]
    assert lost
    assert all(one.startswith("journald suppressed ") and server.unit in one for one in lost)
    server.run("rm", drop_in)
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "restart", "postfix")


def test_what_was_vacuumed_while_nobody_looked_is_told(server):
    said_before = server.tls_log()["lost"]
    server.run("systemctl", "stop", "postkeel")
    time.sleep(1.1)  # until then a line may still come with the time of the last look
    server.converse(5)
    vacuumed(server)
    server.start_agent()
    before = server.settled()
    server.converse()
    assert server.settled() == before + 1
    (sentence,) = [one for one in server.tls_log()["lost"] if one not in said_before]
    assert "may be missing: journald removed them before they were read" in sentence
