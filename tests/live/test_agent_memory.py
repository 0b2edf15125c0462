"""What an agent at rest does not keep: OpenSSL, which each proof and each answer needs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"


def loaded(agent):
    """The shared libraries of the process."""
    return {
        Path(line.split()[-1]).name
        for line in Path(f"/proc/{agent.pid}/maps").read_text().splitlines()
        if ".so" in line
    }


def test_openssl_leaves_with_the_proof(hardened, agent):
    main_cf = hardened.postfix.main_cf
    main_cf.write_text(hardened.main_cf.replace(STRONG, WEAK))
    agent.report_with("fixed 1: ", 30)
    proof = agent.history()[0]["proof"]
    assert any("TLSv1.3" in one for one in proof)
    assert any("refuses protocols older than TLSv1.2" in one for one in proof)
    names = loaded(agent)
    assert any(one.startswith("libsqlite3") for one in names)  # or nothing would be seen here
    assert {
        one for one in names if one.startswith(("libssl", "libcrypto", "_ssl", "_hashlib"))
    } == set()


def proving(agent):
    """The process that proves, for some milliseconds; None while there is none."""
    own = Path(f"/proc/{agent.pid}/cmdline").read_bytes()
    for one in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has ended
            if Path(f"/proc/{one}/cmdline").read_bytes() == own:
                return int(one)
    return None


def is_proving(agent):
    """As `proving`; a program that is being started looks like that, but not for long."""
    found = proving(agent)
    if found is not None:
        time.sleep(0.005)
    return found if found == proving(agent) else None


def test_a_proof_that_is_killed_is_none(hardened, agent):
    """What cannot be proved is taken back; the agent lives on, and proves the next time."""
    main_cf = hardened.postfix.main_cf

    def kills_it():
        """Whether it came in time: not, where this test had to wait for the processor."""
        main_cf.write_text(hardened.main_cf.replace(STRONG, WEAK))
        with contextlib.suppress(ProcessLookupError):
            os.kill(until(lambda: is_proving(agent), 30), signal.SIGKILL)
        return "reverted 1: " in agent.report_with(" 1: ", 30)

    until(kills_it, 60)
    said = str(agent.history()[0])
    assert "no proof by handshake: the process that was to answer was ended" in said
    assert WEAK in main_cf.read_text()
    main_cf.write_text(f"{main_cf.read_text()}# again\n")
    agent.report_with("fixed 1: ", 30)
    assert STRONG in main_cf.read_text()
