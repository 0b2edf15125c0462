"""Cipher suites of an agent: those of OpenSSL, asked for once."""

from __future__ import annotations

import os
import ssl
from dataclasses import replace

import pytest

from postkeel.core.model import Absent
from postkeel.postfix.instance import Instance
from postkeel.shell import suites as under_test
from postkeel.shell.openssl import suites_for
from postkeel.shell.suites import KeptSuites

HERE = Instance(
    config_directory="/etc/postfix",
    version="3.10.5",
    openssl=ssl.OPENSSL_VERSION,
    map_types=(),
    parameters={},
    defaults={
        "tls_high_cipherlist": "HIGH:@STRENGTH",
        "tls_medium_cipherlist": "aNULL:-aNULL:HIGH:MEDIUM:@STRENGTH",
        "smtpd_tls_ciphers": "medium",
        "smtpd_tls_mandatory_ciphers": "medium",
    },
    services=(),
)
OTHER = replace(HERE, defaults={**HERE.defaults, "tls_high_cipherlist": "NO SUCH:THING"})


@pytest.fixture
def asked(monkeypatch):
    """Once for each process that was asked."""
    found = []
    answer_of = under_test.answer_of

    def counting(work, seconds):
        found.append(seconds)
        return answer_of(work, seconds)

    monkeypatch.setattr(under_test, "answer_of", counting)
    return found


def test_they_are_what_openssl_says(asked):
    kept = KeptSuites()
    found = kept.of(HERE)
    assert found == suites_for(HERE)
    assert len(found["HIGH:@STRENGTH"]) > 10
    assert kept.of(HERE) is found
    assert kept.of(replace(HERE, main_cf="# another text\n")) is found
    assert len(asked) == 1


def test_another_string_or_another_openssl_is_asked_for(asked):
    kept = KeptSuites()
    kept.of(HERE)
    assert kept.of(OTHER) == suites_for(OTHER)
    assert kept.of(OTHER)["NO SUCH:THING"] == ()
    assert len(asked) == 2
    kept.of(replace(OTHER, config_directory="/etc/postfix-out"))
    assert len(asked) == 3
    kept.of(replace(OTHER, openssl="OpenSSL 0.9.8"))
    assert len(asked) == 4


def test_what_is_not_known_is_asked_again(asked):
    elsewhere = replace(HERE, openssl="OpenSSL 0.9.8")
    kept = KeptSuites()
    for count in (1, 2):
        found = kept.of(elsewhere)
        assert found == suites_for(elsewhere)
        assert all(isinstance(one, Absent) for one in found.values())
        assert len(asked) == count


def test_a_process_that_fails_leaves_them_unknown(monkeypatch):
    kept = KeptSuites()
    with monkeypatch.context() as failing:
        failing.setattr(under_test, "_told", lambda _: os._exit(1))
        found = kept.of(HERE)
    assert found.keys() == suites_for(HERE).keys()
    reasons = {one.reason for one in found.values() if isinstance(one, Absent)}
    assert reasons == {"cipher suites: the process that was to answer was ended"}
    assert kept.of(HERE) == suites_for(HERE)
