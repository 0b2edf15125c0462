"""Who may correct: contested, held, released, restored."""

import json
import threading
import time

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"
QUIET = 0.5  # seconds in which an agent that would act has acted


def weaken(hardened):
    hardened.calm()
    undo(hardened)


def undo(hardened):
    hardened.postfix.main_cf.write_text(hardened.main_cf.replace(STRONG, WEAK))


class SecondWriter(threading.Thread):
    """Undoes each correction at once, as another configuration management would."""

    def __init__(self, hardened):
        super().__init__()
        self.hardened = hardened
        self.undone = 0
        self.over = threading.Event()

    def run(self):
        undo(self.hardened)
        while not self.over.wait(0.005):
            if self.hardened.is_right():
                undo(self.hardened)
                self.undone += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def test_two_writers_that_fight_are_told_apart_from_drift(hardened, guard):
    """With Postfix stopped: `Hardened.calm` says why."""
    hardened.postfix.stop()
    one = guard("")
    with SecondWriter(hardened) as writer:
        assert "another writer keeps undoing" in one.report_with("contested 1: ")
        time.sleep(QUIET)
        assert writer.undone == 3
        assert one.reports_now() == []
    assert "last round: contested" in one.run("status").stdout
    outcomes = [report["outcome"] for report in one.history()[:4]]
    assert outcomes[0] == "contested"
    # Failed where the second writer was faster than the agent's second look.
    assert set(outcomes[1:]) <= {"fixed", "failed"}
    assert "contested rules are corrected again" in one.run("release").stdout
    one.report_with("fixed 1: ")
    assert hardened.is_right()


def test_a_contested_rule_does_not_stop_the_others(hardened, guard):
    one = guard("[contest]\ncorrections = 1\n")
    weaken(hardened)
    one.report_with("fixed 1: ")
    weaken(hardened)
    one.report_with("contested 1: ")
    text = hardened.postfix.main_cf.read_text()
    hardened.postfix.main_cf.write_text(text.replace("smtpd_tls_auth_only = yes\n", ""))
    report = one.report_with("fixed 1: ")
    assert "smtpd_tls_auth_only" in report
    assert "contested 1: " in report
    assert WEAK + "\n" in hardened.postfix.main_cf.read_text()


def test_what_is_held_is_reported_once_and_corrected_when_released(hardened, agent):
    assert agent.run("hold", "--reason", "moving house").returncode == 0
    weaken(hardened)
    assert "moving house" in agent.report_with("held 1: ")
    hardened.postfix.main_cf.touch()
    time.sleep(QUIET)
    assert agent.reports_now() == []
    assert not hardened.is_right()
    assert "moving house" in agent.run("status").stdout
    assert agent.run("release").returncode == 0
    agent.report_with("fixed 1: ")
    assert hardened.is_right()


def test_a_hold_that_is_over_is_followed_by_a_correction(hardened, agent):
    """Nothing else happens: the agent has to wake by itself."""
    agent.run("hold", "--for", "2s", "--reason", "a moment")
    began = time.monotonic()
    weaken(hardened)
    agent.report_with("held 1: ")
    agent.report_with("fixed 1: ", 8)
    assert 1 < time.monotonic() - began < 5
    assert hardened.is_right()


def test_restore_holds(hardened, guard):
    """The original of this agent's first correction comes back, and stays."""
    one = guard()
    weaken(hardened)
    one.report_with("fixed 1: ")
    before = hardened.postfix.log().count("reload -- version")
    answer = one.run("restore")
    assert answer.returncode == 0, answer.stderr
    until(lambda: hardened.postfix.log().count("reload -- version") > before)
    assert "held" in one.report_with("smtpd_tls_protocols")
    time.sleep(QUIET)
    assert WEAK + "\n" in hardened.postfix.main_cf.read_text()
    status = json.loads(one.run("status", "--format", "json").stdout)["instances"][0]
    assert status["hold"]["reason"] == "restored to the original files"
    one.run("release")
    one.report_with("fixed 1: ")
    until(hardened.is_right)
