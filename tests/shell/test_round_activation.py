"""Rounds that join files, make tables and reload, beside the edits of other plugins."""

import hashlib
import os
import subprocess
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from types import ModuleType

import pytest

from certificates import make_certificate
from postkeel.certificates.joining import contents, joined
from postkeel.cli.opening import open_all
from postkeel.contract import (
    BuildTable,
    Card,
    Depth,
    Event,
    EventKind,
    Finding,
    Interest,
    JoinFiles,
    LookAgain,
    Need,
    Outcome,
    Reload,
    SetParameter,
    Severity,
    Side,
    hookimpl,
)
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.correction import NOT_RUNNING
from postkeel.shell.memory import HostMemory
from postkeel.shell.own_facts import OwnFacts
from postkeel.shell.round import Round

MAIN_CF = "compatibility_level = 3.6\nmyhostname = mail.example.test\n"
HOLDER = (
    "import fcntl, os, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
    " print(os.getpid(), file=file, flush=True); print(flush=True); time.sleep(60)"
)
MASTER_CF = "smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n"
BANNER = SetParameter(name="smtpd_banner", value="$myhostname ESMTP")


def finding(rule, *remedy, **more):
    given = {
        "severity": Severity.ERROR,
        "depth": Depth.OBSERVED,
        "parameter": "smtpd_tls_chain_files",
        "where": "main.cf:3",
        "effective": "old",
        "wanted": "new",
        "why": "a test",
    }
    return Finding(rule=rule, remedy=remedy, **{**given, **more})


class Host:
    """An instance that nothing runs, with one plugin, which finds what the test puts there."""

    def __init__(self, directory):
        self.directory = directory
        self.etc = directory / "etc"
        self.etc.mkdir()
        self.main_cf = self.etc / "main.cf"
        self.main_cf.write_text(MAIN_CF)
        past = time.time() - 9
        os.utime(self.main_cf, (past, past))
        (self.etc / "master.cf").write_text(MASTER_CF)
        made = make_certificate("ecdsa", host="mail.example.test", address="127.0.0.1")
        self.certificate, self.key = directory / "fullchain.pem", directory / "privkey.pem"
        self.certificate.write_text(made.certificate)
        self.key.write_text(made.key)
        self.chain = self.etc / "postkeel-chain.pem"
        self.observed = []
        toml = directory / "postkeel.toml"
        toml.write_text(
            f'state_directory = "{directory}/state"\nruntime_directory = "{directory}"\n'
        )
        arguments = Namespace(config=str(toml), profile=None, defaults=DefaultsCache())
        opened = open_all(arguments)
        self.configuration = opened.configuration
        own = OwnFacts(opened.configuration, opened.profiles, arguments.defaults)
        found = [
            Found(name="postfix_facts", source="test", load=lambda: own),
            Found(name="tester", source="test", load=self.plugin),
        ]
        self.registry = Registry(found, opened.configuration)
        assert self.registry.rejected == []
        (directory / "dpkg").mkdir()
        self.memory = HostMemory(opened.configuration, dpkg=str(directory / "dpkg"))

    def plugin(self):
        made = ModuleType("tester")
        made.keel_card = hookimpl(
            lambda: Card(name="tester", summary="what is put there", side=Side.ROOT)
        )
        made.keel_interests = hookimpl(
            lambda instance: Interest(needs=(Need(kind="postfix", subject=instance),))
        )
        made.keel_observe = hookimpl(lambda: self.observe())
        return made

    def observe(self):
        return [one for one, there in self.observed if there()]

    def finds(self, one, there=lambda: True):
        self.observed.append((one, there))

    def joins(self, **more):
        """The change that joins the two files as they are now."""
        certificate, key = str(self.certificate), str(self.key)
        text = joined(self.certificate.read_bytes(), self.key.read_bytes(), certificate, key)
        given = {"certificate": certificate, "key": key, "contents": contents(text)}
        return JoinFiles(**{"path": str(self.chain), **given, **more})

    def round(self):
        event = Event(kind=EventKind.REQUESTED, instance=str(self.etc), time=datetime.now(UTC))
        one = Round(
            event=event,
            registry=self.registry,
            configuration=self.configuration,
            memory=self.memory,
            deciding=True,
        )
        return one, one.run(act=True)

    def runs(self):
        """Whose pid file is locked runs, as far as postkeel asks; this one is never signalled."""
        pid = self.directory / "queue" / "pid" / "master.pid"
        pid.parent.mkdir(parents=True)
        self.main_cf.write_text(f"{MAIN_CF}queue_directory = {self.directory}/queue\n")
        os.utime(self.main_cf, (time.time() - 9,) * 2)
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(pid)], stdout=subprocess.PIPE)
        holder.stdout.readline()
        return holder

    def sets(self, text):
        return text not in self.main_cf.read_text()


@pytest.fixture
def host(tmp_path):
    one = Host(tmp_path)
    yield one
    one.memory.history.close()


@pytest.fixture
def running(host):
    with host.runs() as holder:
        yield host.main_cf.read_text()
        holder.kill()


def outcomes(report):
    return {one.finding.rule: one.outcome for one in report.judged}


def test_files_are_joined_before_main_cf_names_them(host):
    chain = SetParameter(name="smtpd_tls_chain_files", value=str(host.chain))
    host.finds(finding("offered", host.joins(), chain), lambda: host.sets("chain_files"))
    _, report = host.round()
    assert outcomes(report) == {"offered": Outcome.FIXED}
    assert report.proof == (NOT_RUNNING,)
    assert host.chain.stat().st_mode & 0o777 == 0o600
    assert host.main_cf.read_text() == f"{MAIN_CF}smtpd_tls_chain_files = {host.chain}\n"
    assert report.diff.count("\n+smtpd_tls_chain_files") == 1


def test_what_cannot_be_joined_is_not_named_and_keeps_nobody_else_back(host):
    other = hashlib.sha256(b"what somebody else judged").hexdigest()
    chain = SetParameter(name="smtpd_tls_chain_files", value=str(host.chain))
    host.finds(finding("offered", host.joins(contents=other), chain))
    host.finds(finding("banner", BANNER), lambda: host.sets("smtpd_banner"))
    _, report = host.round()
    assert outcomes(report) == {"offered": Outcome.FAILED, "banner": Outcome.FIXED}
    (reason,) = [one.reason for one in report.judged if one.finding.rule == "offered"]
    assert str(host.chain) in reason
    assert not host.chain.exists()
    assert host.main_cf.read_text() == f"{MAIN_CF}smtpd_banner = $myhostname ESMTP\n"


def test_nothing_is_reloaded_when_nothing_could_be_done(host):
    host.finds(finding("table", BuildTable(table=f"hash:{host.etc}/nowhere"), Reload()))
    _, report = host.round()
    assert outcomes(report) == {"table": Outcome.FAILED}
    assert report.proof == ()
    assert "nowhere" in report.judged[0].reason


def test_what_still_stands_after_a_reload_failed_and_nothing_is_taken_back(host):
    host.finds(finding("served", Reload()))
    _, report = host.round()
    assert outcomes(report) == {"served": Outcome.FAILED}
    assert (report.judged[0].reason, report.diff) == ("still 'old' after the correction", "")


def test_a_reload_that_helps_may_come_as_often_as_it_likes_and_one_that_does_not_may_not(host):
    rounds = iter(range(20))
    host.finds(finding("served", Reload()), lambda: next(rounds) % 2 == 0)
    for _ in range(5):
        assert outcomes(host.round()[1]) == {"served": Outcome.FIXED}
    host.observed.clear()
    host.finds(finding("served", Reload()))
    found = [host.round()[1].judged[0] for _ in range(4)]
    assert [one.outcome for one in found] == [Outcome.FAILED] * 3 + [Outcome.CONTESTED]
    assert "tried again and again" in found[-1].reason


def test_nothing_is_written_while_a_reload_would_make_live_what_is_wrong(host, running):
    wrong = finding("usable", file="/etc/ssl/mx.pem", forbids_reload=True, effective="no key")
    host.finds(wrong)
    host.finds(finding("banner", BANNER))
    _, report = host.round()
    assert outcomes(report) == {"usable": Outcome.AUDITED, "banner": Outcome.HELD}
    (reason,) = [one.reason for one in report.judged if one.outcome is Outcome.HELD]
    assert reason == "a reload would make /etc/ssl/mx.pem live: no key"
    assert host.main_cf.read_text() == running


def test_a_postfix_that_does_not_run_is_corrected_all_the_same(host):
    host.finds(finding("usable", file="/etc/ssl/mx.pem", forbids_reload=True))
    host.finds(LookAgain(seconds=3, reason="a renewal"))
    host.finds(finding("banner", BANNER), lambda: host.sets("smtpd_banner"))
    assert outcomes(host.round()[1])["banner"] is Outcome.FIXED


def test_what_is_under_way_is_waited_for(host, running):
    for seconds in (7.0, 3.0):
        host.finds(LookAgain(seconds=seconds, reason=f"a renewal of {seconds:g}"))
    host.finds(finding("banner", BANNER))
    round_, report = host.round()
    assert [one.seconds for one in round_.seen.waits] == [7.0, 3.0]
    assert report.judged[0].outcome is Outcome.HELD
    assert report.judged[0].reason == "a renewal of 7; a renewal of 3"
    assert host.main_cf.read_text() == running
