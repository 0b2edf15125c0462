"""`check --live`: a running Postfix that serves less than its files say."""

from __future__ import annotations

import json

import pytest

from guarded import guarded

pytestmark = pytest.mark.live


def observed(one):
    """What check finds on the wire, by service and value."""
    done = one.run("check", "--live", "--format", "json")
    assert done.stderr == ""
    (instance,) = json.loads(done.stdout)["instances"]
    return {
        (found["service"], found["effective"])
        for found in instance["findings"]
        if found["depth"] == "observed"
    }


def test_files_put_right_without_a_reload(start_postfix):
    weak = {"smtpd_tls_protocols": ">=TLSv1", "smtpd_tls_security_level": "may"}
    postfix = start_postfix(parameters=weak)
    with guarded(postfix, start=False) as one:
        assert observed(one) == set()  # the files are as weak, and say so at another depth
        postfix.set_parameters({"smtpd_tls_protocols": ">=TLSv1.2"})
        # The smtpd that waits for the next client keeps what it read when it started.
        assert observed(one) == {("smtp/inet", "TLSv1.1")}
        postfix.reload()
        assert observed(one) == set()


def test_tls_that_does_not_come_about(start_postfix):
    postfix = start_postfix()
    with guarded(postfix, start=False) as one:
        assert observed(one) == set()
        key = next(postfix.main_cf.parent.glob("smtpd_tls_key_file.pem"))
        key.write_text("garbage\n")
        postfix.reload()
        found = observed(one)
        assert {service for service, _ in found} >= {"smtp/inet", "submission/inet"}
        assert {value for _, value in found} == {"no TLS"}


def test_a_stopped_postfix_shows_nothing_and_check_says_so(start_postfix):
    postfix = start_postfix(start=False)
    with guarded(postfix, start=False) as one:
        assert observed(one) == set()
        assert "Postfix is not running" in one.run("check", "--live").stdout
        assert "Postfix is not running" not in one.run("check").stdout
