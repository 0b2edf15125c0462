"""What a process can do that has taken over a side: tried inside each unit, on each Debian.

`sandbox_probe.py` runs in the unit itself, in place of the agent, and tries everything.
The same probes in a service of root's without any sandbox show that each could
succeed: so it is the unit that stops it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import booted_debian as bed

pytestmark = pytest.mark.system

PROBE = "/usr/local/lib/sandbox_probe.py"
SCORES = {"postkeel": 1.3, "postkeel-monitor": 1.1}

ROOT = frozenset(
    {
        # its work
        *("write /etc/postfix", "write /run/postkeel", "write /run/postkeel/ask"),
        *("write /var/lib/postkeel", "write /var/lib/postkeel/outbox"),
        "write /var/lib/postkeel/home",
        *("append /etc/postfix/main.cf", "edit main.cf", "read /var/lib/postkeel/of-root"),
        *("read /var/lib/postkeel/outbox/of-root", "records of root's", "take the channel over"),
        *("lock the instance", "read /proc/locks", "see systemd", "see root's process"),
        *("see alice's process", "postfix status", "postconf -n", "postconf -d", "openssl"),
        *("signal Postfix's master", "ask who has dpkg's lock", "cryptography", "a netlink socket"),
        *("mail to 127.0.0.1", "mail to ::1", "UDP to 127.0.0.1", "ask for a check"),
        *("log to syslog", "log to the journal", "no capability"),
        # what comes with uid 0: to read root's files, and to end root's processes
        *("read /etc/postfix/main.cf", "read /etc/shadow", "read /etc/ssl/private/key.pem"),
        *("read /var/log/mail.log", "read the journal", "watch the mail log"),
        *("kill systemd", "kill root's process", "watch the spool of mailboxes"),
        # private to it
        *("write /tmp", "write /var/tmp"),
    }
)
"""What the root side can do; nothing else."""

MONITOR = frozenset(
    {
        # its work
        *("write /run/postkeel/monitor", "write /var/lib/postkeel/monitor"),
        *("write /var/lib/postkeel/home/Maildir", "the mailbox of the monitor's"),
        "watch the spool of mailboxes",
        *("records of the monitor's", "read /var/log/mail.log", "read the journal"),
        *(
            "read /var/lib/postkeel/outbox/of-root",
            "watch the mail log",
            "read /etc/postfix/main.cf",
            "postconf -n",
            "postconf -d",
        ),
        *("openssl", "cryptography", "a netlink socket", "ask for a check"),
        *("mail to 127.0.0.1", "mail to ::1", "UDP to 127.0.0.1"),
        *("mail to another address", "UDP to another address"),
        *("log to syslog", "log to the journal", "no capability"),
        # what anybody may
        "lock the instance",
        # private to it
        *("write /tmp", "write /var/tmp"),
    }
)
"""What the monitor can do; nothing else."""

SOCKETS = frozenset(
    {
        *("/dev/log", "/run/systemd/journal/dev-log", "/run/systemd/journal/socket"),
        *("/run/systemd/journal/stdout", "/run/systemd/journal/syslog", "/run/systemd/notify"),
        *("/var/spool/postfix/dev/log",),  # another name of /dev/log, for smtpd in its chroot
    }
)
"""Who takes a connection: those who log, and systemd's ear for "I am alive"."""

BY_KERNEL = {
    "IPAddressDeny=any": (
        'socket.create_connection(("192.0.2.1", 25), 2)',
        {"mail to another address", "UDP to another address"},
    ),
    "SocketBindDeny=any": ('socket.socket().bind(("127.0.0.1", 9999))', {"a port above 1024"}),
}
"""What programs in the kernel (BPF) stop, by the unit's line: how to see whether it has an effect
here, and what it stops. A container may have none of them, Debian 12's systemd has the first."""

NOT_SHOWN = frozenset(
    {
        # not even root can in a container
        *("read /dev/kmsg", "append /proc/sys/kernel/core_pattern", "load a module", "perf"),
        *("set the clock", "kernel log"),
        # root is not another user to itself, and has capabilities
        *("a set-user-ID program of root", "no capability"),
    }
)
"""Probes that also fail without a sandbox, and so show nothing."""

PREPARE = """\
set -e
for owner in root alice; do
    cp /usr/bin/id /usr/local/bin/whoami-$owner
    chown $owner /usr/local/bin/whoami-$owner
    chmod u+s /usr/local/bin/whoami-$owner
    systemd-run --quiet --uid=$owner --unit=of-$owner sleep infinity
    systemctl show --property=MainPID --value of-$owner >/usr/local/lib/sandbox-$owner-sleep
done
ip addr add 192.0.2.1/32 dev lo
systemd-run --quiet --service-type=notify --unit=listening python3 -c '
import os, socket
from systemd import daemon
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/of-root")
listener.listen()
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("0.0.0.0", 7))
daemon.notify("READY=1")
while True:
    said, sender = echo.recvfrom(9)
    echo.sendto(said, sender)
'
(umask 077; echo secret >/etc/ssl/private/key.pem; echo secret >/var/lib/postkeel/of-root)
(umask 027; echo report >/var/lib/postkeel/outbox/of-root)
logger -p mail.info "a line that another process wrote"
printf 'Subject: hello\\n\\nhello\\n' | sendmail -i alice _postkeel
until [ -s /var/mail/alice ] && [ -s /var/mail/_postkeel ]; do sleep 0.1; done
"""
DROP_IN = f"""\
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/usr/bin/python3 -I {PROBE}
StandardOutput=truncate:/var/probed
"""
LOCK = """\
import fcntl, os, time
from systemd import daemon
directory = os.open("/etc/postfix", os.O_RDONLY)
fcntl.flock(directory, fcntl.LOCK_EX)
daemon.notify("READY=1")
time.sleep(1000)
"""


class Probed:
    """A server with postkeel on it, and what was probed there: by unit, "" for none."""

    def __init__(self, server):
        self.server = server
        self.run = server.run
        source = Path(__file__).with_name("sandbox_probe.py").read_text()
        server.debian.write(PROBE, source)
        self.run("postconf", "-e", "inet_interfaces=all", "inet_protocols=all")
        self.run("bash", "-c", PREPARE)
        self.run("systemctl", "restart", "postfix")
        self.without_effect = {line for line in BY_KERNEL if self._passes(line)}
        plain = ("--quiet", "--wait", "--pipe", "--property=PrivateMounts=yes")
        self.found = {"": json.loads(self.run("systemd-run", *plain, "python3", "-I", PROBE))}
        for unit in ("postkeel-monitor", "postkeel"):  # the monitor asks the root side
            self.found[unit] = self._probed(unit)

    def _passes(self, line):
        what = f"import socket; {BY_KERNEL[line][0]}"
        words = ("--quiet", "--wait", f"--property={line}", "python3", "-c", what)
        try:
            self.run("systemd-run", *words)
        except RuntimeError:
            return False
        return True

    def _probed(self, unit):
        """The unit itself, with the probe for an agent; and the agent again."""
        place = f"/run/systemd/system/{unit}.service.d/probe.conf"
        self.server.debian.write(place, DROP_IN)
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "restart", unit)
        found = json.loads(self.server.debian.read("/var/probed"))
        self.run("rm", place)
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "restart", unit)
        return found

    @property
    def not_stopped(self):
        return {name for line in self.without_effect for name in BY_KERNEL[line][1]}

    def done(self, unit):
        tried = self.found[unit]["probes"]
        return {name for name in tried if tried[name] == "done"}


@pytest.fixture(scope="module", params=bed.SUITES)
def server(request, boot_server, package):
    with boot_server(request.param) as server:
        server.install(package)
        yield server


@pytest.fixture(scope="module")
def probed(server):
    return Probed(server)


@pytest.mark.parametrize(("unit", "most"), SCORES.items())
def test_the_exposure_is_as_low_as_was_promised(server, unit, most):
    said = server.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    score = float(re.search(r"exposure level for \S+: ([0-9.]+)", said)[1])
    assert score <= most


@pytest.mark.parametrize("unit", SCORES)
def test_systemd_understands_each_line(server, unit):
    done = server.run("systemd-analyze", "verify", "--man=no", f"{unit}.service")
    assert done == ""
    words = ("--quiet", "-t", "systemd", "--grep", f"{unit}.service:[0-9]")
    assert server.run("journalctl", *words, may_fail=True) == ""


def test_without_a_sandbox_everything_can_be_done(probed):
    tried = probed.found[""]["probes"]
    assert {name for name in tried if tried[name] != "done"} <= NOT_SHOWN
    assert "/run/dbus/system_bus_socket" in probed.found[""]["sockets"]


@pytest.mark.parametrize(("unit", "able"), [("postkeel", ROOT), ("postkeel-monitor", MONITOR)])
def test_a_side_can_do_its_work_and_nothing_else(probed, unit, able):
    expected = able | probed.not_stopped
    if unit == "postkeel":  # it was stopped for the probe, and nobody listens
        expected -= {"ask for a check", "take the channel over"}
    assert probed.done(unit) == expected, probed.found[unit]["probes"]


@pytest.mark.parametrize("unit", SCORES)
def test_a_side_reaches_who_logs_and_nobody_else(probed, unit):
    assert set(probed.found[unit]["sockets"]) <= SOCKETS


def test_the_root_side_reaches_no_other_host(probed):
    if "IPAddressDeny=any" in probed.without_effect:
        pytest.skip("no program in the kernel (BPF) can be had in this container")
    tried = [probed.found[unit]["probes"]["mail to another address"] for unit in SCORES]
    assert tried[0] != "done"
    assert tried[1] == "done"


def test_after_the_probes_drift_is_corrected_and_proved(probed):
    probed.server.corrects(probed.server.weaken)


def test_a_stranger_who_locks_the_instance_keeps_nobody_away(probed):
    """The monitor could too, when it is taken over."""
    run = probed.run
    run("systemctl", "stop", "postkeel")
    locker = ("--quiet", "--service-type=notify", "--uid=alice", "--unit=locker")
    run("systemd-run", *locker, "python3", "-c", LOCK)
    try:
        run("systemctl", "start", "postkeel")
        probed.server.corrects(probed.server.weaken)
    finally:
        run("systemctl", "stop", "locker")
        run("systemctl", "restart", "postkeel")


def test_a_file_of_another_group_is_left_and_the_report_says_what_to_do(probed):
    server, mark = probed.server, datetime.now(UTC)
    server.run("systemctl", "stop", "postkeel")
    server.weaken()
    server.run("chgrp", "postfix", "/etc/postfix/main.cf")
    server.run("systemctl", "start", "postkeel")
    said = json.dumps(server.reported("failed", mark))
    assert "run: chown root:root /etc/postfix/main.cf" in said
    assert server.value() == "none"
    server.run("chown", "root:root", "/etc/postfix/main.cf")
    server.corrects(lambda: server.run("systemctl", "reload", "postkeel"))  # or it waits a minute
