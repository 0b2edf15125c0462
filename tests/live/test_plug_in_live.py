"""`check --live --format nagios` on a running Postfix, and on one that does not run."""

from __future__ import annotations

import pytest

from guarded import guarded

pytestmark = pytest.mark.live

WORDS = ("check", "--live", "--format", "nagios")


def test_the_wire_counts(start_postfix):
    postfix = start_postfix()
    with guarded(postfix, start=False) as one:
        one.run("enforce")
        done = one.run(*WORDS)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("POSTKEEL OK - as wanted: ")
        key = next(postfix.main_cf.parent.glob("smtpd_tls_key_file.pem"))
        key.write_text("garbage\n")
        postfix.reload()
        done = one.run(*WORDS)
        assert (done.returncode, done.stderr) == (2, "")
        assert "observed smtp/inet: no TLS" in done.stdout
        assert one.run("check", "--format", "nagios").returncode != 3


def test_a_postfix_that_does_not_run_is_a_warning(start_postfix):
    with guarded(start_postfix(start=False), start=False) as one:
        one.run("enforce")
        done = one.run(*WORDS)
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.startswith("POSTKEEL WARNING - 1 problem | ")
        assert "WARNING: " in done.stdout
        assert "Postfix is not running" in done.stdout
        assert one.run("check", "--format", "nagios").returncode == 0
