"""A hardened Postfix for the agent's tests, and agents to guard it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import private_postfix as bed
from delivered_mail import DeliveredMail, delivered_mail
from guarded import Guarded, guarded, until
from private_postfix import PrivatePostfix

# Tests drift more often in a minute than the agent takes for a fair fight.
_STARTED = "daemon started"
PATIENT = "[contest]\ncorrections = 1000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardened:
    """A private Postfix, and its files as postkeel's profile wants them."""

    postfix: PrivatePostfix
    main_cf: str
    master_cf: str

    def put_back(self) -> None:
        """The hardened files, a running Postfix and an empty log, whatever a test has left."""
        changed = False
        for path, text in self.files.items():
            if path.is_symlink() or not path.is_file() or path.read_text() != text:
                path.unlink(missing_ok=True)
                path.write_text(text)
                changed = True
            past = time.time() - 3  # Postfix waits for a main.cf younger than two seconds
            os.utime(path, (past, past))
        if self.postfix.is_running() and not self.answers():
            self.postfix.stop()
        if not self.postfix.is_running():
            self.start()
        elif changed:  # an smtpd that has read what a test wrote would be served by for a while
            self.postfix.reload()
        self.calm()
        self.postfix.log_file.write_text("")  # an agent would alarm of what another test did

    def answers(self) -> bool:
        """Whether port 25 greets: a Postfix that one test has choked is not left to the next."""
        try:
            with socket.create_connection((self.postfix.address, 25), 3) as peer:
                return peer.recv(4) == b"220 "
        except OSError:
            return False

    def calm(self) -> None:
        """Wait until Postfix's log has all of the last correction: then another may come.

        A postlogd that starts while main.cf is being edited warns of what it reads
        twice, to itself: with ten lines waiting in its socket it waits for ever, and
        all of Postfix for it. Seen in 3.7; only where maillog_file is set.
        """
        sizes = [-1]

        def grows() -> bool:
            sizes.append(len(self.postfix.log()))
            time.sleep(0.03)
            return sizes[-1] != sizes[-2]

        until(lambda: not grows())

    def start(self) -> None:
        """Start Postfix, and wait until it can be reloaded: see `calm`."""
        before = self.postfix.log().count(_STARTED)
        self.postfix.start()
        until(lambda: self.postfix.log().count(_STARTED) > before)

    @property
    def files(self):
        return {self.postfix.main_cf: self.main_cf, self.postfix.master_cf: self.master_cf}

    def is_right(self) -> bool:
        """Whether both files hold what they should, byte for byte."""
        try:
            return all(path.read_text() == text for path, text in self.files.items())
        except FileNotFoundError:
            return False


@pytest.fixture(scope="session")
def hardened_once() -> Iterator[Hardened]:
    if reason := bed.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with bed.private_postfix() as postfix:
        until(lambda: _STARTED in postfix.log())
        with guarded(postfix, start=False) as one:
            done = one.run("enforce")
            assert "fixed" in done.stdout, done.stdout + done.stderr
        yield Hardened(
            postfix=postfix,
            main_cf=postfix.main_cf.read_text(),
            master_cf=postfix.master_cf.read_text(),
        )


@pytest.fixture
def hardened(hardened_once) -> Iterator[Hardened]:
    """The hardened Postfix of this run of tests, as it should be."""
    hardened_once.put_back()
    yield hardened_once
    hardened_once.put_back()


@pytest.fixture
def guard(hardened):
    """A function that starts an agent and waits for its first report; `more` configures it."""
    with contextlib.ExitStack() as stack:

        def start(more: str = PATIENT, *, start: bool = True, **environment: str) -> Guarded:
            one = stack.enter_context(guarded(hardened.postfix, more=more, start=False, catch=True))
            if start:
                # One that is made in the first round is an event of its own.
                (one.directory / "state").mkdir(mode=0o700)
                one.start(**environment)
                assert "fixed" not in one.report()
                # The first round is told before its status is written.
                until((one.directory / "run" / "status.json").exists)
            return one

        yield start


@pytest.fixture(scope="module")
def module_agent(hardened_once) -> Iterator[Guarded]:
    """One agent for all tests of a module, where starting one for each takes too long."""
    hardened_once.put_back()
    with guarded(hardened_once.postfix, more=PATIENT, start=False) as one:
        (one.directory / "state").mkdir(mode=0o700)
        one.start()
        assert "fixed" not in one.report()
        yield one
    hardened_once.put_back()


@pytest.fixture
def agent(guard) -> Guarded:
    """An agent that has found all as wanted."""
    return guard()


@pytest.fixture(scope="module")
def mail_office() -> Iterator[DeliveredMail]:
    """A Postfix whose delivered mail is read: see `delivered_mail`."""
    if reason := bed.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with delivered_mail() as one:
        yield one
