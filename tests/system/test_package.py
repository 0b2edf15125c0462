"""The package's life on each Debian: installed, drifted away from, upgraded, removed.

One boot serves all tests of a release, in their order; each leaves behind a server that is
guarded and as wanted, the last ones excepted. Postfix is Debian's default one.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import pytest

import booted_debian as bed
from built_package import renumbered, version_of
from installed_server import LEVEL, SIDES, InstalledServer

pytestmark = pytest.mark.system

MAIN_CF = "/etc/postfix/main.cf"
LATER = "99.0"
# Holds dpkg's lock as apt does, and says at each step what main.cf holds meanwhile.
HOLD_LOCK = f"""\
import fcntl, os, subprocess, sys, time
level = ["postconf", "-h", "{LEVEL}"]
lock = os.open("/var/lib/dpkg/lock-frontend", os.O_RDWR | os.O_CREAT, 0o640)
fcntl.lockf(lock, fcntl.LOCK_EX)
subprocess.run(["postconf", "-e", "{LEVEL}=none"], check=True)
end = time.monotonic() + float(sys.argv[1])
seen = set()
while time.monotonic() < end:
    seen.add(subprocess.run(level, capture_output=True, text=True).stdout.strip())
print(*seen)
"""


# Keeps what it is sent over TLS.
COLLECTOR = """\
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], "/root/collector.key")
with socket.create_server(("127.0.0.1", 6514)) as server, open("/root/collected", "ab", 0) as kept:
    while True:
        connection, _ = server.accept()
        with context.wrap_socket(connection, server_side=True) as client:
            while octets := client.recv(65536):
                kept.write(octets)
"""
CENTRAL = """\
[plugins.central]
collectors = ["tls://localhost"]
ca = "/etc/postkeel/collector.pem"
"""


@pytest.fixture(scope="module", params=bed.SUITES)
def server(request, boot_server, package, note):
    began = time.monotonic()
    with boot_server(request.param) as booted:
        note(request.param, "boot, the tree made if it was not there", time.monotonic() - began)
        installing, proving = booted.install(package)
        note(request.param, "apt-get install postkeel", installing)
        note(request.param, "from the end of apt to the first proved hardening", proving)
        booted.seconds_to_proof = proving
        yield booted


@pytest.fixture(scope="module")
def later(package, tmp_path_factory):
    """This package as a later version of it would be."""
    return renumbered(package, LATER, tmp_path_factory.mktemp("later"))


def test_installation_hardens_within_ten_seconds(server):
    assert server.seconds_to_proof < 10
    (first,) = [one for one in server.reports() if one["outcome"] == "fixed"]
    assert {one["outcome"] for one in first["judged"]} == {"fixed"}
    assert any("TLSv1.3" in one for one in first["proof"])
    assert any("refuses protocols older than TLSv1.2" in one for one in first["proof"])
    assert server.is_as_wanted()
    server.prove()


def test_both_sides_are_up_and_see_what_postfix_does(server):
    assert server.are_up()
    assert server.run("systemctl", "is-enabled", *SIDES).split() == ["enabled", "enabled"]

    def counted():
        said = json.loads(server.run("postkeel", "tls-log", "--format", "json", may_fail=True))
        return sum(one["count"] for one in said["connections"])

    before = counted()
    server.prove()
    server.until(lambda: counted() > before)


def test_reports_of_the_correcting_side_reach_the_other_one(server):
    """Without a right to give files away: the directory passes its group on."""
    outbox = "/var/lib/postkeel/outbox"
    server.corrects(server.weaken)
    owners = server.run("find", outbox, "-type", "f", "-printf", "%u:%g:%m\n")
    assert set(owners.split()) == {"root:_postkeel:640"}

    def unread():
        (last,) = server.run("sh", "-c", f"tail -qn 1 {outbox}/* | tail -n 1").splitlines()
        kept = json.loads(server.debian.read("/var/lib/postkeel/monitor/inbox.json"))
        return json.loads(last)["number"] - kept["number"]

    server.until(lambda: unread() == 0)
    status = json.loads(server.run("postkeel", "status", "--format", "json"))
    assert "outbox" not in json.dumps(status)


def test_a_correction_reaches_a_collector_by_tls(server):
    """Out of both sandboxes: the root side has no network, the monitor has."""
    server.debian.write("/root/collector.py", COLLECTOR)
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "/root/collector.key")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    pem = "/etc/postkeel/collector.pem"
    server.run("openssl", "req", "-x509", *key, *names, "-out", pem)
    server.run("systemd-run", "--unit=collector", "python3", "/root/collector.py", pem)
    server.debian.write("/etc/postkeel/conf.d/central.toml", CENTRAL)
    server.run("systemctl", "reload", "postkeel")
    server.corrects(server.weaken)

    def collected():
        return server.run("cat", "/root/collected", may_fail=True)

    server.until(lambda: ' rule="mx-security-level" result="fixed" ' in collected())
    server.until(lambda: ' event="heartbeat"' in collected())
    assert ' guarded="yes" ' in collected()
    (said,) = json.loads(server.run("postkeel", "status", "--format", "json"))["reporters"]
    assert (said["name"], said["dropped"], said["said"][1:]) == ("central", 0, [])
    server.run("rm", "/etc/postkeel/conf.d/central.toml")
    server.run("systemctl", "stop", "collector")
    server.run("systemctl", "reload", "postkeel")


def edited(server):
    server.run("sed", "-i", f"s/^{LEVEL} *=.*/{LEVEL} = none/", MAIN_CF)


def appended_without_newline(server):
    text = server.debian.read(MAIN_CF).decode()
    server.debian.write(MAIN_CF, f"{text}{LEVEL} = none")


def overridden_in_master_cf(server):
    server.run("postconf", "-P", f"smtp/inet/{LEVEL}=none")


@pytest.mark.parametrize(
    "drift", [InstalledServer.weaken, edited, appended_without_newline, overridden_in_master_cf]
)
def test_drift_by_hand_is_corrected(server, drift, note):
    began = time.monotonic()
    report = server.corrects(lambda: drift(server))
    note(server.suite, f"{drift.__name__} to corrected and a mail", time.monotonic() - began)
    assert {one["parameter"] for one in report["judged"]} == {LEVEL}
    assert server.is_as_wanted()


def test_a_new_main_cf_from_dpkg_reconfigure_is_hardened(server):
    """Without main.cf Debian's scripts make their own again; with it they change nothing."""
    reconfigure = ("dpkg-reconfigure", "-f", "noninteractive", "postfix")
    before = server.debian.read(MAIN_CF)
    server.run(*reconfigure)
    assert server.debian.read(MAIN_CF) == before
    server.prove()

    server.run("rm", MAIN_CF)
    server.run(*reconfigure)
    # The scripts edit it and restart Postfix while it is corrected: how often, is not said.
    server.until(server.is_as_wanted)
    server.prove()


def test_what_debconf_resets_beside_tls_is_left_alone(server):
    """Each answer is marked as changed, as after an interactive dpkg-reconfigure."""
    server.run("postconf", "-e", "relayhost=[relay.example.test]", "inet_interfaces=127.0.0.1")
    questions = ("relayhost", "mynetworks", "mailbox_limit", "recipient_delim", "protocols")
    flags = "".join(f"fset postfix/{one} changed true\n" for one in questions)
    talk = f"SET postfix/relayhost\n{flags}".replace("fset", "FSET")
    server.run("debconf-communicate", "postfix", fed=talk)
    server.run("dpkg-reconfigure", "-f", "noninteractive", "postfix")
    server.run("postconf", "-e", "relayhost=", "inet_interfaces=all")
    server.run("systemctl", "restart", "postfix")
    server.prove()
    assert server.is_as_wanted()


def test_nothing_is_written_while_dpkg_is_locked(server):
    """Drift under the lock stays as long as the lock does; then it is corrected."""
    server.debian.write("/root/hold_lock.py", HOLD_LOCK)
    mark = datetime.now(UTC)
    assert server.run("python3", "/root/hold_lock.py", "4") == "none\n"
    held = server.reported("held", mark)
    assert "python3" in json.dumps(held["judged"])
    server.reported("fixed", mark)
    server.prove()


def test_drift_while_apt_reinstalls_postfix_is_corrected_after_it(server):
    mark = datetime.now(UTC)
    assert server.apt_while_it_drifts("install", "--reinstall", "postfix") == {"none"}
    report = server.reported("fixed", mark)
    assert f"postfix {server.version('postfix')} installed again (apt-get" in report["cause"]
    server.prove()


@pytest.mark.parametrize("agent", ["at work", "stopped"])
def test_an_upgrade_of_postfix_is_named_as_the_cause(server, tmp_path, agent):
    """Postfix's own package with a higher version; dpkg's trigger tells the agent of it."""
    archives = bed.tree_of(server.suite) / "var/cache/apt/archives"
    (original,) = archives.glob("postfix_*.deb")
    before = server.version("postfix")
    after = f"{before}+upgraded"
    server.debian.take(renumbered(original, after, tmp_path), "/root/postfix.deb")
    if agent == "stopped":
        server.run("systemctl", "stop", *SIDES)
    mark = datetime.now(UTC)
    assert server.apt_while_it_drifts("install", "/root/postfix.deb") == {"none"}
    server.run("systemctl", "start", *SIDES)
    report = server.reported("fixed", mark)
    assert f"postfix {before} -> {after} (apt-get" in report["cause"]
    server.prove()
    assert server.is_as_wanted()


def test_drift_without_a_package_says_so(server):
    report = server.corrects(server.weaken)
    assert "main.cf" in report["cause"]
    assert "no package" in report["cause"]


def test_needrestart_and_unattended_upgrades_are_not_disturbed(server, later):
    bare = ("install", "--no-install-recommends")
    server.debian.apt(*bare, "needrestart", "unattended-upgrades")
    said = server.run("needrestart", "-b", "-r", "l", seconds=120)
    assert "postkeel" not in said
    repository = "/srv/packages"
    server.debian.take(later, f"{repository}/{later.name}")
    control = server.run("dpkg-deb", "--field", f"{repository}/{later.name}").strip()
    sums = server.run("sha256sum", f"{repository}/{later.name}").split()[0]
    size = server.run("stat", "--format=%s", f"{repository}/{later.name}").strip()
    entry = f"{control}\nFilename: ./{later.name}\nSHA256: {sums}\nSize: {size}\n"
    server.debian.write(f"{repository}/Packages", entry)
    digest = server.run("sha256sum", f"{repository}/Packages").split()[0]
    files = f"SHA256:\n {digest} {len(entry.encode())} Packages\n"
    server.debian.write(f"{repository}/Release", f"Origin: here\nLabel: here\n{files}")
    server.debian.write("/etc/apt/sources.list", f"deb [trusted=yes] file:{repository} ./\n")
    server.debian.write(
        "/etc/apt/apt.conf.d/99tests",
        'Unattended-Upgrade::Origins-Pattern { "origin=here"; };\n',
    )
    server.run("apt-get", "--quiet", "update")
    mark = datetime.now(UTC)
    server.run("unattended-upgrade", "--verbose", seconds=200)
    assert server.run("postkeel", "--version").split()[-1] == LATER
    server.until(server.are_up)
    assert server.reported("clean", mark)
    server.corrects(server.weaken)


def test_postkeel_is_downgraded_and_upgraded(server, package, later):
    history = len(server.reports(500))
    for version, deb in ((version_of(package), package), (LATER, later)):
        before = [server.process(side) for side in SIDES]
        server.debian.install(deb)
        server.until(server.are_up)
        assert server.run("postkeel", "--version").split()[-1] == version
        assert not set(before) & {server.process(side) for side in SIDES}
        server.corrects(server.weaken)
    assert len(server.reports(500)) >= history + 2


def test_reload_takes_up_a_new_configuration_on_both_sides(server):
    before = [server.process(side) for side in SIDES]
    server.debian.write("/etc/postkeel/conf.d/z.toml", 'profile = "strict"\n')
    mark = datetime.now(UTC)
    server.run("systemctl", "reload", "postkeel")
    report = server.reported("fixed", mark)
    assert "smtpd_tls_ciphers" in {one["parameter"] for one in report["judged"]}
    server.prove()
    server.run("rm", "/etc/postkeel/conf.d/z.toml")
    server.run("systemctl", "reload", "postkeel")
    assert [server.process(side) for side in SIDES] == before
    server.corrects(server.weaken)


def test_restarts_lose_no_report(server):
    """Restarted again and again in the middle of corrections: all is told in the syslog."""
    mark = datetime.now(UTC)
    for pause in (0.05, 0.3, 0.6, 1.0):
        server.weaken()
        time.sleep(pause)
        server.run("systemctl", "restart", *SIDES)
        server.until(lambda: server.value() == "may")
    server.until(server.is_as_wanted)
    server.corrects(server.weaken)

    def told():
        """By name: journald cannot tell the unit of a process that has ended meanwhile."""
        match = ("--identifier=postkeel", f"--since=@{int(mark.timestamp())}", "--output=cat")
        return server.run("journalctl", "--quiet", *match, may_fail=True).count(": fixed ")

    fixed = [one for one in server.reports_since(mark) if one["outcome"] == "fixed"]
    assert fixed
    server.until(lambda: told() >= len(fixed))


def test_killed_again_and_again_both_sides_come_back(server):
    for _ in range(3):
        before = [server.process(side) for side in SIDES]
        server.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", *SIDES)
        server.until(lambda: not {"0", *before} & {server.process(side) for side in SIDES})  # noqa: B023
    server.until(server.are_up)
    server.corrects(server.weaken)
    assert server.is_as_wanted()


def test_removal_leaves_postfix_as_it_is_and_purge_says_where_the_originals_are(server, package):
    def of_postfix():
        hashes = server.run("sh", "-c", "sha256sum /etc/postfix/*.cf")
        return hashes, server.run("cat", "/var/spool/postfix/pid/master.pid")

    before = of_postfix()
    said = server.debian.apt("remove", "postkeel")
    assert of_postfix() == before
    assert "postkeel restore" in said
    assert server.process("postkeel") == server.process("postkeel-monitor") == "0"
    server.prove()

    server.weaken()
    server.install(package)  # as it comes back: the drift of the meantime is corrected
    server.prove()
    history = server.reports(500)
    assert len(history) > 3

    before = of_postfix()
    said = server.debian.apt("purge", "postkeel")
    assert of_postfix() == before
    (kept,) = re.findall(r"^/var/backups/postkeel\S+$", said, re.MULTILINE)
    originals = server.run("find", kept, "-name", "main.cf")
    assert originals
    gone = server.run("sh", "-c", "ls -d /var/lib/postkeel /run/postkeel; true", may_fail=True)
    assert gone == ""
    server.prove()
