"""What dpkg and apt write, read back: recorded forms, and anything else."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.packages import installed, matters, read_history, read_log


@pytest.mark.parametrize(
    "name",
    [
        *("postfix", "postfix-lmdb", "postkeel", "openssl", "openssl-provider-legacy"),
        *("libssl3", "libssl3t64", "libssl1.1", "ca-certificates", "ssl-cert", "libsasl2-2"),
    ],
)
def test_these_matter(name):
    assert matters(name)


@pytest.mark.parametrize("name", ["", "postfixadmin", "libssl-dev", "postfix-doc", "python3", "a"])
def test_these_do_not(name):
    assert not matters(name)


STATUS = b"""\
Package: adduser
Status: install ok installed
Version: 3.134

Package: postfix
Status: install ok installed
Priority: optional
Version: 3.7.11-0+deb12u1
Conffiles:
 /etc/init.d/postfix c7a8c0f5b0f0
Description: High-performance mail transport agent

Package: postfix-lmdb
Status: deinstall ok config-files
Version: 3.7.11-0+deb12u1

Package: libssl3
Status: install ok triggers-pending
Architecture: amd64
Multi-Arch: same
Version: 3.0.22-1~deb12u2

Package: openssl
Status: install ok not-installed
"""


def test_installed_packages_are_those_with_files_on_the_disk():
    assert installed(STATUS.splitlines(keepends=True)) == {
        "postfix": "3.7.11-0+deb12u1",
        "libssl3": "3.0.22-1~deb12u2",
    }


LOG = b"""\
2026-11-23 07:30:59 startup archives unpack
2026-11-23 07:31:00 upgrade postfix:amd64 3.7.11-0+deb12u1 3.10.13-0+deb13u1
2026-11-23 07:31:00 status half-configured postfix:amd64 3.7.11-0+deb12u1
2026-11-23 07:31:00 status unpacked postfix:amd64 3.7.11-0+deb12u1
2026-11-23 07:31:01 install libssl3t64:amd64 <none> 3.5.4-1
2026-11-23 07:31:01 upgrade libc6:amd64 2.36-9 2.41-12
2026-11-23 07:31:02 startup packages configure
2026-11-23 07:31:02 configure postfix:amd64 3.10.13-0+deb13u1 <none>
2026-11-23 07:31:02 status installed postfix:amd64 3.10.13-0+deb13u1
2026-11-23 07:31:03 remove libssl3:amd64 3.0.22-1~deb12u2 <none>
2026-11-23 07:31:04 trigproc postfix:amd64 3.10.13-0+deb13u1 <none>
"""


def told(log, known=""):
    part = read_log(log.splitlines(keepends=True), known)
    return [(f"{one.time:%M:%S}", one.name, one.before, one.after) for one in part.done], part


def test_the_log_tells_what_was_done_and_when():
    done, part = told(LOG)
    assert done == [
        ("31:00", "postfix", "3.7.11-0+deb12u1", "3.10.13-0+deb13u1"),
        ("31:01", "libssl3t64", None, "3.5.4-1"),
        ("31:03", "libssl3", "3.0.22-1~deb12u2", None),
    ]
    assert not part.known
    assert part.last == "1 2026-11-23 07:31:04 trigproc postfix:amd64 3.10.13-0+deb13u1 <none>"


def test_the_log_tells_what_was_done_since_a_line():
    known = f"1 {LOG.splitlines()[2].decode()}"
    done, part = told(LOG, known)
    assert [one[1] for one in done] == ["libssl3t64", "libssl3"]
    assert part.known
    done, part = told(LOG, part.last)
    assert (done, part.known) == ([], True)


def test_what_is_said_twice_in_a_second_is_not_taken_for_what_was_known():
    second = b"2026-11-23 07:31:00 "
    run = second + b"upgrade postfix:all 1 1\n" + second + b"status installed postfix:all 1\n"
    first = read_log(run.splitlines(keepends=True), "")
    assert first.last.startswith("1 ")
    both = read_log((run * 2).splitlines(keepends=True), first.last)
    assert (len(both.done), both.known, both.last[:2]) == (1, True, "2 ")
    assert read_log((run * 2).splitlines(keepends=True), both.last).done == ()


DAMAGE = {
    "nothing": b"",
    "a day that is none": b"2026-02-31 07:31:00 upgrade postfix:amd64 1 2\n",
    "too few words": b"2026-11-23 07:31:00 upgrade postfix:amd64 1\n",
    "no stamp": b"upgrade postfix:amd64 1 2 3 4\n",
    "a block that a crash has left": b"\0" * 4096 + b"\n",
    "octets of no text": b"2026-11-23 07:31:00 upgrade \xff\xfe 1 2\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_log_tells_what_is_left_of_it(damage):
    assert told(damage)[0] == []
    assert len(told(damage + LOG)[0]) == 3


def test_what_a_log_holds_is_printable_and_short():
    (one,) = read_log([b"2026-11-23 07:31:00 install postfix:a <none> 1\x1b" + b"9" * 999], "").done
    assert one.after.isprintable()
    assert len(one.after) <= 100


@given(st.lists(st.binary() | st.sampled_from(LOG.splitlines(keepends=True))), st.text())
def test_no_log_is_too_odd(lines, known):
    read_log(lines, known)
    installed(lines)
    read_history(b"".join(lines))


HISTORY = b"""
Start-Date: 2026-11-22  06:11:40
Commandline: /usr/bin/unattended-upgrade
Upgrade: libssl3:amd64 (3.0.19-1~deb12u2, 3.0.22-1~deb12u2), openssl:amd64 (3.0.19, 3.0.22)
End-Date: 2026-11-22  06:11:45

Start-Date: 2026-11-22  06:20:00
Commandline: apt-get install cmake
Install: cmake:amd64 (3.25.1-1), libuv1:amd64 (1.44.2-1+deb12u1, automatic)
End-Date: 2026-11-22  06:20:02

Start-Date: 2026-11-23  07:30:01
Commandline: apt-get -o Acquire::http::Proxy=http://me:secret@proxy.example.test -y full-upgrade
Requested-By: admin (1000)
Install: libssl3t64:amd64 (3.5.4-1, automatic)
Upgrade: postfix:amd64 (3.7.11-0+deb12u1, 3.10.13-0+deb13u1), libc6:amd64 (2.36-9, 2.41-12)
Remove: libssl3:amd64 (3.0.22-1~deb12u2)
End-Date: 2026-11-23  07:31:05

Start-Date: 2026-11-23  08:00:00
Commandline: apt-get install --reinstall --option=x=secret postfix/sid /tmp/cmake_1_all.deb
Reinstall: postfix:amd64 (3.10.13-0+deb13u1)
Error: Sub-process /usr/bin/dpkg returned an error code (1)

Start-Date: 2026-11-23  08:10:00
Downgrade: postfix:amd64 (3.10.13-0+deb13u1, 3.7.11-0+deb12u1)
Purge: postfix-lmdb:amd64 (3.10.13-0+deb13u1)
End-Date: 2026-11-23  08:10:07
"""


def test_the_history_tells_who_asked_for_what():
    runs = read_history(HISTORY)
    assert [(one.command, one.requester, dict(one.left)) for one in runs] == [
        ("unattended-upgrade", "", {"libssl3": "3.0.22-1~deb12u2", "openssl": "3.0.22"}),
        (
            "apt-get full-upgrade",
            "admin",
            {"libssl3t64": "3.5.4-1", "postfix": "3.10.13-0+deb13u1", "libssl3": None},
        ),
        (
            "apt-get install --reinstall postfix/sid cmake_1_all.deb",
            "",
            {"postfix": "3.10.13-0+deb13u1"},
        ),
        ("", "", {"postfix": "3.7.11-0+deb12u1", "postfix-lmdb": None}),
    ]


def at(text):
    return datetime.fromisoformat(f"2026-11-{text}")


def test_a_run_covers_its_time():
    run = read_history(HISTORY)[0]
    assert run.covers(at("22 06:11:40"))
    assert run.covers(at("22 06:11:45"))
    assert not run.covers(at("22 06:11:39"))
    assert not run.covers(at("22 06:11:46"))
    broken = read_history(HISTORY)[2]
    assert broken.ended is None
    assert broken.covers(at("24 00:00:00"))
    (undated,) = read_history(b"Purge: postfix:amd64 (1)\n")
    assert undated.covers(at("24 00:00:00"))


def test_a_command_line_is_one_short_line():
    command = b"Commandline: apt-get install \x1b[2J" + b"x" * 999
    (run,) = read_history(command + b"\nInstall: postfix:amd64 (1)\n")
    assert run.command.isprintable()
    assert len(run.command) <= 120
