"""A guarded Postfix in trouble: power cuts, full disks, and Postfix stopped, gone or doubled.

One boot serves all tests of a release. Each ends with a server that is whole again.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

import booted_debian as bed
from installed_server import LEVEL, SIDES

pytestmark = pytest.mark.system

UNITS = {"bookworm": ("postfix", "postfix@-"), "trixie": ("postfix",), "sid": ("postfix",)}
MAIN_CF = "/etc/postfix/main.cf"
SECOND = "/etc/postfix-second"
SECOND_ADDRESS = "127.0.0.2"


@pytest.fixture(scope="module", params=bed.SUITES)
def booted(request, boot_server, package):
    with boot_server(request.param) as server:
        server.install(package)
        yield server


@pytest.fixture
def server(booted):
    """Whole and hardened, also after a test that failed in the middle of its trouble."""
    if not is_hardened(booted):
        unmasked(booted)
        booted.run("systemctl", "restart", *SIDES)
        booted.until(lambda: is_hardened(booted))
    return booted


def is_hardened(server):
    """As wanted, by the configuration's own word; both sides are there to keep it so."""
    return server.are_up() and server.value() == "may" and server.is_as_wanted()


def test_a_reboot_keeps_the_guard_and_finds_what_drifted_before_it(server, note):
    server.run("systemctl", "stop", *SIDES)
    server.weaken()
    server.run("postfix", "reload")
    with pytest.raises(RuntimeError, match="no proof"):
        server.prove(patience=3)
    mark = datetime.now(UTC)
    began = time.monotonic()
    server.debian.reboot()
    server.reported("fixed", mark)
    note(server.suite, "reboot to corrected", time.monotonic() - began)
    server.prove()
    assert is_hardened(server)


@pytest.mark.parametrize("pause", [0.0, 0.1, 0.2, 0.3])
def test_a_power_cut_during_a_correction_leaves_all_whole(server, pause):
    """Whatever the moment, what is on disk is the old file or the new one, and is corrected."""
    server.weaken()
    time.sleep(pause)
    server.debian.cut_power()
    level = [
        line.split(b"=")[1].strip()
        for line in server.debian.read(MAIN_CF).splitlines()
        if line.startswith(LEVEL.encode())
    ]
    assert level in ([b"none"], [b"may"])
    server.debian.boot()
    server.until(lambda: is_hardened(server))
    assert server.reports()
    assert server.run("find", "/var/lib/postkeel/staging", "-type", "f") == ""
    server.prove()


def stopped(server):
    server.run("systemctl", "stop", *UNITS[server.suite])


def started(server):
    server.run("systemctl", "start", "postfix")


def masked(server):
    stopped(server)
    server.run("systemctl", "mask", *UNITS[server.suite])


def unmasked(server):
    server.run("systemctl", "unmask", *UNITS[server.suite])
    started(server)


@pytest.mark.parametrize(("gone", "back"), [(stopped, started), (masked, unmasked)])
def test_without_a_running_postfix_the_files_are_corrected(server, gone, back):
    gone(server)
    states = server.run("systemctl", "is-active", *UNITS[server.suite], may_fail=True).split()
    assert set(states) == {"inactive"}
    mark = datetime.now(UTC)
    server.weaken()
    report = server.reported("fixed", mark)
    assert report["proof"] == [
        "Postfix is not running: the files are corrected, nothing was observed"
    ]
    back(server)
    server.prove()
    assert is_hardened(server)


@pytest.mark.parametrize("way", ["--remove", "--purge"])
def test_postfix_removed_and_installed_again(server, way):
    """Purged, even its directory is another one afterwards, which the sandbox has to let in."""
    server.run("dpkg", "--force-depends", way, "postfix", seconds=120)
    assert server.are_up()
    server.debian.apt("install", "--no-install-recommends", "postfix")
    server.until(lambda: is_hardened(server))
    server.run("postconf", "-e", "myhostname=mx.example.test", "mydestination=mx.example.test")
    server.run("systemctl", "restart", "postfix")
    server.prove()
    server.corrects(server.weaken)


def test_a_directory_put_in_the_place_of_the_other_is_guarded(server):
    """As when a backup is played back."""
    server.run("cp", "-a", "/etc/postfix", "/etc/postfix.new")

    def drift():
        server.run("sh", "-c", "mv /etc/postfix /etc/postfix.old; mv /etc/postfix.new /etc/postfix")
        server.weaken()

    server.corrects(drift)
    server.run("rm", "-r", "/etc/postfix.old")
    server.corrects(server.weaken)


def test_a_second_instance_is_guarded_with_the_documented_drop_in(server):
    server.run("ip", "address", "add", f"{SECOND_ADDRESS}/8", "dev", "lo")
    server.run("postconf", "-e", "inet_interfaces=127.0.0.1")
    server.run("systemctl", "restart", "postfix")
    server.run("postmulti", "-e", "init")
    server.run("postmulti", "-I", "postfix-second", "-e", "create")
    settings = (
        f"inet_interfaces={SECOND_ADDRESS}",
        "myhostname=mx.example.test",
        "master_service_disable=",
        "authorized_submit_users=static:anyone",
        "mydestination=mx.example.test",
        "local_recipient_maps=",
        f"{LEVEL}=none",
        "smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem",
        "smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key",
    )
    server.run("postconf", "-c", SECOND, "-e", *settings)
    server.run("postmulti", "-i", "postfix-second", "-e", "enable")
    server.run("postmulti", "-i", "postfix-second", "-p", "start")
    drop_in = f"[Service]\nReadWritePaths={SECOND}\n"
    server.debian.write("/etc/systemd/system/postkeel.service.d/second.conf", drop_in)
    server.run("systemctl", "daemon-reload")
    mark = datetime.now(UTC)
    server.run("systemctl", "restart", *SIDES)
    server.reported("fixed", mark)
    server.until(server.is_as_wanted)
    server.prove(SECOND_ADDRESS)
    server.prove()
    mark = datetime.now(UTC)
    server.run("postconf", "-c", SECOND, "-e", f"{LEVEL}=none")
    assert server.reported("fixed", mark)["instance"] == SECOND
    server.prove(SECOND_ADDRESS)


def fill(server, directory):
    """Until nothing more fits."""
    server.run("sh", "-c", f"cat /dev/zero >>{directory}/filler", may_fail=True)


def on_a_small_disk(server, directory, size):
    """From now on the directory is a file system of its own, with what was in it."""
    script = (
        f"cp -a {directory} /root/kept && mount -t tmpfs -o size={size},mode=755 small {directory}"
        f" && cp -a /root/kept/. {directory} && rm -r /root/kept"
    )
    server.run("systemctl", "stop", *SIDES)
    server.run("sh", "-c", script)


def test_a_full_disk_under_postfix_is_told_and_nothing_is_lost(server):
    on_a_small_disk(server, "/etc/postfix", "1m")
    server.weaken()
    before = server.debian.read(MAIN_CF)
    fill(server, "/etc/postfix")
    mark = datetime.now(UTC)
    server.run("systemctl", "start", *SIDES)
    report = server.reported("failed", mark)
    assert "No space left on device" in str(report)
    assert server.debian.read(MAIN_CF) == before
    server.run("rm", "/etc/postfix/filler")
    server.run("systemctl", "reload", "postkeel")  # it would try again by itself in a minute
    server.reported("fixed", mark)
    server.prove()
    server.run("systemctl", "stop", *SIDES)
    server.run("sh", "-c", "cp -a /etc/postfix /root/kept; umount /etc/postfix")
    server.run("sh", "-c", "cp -a /root/kept/. /etc/postfix; rm -r /root/kept")
    server.run("systemctl", "start", *SIDES)
    server.until(lambda: is_hardened(server))
    server.corrects(server.weaken)


def test_a_full_disk_under_the_state_is_told_and_ends_well(server):
    on_a_small_disk(server, "/var/lib/postkeel", "2m")
    known = len(server.reports(500))
    server.run("systemctl", "start", *SIDES)
    server.until(server.are_up)
    mark = datetime.now(UTC)

    def told():
        """What the agent itself has just given back may do for one correction."""
        fill(server, "/var/lib/postkeel")
        if server.value() == "may":
            server.weaken()
        match = ("--identifier=postkeel", f"--since=@{int(mark.timestamp())}")
        said = server.run("journalctl", "--quiet", "--output=cat", *match, may_fail=True)
        return "No space left on device" in said or "disk is full" in said

    server.until(told)
    assert server.value() in {"none", "may"}
    server.run("postfix", "check")
    server.run("rm", "/var/lib/postkeel/filler")
    server.run("systemctl", "reload", "postkeel")
    server.until(lambda: is_hardened(server))
    server.prove()
    assert len(server.reports(500)) >= known
    server.corrects(server.weaken)
    server.run("systemctl", "stop", *SIDES)
    server.run("umount", "/var/lib/postkeel")
    server.run("systemctl", "start", *SIDES)
    server.until(lambda: is_hardened(server))
    server.prove()
