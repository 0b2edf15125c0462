"""Rounds beside dpkg: nothing is written while it works, and its upgrades are named as causes."""

import os
import time
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from certificates import authority_of_all, signed_certificate
from guarded import own_certificates
from postkeel.cli.opening import open_all
from postkeel.contract import Event, EventKind, Outcome
from postkeel.core.model import PackageChange, Upgrade
from postkeel.core.news import differs
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.dpkg_files import DpkgFiles
from postkeel.shell.memory import HostMemory
from postkeel.shell.packages import Packages
from postkeel.shell.round import NO_PACKAGE, Round, cause_of
from scratch_dpkg import HeldLock

MAIN_CF = """\
compatibility_level = 3.6
myhostname = mail.example.test
smtpd_tls_cert_file = $config_directory/certificate.pem
smtpd_tls_security_level = may
smtpd_tls_protocols = >=TLSv1
"""
MASTER_CF = "smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n"
STATUS = "Package: postfix\nStatus: install ok installed\nVersion: {}\n"


class Host:
    """An instance that nothing runs, and a dpkg's files beside it."""

    def __init__(self, directory):
        self.etc = directory / "etc"
        self.dpkg = directory / "dpkg"
        self.directory = directory
        for one in (self.etc, self.dpkg):
            one.mkdir()
        (self.dpkg / "lock-frontend").touch()
        self.has("1")
        self.main_cf = self.etc / "main.cf"
        (self.etc / "master.cf").write_text(MASTER_CF)
        made = signed_certificate("ecdsa", host="mail.example.test", address="127.0.0.1")
        (self.etc / "certificate.pem").touch(mode=0o600)
        (self.etc / "certificate.pem").write_text(f"{made.certificate}{made.key}")
        (directory / "authority.pem").write_text(authority_of_all())
        self.drift()
        toml = directory / "postkeel.toml"
        toml.write_text(
            f'state_directory = "{directory}/state"\nruntime_directory = "{directory}"\n'
            f"{own_certificates(directory / 'authority.pem')}\n"
        )
        arguments = Namespace(config=str(toml), profile=None, defaults=DefaultsCache())
        self.opened = open_all(arguments)
        self.memory = self.remember(HostMemory)

    def remember(self, kind, **more):
        files = DpkgFiles(str(self.dpkg / "status"), str(self.directory / "log"))
        return kind(
            self.opened.configuration,
            dpkg=str(self.dpkg),
            packages=Packages(str(self.directory / "state"), files),
            **more,
        )

    def has(self, version):
        """dpkg has installed this version of Postfix."""
        new = self.dpkg / "status-new"
        new.write_text(STATUS.format(version))
        new.rename(self.dpkg / "status")

    def drift(self):
        self.main_cf.write_text(MAIN_CF)
        past = time.time() - 9
        os.utime(self.main_cf, (past, past))

    def round(self, kind=EventKind.REQUESTED, *detail, memory=None):
        event = Event(kind=kind, instance=str(self.etc), time=datetime.now(UTC), detail=detail)
        return Round(
            event=event,
            registry=self.opened.registry,
            configuration=self.opened.configuration,
            memory=memory or self.memory,
        ).run(act=True)

    @property
    def busy(self):
        return HeldLock(self.dpkg / "lock-frontend")


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    yield made
    made.memory.history.close()


def test_nothing_is_written_while_dpkg_works(host):
    with host.busy as held:
        report = host.round(EventKind.PATHS_CHANGED, str(host.main_cf))
        assert report.outcome is Outcome.HELD
        assert host.main_cf.read_text() == MAIN_CF
        reasons = {one.reason for one in report.judged if one.outcome is Outcome.HELD}
        (reason,) = reasons
        assert reason.startswith(f"packages are being installed (process {held.process.pid} ")
        assert reason.endswith("; corrected when that is done")
        assert host.memory.installing() == reason
    assert host.memory.installing() == ""
    assert host.round(EventKind.PACKAGES).outcome is Outcome.FIXED
    assert host.main_cf.read_text() != MAIN_CF


def test_an_administrators_hold_is_the_one_that_is_named(host):
    host.memory.holds.hold(str(host.etc), None, "migration", datetime.now(UTC))
    with host.busy:
        report = host.round()
    assert "migration" in {one.reason for one in report.judged}


class LateDpkg(HostMemory):
    """dpkg begins between the look and the write."""

    held = None

    def check(self, instance):
        self.held.__enter__()
        return super().check(instance)


def test_nothing_is_written_when_dpkg_begins_just_before(host):
    late = host.remember(LateDpkg)
    late.held = host.busy
    try:
        report = host.round(memory=late)
    finally:
        late.held.__exit__()
        late.history.close()
    assert report.outcome is Outcome.HELD
    assert report.diff == ""
    assert host.main_cf.read_text() == MAIN_CF


def test_an_upgrade_is_the_cause_and_is_named_once(host):
    assert host.round(EventKind.STARTED).cause == "found when the agent started"
    host.has("2")
    host.drift()
    report = host.round(EventKind.PACKAGES)
    assert report.outcome is Outcome.FIXED
    assert report.cause == "package upgrade: postfix 1 -> 2"
    assert report.upgrade.packages == (PackageChange(name="postfix", before="1", after="2"),)
    assert host.memory.history.reports(limit=1)[0] == report
    host.drift()
    report = host.round(EventKind.PATHS_CHANGED, str(host.main_cf))
    assert report.cause == f"main.cf changed; {NO_PACKAGE}"


def test_an_upgrade_under_which_nothing_drifted_is_kept(host):
    host.round(EventKind.STARTED)
    host.has("2")
    clean = host.round(EventKind.PACKAGES)
    assert (clean.outcome, clean.upgrade.found) == (Outcome.CLEAN, True)
    assert host.memory.history.reports(limit=1)[0] == clean
    assert differs(clean, clean), "an upgrade is told, whatever was told before"
    quiet = host.round(EventKind.PACKAGES)
    assert not quiet.upgrade.found
    assert not differs(quiet, clean)
    assert host.memory.history.reports(limit=1)[0] == clean


def test_what_was_upgraded_while_no_agent_ran_is_named_at_its_start(host):
    host.round(EventKind.STARTED)
    host.has("2")
    assert host.round(EventKind.STARTED).cause == "package upgrade: postfix 1 -> 2"
    assert host.round(EventKind.STARTED).cause == f"found when the agent started; {NO_PACKAGE}"


def test_half_an_upgrade_is_not_told(host):
    host.round(EventKind.STARTED)
    host.has("2")
    host.drift()
    with host.busy:
        assert host.round(EventKind.STARTED).upgrade is None
    assert host.round(EventKind.PACKAGES).cause == "package upgrade: postfix 1 -> 2"


def test_a_quiet_round_asks_nothing(host, monkeypatch):
    host.round(EventKind.STARTED)

    def refuse(*_):
        raise AssertionError("asked")

    monkeypatch.setattr(Packages, "upgrade", refuse)
    assert host.round(EventKind.TIMER).upgrade is None
    with pytest.raises(AssertionError, match="asked"):
        host.round(EventKind.PACKAGES)


def test_what_cannot_be_found_out_is_a_problem_and_stops_no_correction(host):
    (host.dpkg / "status").unlink()
    (host.dpkg / "status").mkdir()
    report = host.round()
    assert report.outcome is Outcome.FIXED
    assert any("status: " in one for one in report.problems)
    assert report.cause == "asked for"


EVENT = Event(kind=EventKind.TIMER, instance="/etc/postfix", time=datetime.now(UTC))
UPGRADE = Upgrade(packages=(PackageChange(name="postfix", before="1", after="2"),))
SENTENCE = "package upgrade: postfix 1 -> 2"
CAUSES = {
    "timer": (EventKind.TIMER, Upgrade(), "found by the periodic full check"),
    "timer, upgraded": (EventKind.TIMER, UPGRADE, SENTENCE),
    "packages that do not matter": (
        EventKind.PACKAGES,
        Upgrade(),
        "found after packages were installed",
    ),
    "packages, the first time": (EventKind.PACKAGES, None, "found after packages were installed"),
    "asked for, upgraded": (EventKind.REQUESTED, UPGRADE, SENTENCE),
    "paths": (EventKind.PATHS_CHANGED, None, "master.cf changed"),
    "paths, upgraded": (EventKind.PATHS_CHANGED, UPGRADE, f"master.cf changed; {SENTENCE}"),
}


@pytest.mark.parametrize(("kind", "upgrade", "cause"), CAUSES.values(), ids=CAUSES)
def test_causes(kind, upgrade, cause):
    detail = ("/etc/postfix/master.cf",) if kind is EventKind.PATHS_CHANGED else ()
    assert cause_of(replace(EVENT, kind=kind, detail=detail), upgrade) == cause
