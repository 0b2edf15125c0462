"""Changes that are hard to see, and writers that must lose nothing."""

import mmap
import os
import signal
import subprocess
import sys
import time

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"
TIMER = "[plugins.config_enforcer]\ncheck_interval = 1\ncheck_splay = 0\n"


def weaken(hardened, more=""):
    hardened.postfix.main_cf.write_text(hardened.main_cf.replace(STRONG, WEAK) + more)


def test_a_change_that_no_event_tells_of_is_found_by_the_timer(hardened, guard):
    """The kernel reports no write through a mapping."""
    one = guard(TIMER)
    weak = hardened.main_cf.replace(STRONG, STRONG[:-1] + "1")
    with hardened.postfix.main_cf.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[:] = weak.encode()
        # Before the file is closed, for that is an event.
        assert "found by the periodic full check" in one.report_with("fixed 1: ")
    assert hardened.is_right()


def test_a_change_while_the_agent_was_stopped_is_not_lost(hardened, agent):
    agent.agent.send_signal(signal.SIGSTOP)
    weaken(hardened)
    time.sleep(0.1)
    assert not hardened.is_right()
    agent.agent.send_signal(signal.SIGCONT)
    agent.report_with("fixed 1: ")
    assert hardened.is_right()


@pytest.mark.parametrize("pause", [0.04, 0.4, 1.2])
def test_a_writer_that_pauses_half_way_loses_nothing(hardened, agent, pause):
    """`generate > main.cf`: empty at first, and for a while."""
    weak = hardened.main_cf.replace(STRONG, WEAK)
    with hardened.postfix.main_cf.open("w") as file:
        time.sleep(pause)
        file.write(weak + "# the writer's own\n")
    agent.report_with("fixed 1: ")
    assert hardened.postfix.main_cf.read_text() == hardened.main_cf + "# the writer's own\n"


def test_a_file_that_is_never_closed_is_corrected_all_the_same(hardened, agent):
    with hardened.postfix.main_cf.open("r+") as file:
        file.write(hardened.main_cf.replace(STRONG, f"{WEAK}  "))
        file.flush()
        agent.report_with("fixed 1: ")
    assert STRONG in hardened.postfix.main_cf.read_text()


LOOP = """
import subprocess, sys
directory, worker = sys.argv[1:]
for number in range(30):
    name = f"test_{worker}_{number}"
    subprocess.run(["postconf", "-c", directory, "-e", f"{name} = kept"], check=True)
"""


def test_no_update_of_three_postconf_loops_is_lost(hardened, agent):
    """With Postfix stopped: `Hardened.calm` says why."""
    postfix = hardened.postfix
    postfix.stop()
    loops = [
        subprocess.Popen([sys.executable, "-c", LOOP, postfix.config_directory, worker])
        for worker in "abc"
    ]
    drifts = 0
    while any(one.poll() is None for one in loops):
        subprocess.run(
            ["postconf", "-c", postfix.config_directory, "-e", "smtpd_tls_protocols = >=TLSv1"],
            check=True,
        )
        drifts += 1
        time.sleep(0.1)
    assert [one.returncode for one in loops] == [0, 0, 0]
    until(lambda: STRONG + "\n" in postfix.main_cf.read_text())
    text = postfix.main_cf.read_text()
    wanted = {f"test_{worker}_{number} = kept" for worker in "abc" for number in range(30)}
    assert wanted - set(text.splitlines()) == set()
    assert drifts > 1
    agent.report_with("fixed 1: ")


def test_a_drift_during_the_proof_is_corrected_too(hardened, agent):
    """One that comes between the agent's writing and its second look."""
    postfix = hardened.postfix
    weaken(hardened)
    until(hardened.is_right)
    weak = postfix.master_cf.read_text().replace(
        "smtpd\n", "smtpd -o smtpd_tls_security_level=none\n", 1
    )
    postfix.master_cf.write_text(weak)
    until(hardened.is_right, 5)
    agent.report_with("smtpd_tls_security_level")


def test_an_edit_during_the_proof_stays(hardened, agent):
    weaken(hardened)
    until(hardened.is_right)
    with hardened.postfix.main_cf.open("a") as file:
        file.write("# mine\n")
    agent.report_with("fixed 1: ")
    time.sleep(0.3)
    assert hardened.postfix.main_cf.read_text() == hardened.main_cf + "# mine\n"
    assert os.stat(hardened.postfix.main_cf).st_nlink == 1
