"""What changed since the last report, by dpkg's real files and by damaged ones."""

import gzip
import json
import os
import re
import time
from datetime import datetime
from pathlib import Path

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.core.model import PackageChange
from postkeel.core.upgrade import told
from postkeel.postfix.instance import Instance
from postkeel.shell.dpkg_files import DpkgFiles
from postkeel.shell.packages import Packages
from scratch_dpkg import ScratchDpkg

ONE, OTHER = "/etc/postfix", "/etc/postfix-out"
OLD, NEW = "3.7.11-0+deb12u1", "3.10.13-0+deb13u1"


def postfix(warnings=(), **defaults):
    return Instance(
        config_directory=ONE,
        version="3.7.11",
        openssl="",
        map_types=(),
        parameters={},
        defaults={"tls_high_cipherlist": "a", "myhostname": "x"} | defaults,
        services=(),
        main_cf="",
        master_cf="",
        warnings=warnings,
    )


class Host:
    """dpkg's files, written by the test, and what postkeel keeps of them."""

    def __init__(self, directory):
        self.status = directory / "status"
        self.logs = directory / "log"
        (self.logs / "apt").mkdir(parents=True)
        self.state = str(directory / "state")
        self.lines = []

    @property
    def packages(self):
        """As a process that has just started sees it."""
        return Packages(self.state, DpkgFiles(str(self.status), str(self.logs)))

    def has(self, **versions):
        """dpkg writes its file anew and renames it."""
        new = self.status.with_suffix(".new")
        new.write_text(
            "\n".join(
                f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
                for name, version in versions.items()
            )
        )
        new.rename(self.status)

    def logged(self, *lines):
        with (self.logs / "dpkg.log").open("a") as file:
            file.writelines(f"2026-11-23 07:{line}\n" for line in lines)

    def told(self, directory=ONE, instance=None):
        """One round with a report that is kept."""
        packages = self.packages
        upgrade = packages.upgrade(directory, instance or postfix())
        packages.told(directory)
        return upgrade


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    made.has(postfix=OLD)
    made.logged(f"00:01 install postfix:amd64 <none> {OLD}", "00:02 status installed x:all 1")
    return made


def names(upgrade):
    return [one.name for one in upgrade.packages]


def test_the_first_time_there_is_nothing_to_compare_with(host):
    assert host.told() is None
    assert not host.told().found


def test_an_upgrade_is_told_once_and_until_its_report_is_kept(host):
    host.told()
    host.has(postfix=NEW)
    host.logged(f"31:00 upgrade postfix:amd64 {OLD} {NEW}")
    for _ in range(2):
        assert names(host.packages.upgrade(ONE, postfix())) == ["postfix"]
    assert names(host.told()) == ["postfix"]
    assert not host.told().found


def test_each_instance_is_told(host):
    host.told(ONE)
    host.told(OTHER)
    host.has(postfix=NEW)
    assert names(host.told(ONE)) == names(host.told(OTHER)) == ["postfix"]


def test_defaults_are_compared_although_dpkg_did_nothing(host):
    """A Postfix that was built here."""
    host.told()
    upgrade = host.told(instance=postfix(tls_high_cipherlist="b", myhostname="y"))
    assert [one.parameter for one in upgrade.defaults] == ["tls_high_cipherlist"]
    assert not host.told(instance=postfix(tls_high_cipherlist="b")).found


def test_new_warnings_come_with_an_upgrade(host):
    host.told(instance=postfix(("old",)))
    host.has(postfix=NEW)
    assert host.told(instance=postfix(("old", "new"))).warnings == ("new",)


def test_a_postfix_that_cannot_be_asked_changes_no_default(host):
    packages = host.packages
    assert packages.upgrade(ONE, None) is None
    packages.told(ONE)
    assert not os.path.exists(packages.path)
    host.told()
    host.has()
    packages = host.packages
    upgrade = packages.upgrade(ONE, None)
    assert told(upgrade) == f"packages: postfix {OLD} removed"
    packages.told(ONE)
    host.has(postfix=OLD)
    assert host.told().defaults == ()


def test_dpkgs_files_are_read_only_when_dpkg_did_something(host, monkeypatch):
    host.told()

    def refuse(*_):
        raise AssertionError("read")

    for name in ("versions", "done_since", "runs"):
        monkeypatch.setattr(DpkgFiles, name, refuse)
    assert not host.told().found
    host.has(postfix=OLD, other="1")
    with pytest.raises(AssertionError, match="read"):
        host.told()


def test_a_host_without_dpkg(tmp_path):
    host = Host(tmp_path)
    assert host.told() is None
    assert not host.told().found
    host.has(postfix=OLD)
    assert names(host.told()) == ["postfix"]


def test_a_status_file_that_is_gone_removes_no_package(host):
    host.told()
    host.status.unlink()
    assert not host.told().found


def test_a_status_file_that_cannot_be_read_is_said(host):
    host.told()
    host.status.unlink()
    host.status.mkdir()
    with pytest.raises(PostkeelError, match=r"status: (not a file|cannot be read)"):
        host.told()


def test_installed_again_is_found_by_the_log(host):
    host.told()
    host.has(postfix=OLD, other="1")
    host.logged("30:00 install other:amd64 <none> 1")
    assert not host.told().found
    host.has(postfix=OLD)
    host.logged(f"31:00 upgrade postfix:amd64 {OLD} {OLD}")
    assert host.told().packages == (PackageChange(name="postfix", before=OLD, after=OLD),)


@pytest.mark.parametrize("suffixes", [[".1"], [".1", ".1.gz"], [".1", ".2.gz"]])
def test_rotated_logs_are_looked_into(host, suffixes):
    host.told()
    host.logged(f"31:00 upgrade postfix:amd64 {OLD} {OLD}")
    log = host.logs / "dpkg.log"
    for suffix in suffixes:
        rotated = host.logs / f"dpkg.log{suffix}"
        if suffix.endswith(".gz"):
            rotated.write_bytes(gzip.compress((host.logs / "dpkg.log.1").read_bytes()))
            (host.logs / "dpkg.log.1").unlink()
        else:
            log.rename(rotated)
    host.logged("40:00 install ssl-cert:all <none> 1")
    host.has(postfix=OLD, **{"ssl-cert": "1"})
    assert names(host.told()) == ["postfix", "ssl-cert"]
    assert not host.told().found


def test_a_log_from_which_the_known_line_is_gone_says_when(host):
    host.told()
    (host.logs / "dpkg.log").write_text(
        f"2026-11-23 07:30:00 upgrade ssl-cert:all 1 1\n"
        f"2026-11-23 07:31:00 upgrade postfix:amd64 {OLD} {NEW}\n"
    )
    host.has(postfix=NEW, **{"ssl-cert": "1"})
    upgrade = host.told()
    assert names(upgrade) == ["postfix", "ssl-cert"], "the second is new in the status file"
    assert upgrade.time == datetime.fromisoformat("2026-11-23 07:31").astimezone()


def spoil(name):
    """What a log may be instead of one."""

    def made(path):
        path.unlink()
        match name:
            case "directory":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "loop":
                path.symlink_to(path)
            case "octets":
                path.write_bytes(b"\0\xff\n" * 5000 + b"x" * 100_000)
            case "gone":
                pass

    return made


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "octets", "gone"])
def test_without_a_readable_log_the_versions_tell(host, kind):
    host.told()
    (host.logs / "apt" / "history.log").touch()
    for log in ("dpkg.log", "apt/history.log"):
        spoil(kind)(host.logs / log)
    (host.logs / "dpkg.log.1.gz").write_bytes(gzip.compress(b"x" * 99)[:-20])
    (host.logs / "dpkg.log.2.gz").write_bytes(b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 99)
    host.has(postfix=NEW)
    upgrade = host.told()
    assert names(upgrade) == ["postfix"]
    assert (upgrade.time, upgrade.command) == (None, "")


def test_a_time_that_no_calendar_has_is_left_out(host):
    host.told()
    (host.logs / "dpkg.log").write_text(f"0001-01-01 00:00:00 upgrade postfix:amd64 {OLD} {NEW}\n")
    host.has(postfix=NEW)
    upgrade = host.told()
    assert names(upgrade) == ["postfix"]
    assert upgrade.time is None or upgrade.time.year == 1


def test_of_a_line_without_end_only_the_beginning_is_read(host):
    host.told()
    tail = f"2026-11-23 07:31:00 upgrade postfix:amd64 {OLD} {OLD}"
    with (host.logs / "dpkg.log").open("a") as file:
        file.write("x" * 4096 + tail + "\n")
    host.has(postfix=OLD, other="1")
    assert not host.told().found


def test_a_log_is_read_from_its_end(host, monkeypatch):
    monkeypatch.setattr("postkeel.shell.dpkg_files._LOG_LIMIT", 200)
    host.told()
    host.logged(f"30:00 upgrade postfix:amd64 {OLD} {NEW}", *["31:00 status x y:all 1"] * 99)
    host.has(postfix=NEW)
    upgrade = host.told()
    assert names(upgrade) == ["postfix"]
    assert upgrade.time is None


MARKS = {
    "no JSON": "{",
    "another version": '{"version": 9, "marks": {}}',
    "no marks": '{"version": 1}',
    "no table": "[]",
    "a list of marks": '{"version": 1, "marks": []}',
    "no mark": '{"version": 1, "marks": {"/etc/postfix": 1}}',
    "deep": "[" * 100_000,
    "half a mark": '{"version": 1, "marks": {"/etc/postfix": {"status": [1]}}}',
    "a mark of the wrong shape": json.dumps(
        {
            "version": 1,
            "marks": {
                ONE: {"status": 1, "versions": {}, "log": "", "defaults": {}, "warnings": []}
            },
        }
    ),
}


@pytest.mark.parametrize("content", MARKS.values(), ids=MARKS)
def test_marks_that_cannot_be_understood_are_said_once_and_begun_anew(host, content):
    host.told()
    Path(host.packages.path).write_text(content)
    packages = host.packages
    with pytest.raises(PostkeelError, match=r"packages\.json: cannot be understood"):
        packages.upgrade(ONE, postfix())
    packages.told(ONE)
    assert not host.told().found


@pytest.mark.live
def test_real_dpkg_and_apt(tmp_path):
    dpkg = ScratchDpkg(tmp_path / "root")
    old, new = (dpkg.package("postfix", one) for one in (OLD, NEW))
    dpkg.dpkg("-i", old)

    def after(*words):
        packages = Packages(str(tmp_path / "state"), dpkg.files)
        upgrade = packages.upgrade(ONE, postfix())
        packages.told(ONE)
        return None if upgrade is None else re.sub(r"(, | \()20\d\d-.*", "", told(upgrade))

    assert after() is None
    dpkg.apt("install", new, dpkg.package("libssl3t64", "3.5.4-1"))
    assert after() == (
        f"package upgrade: postfix {OLD} -> {NEW}, libssl3t64 3.5.4-1 installed"
        f" (apt-get install postfix_{NEW}.deb libssl3t64_3.5.4-1.deb"
    )
    dpkg.apt("install", "--reinstall", new)
    again = f"packages: postfix {NEW} installed again"
    assert after() == f"{again} (apt-get install --reinstall postfix_{NEW}.deb"
    second = time.time() // 1
    while time.time() // 1 == second:  # else it would have been within apt's run
        time.sleep(0.05)
    dpkg.dpkg("-i", new)
    assert after() == again
    dpkg.apt("install", "--allow-downgrades", old)
    assert after() == (
        f"package upgrade: postfix {NEW} -> {OLD}"
        f" (apt-get install --allow-downgrades postfix_{OLD}.deb"
    )
    dpkg.apt("purge", "postfix")
    assert after() == f"packages: postfix {OLD} removed (apt-get purge postfix"
    assert after() == ""
