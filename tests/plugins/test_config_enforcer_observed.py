"""What handshakes show, held against what the files say: from values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postkeel.contract import (
    Absent,
    Depth,
    Event,
    EventKind,
    Handshake,
    Need,
    Profile,
    Severity,
)
from postkeel.postfix.handshake import endpoints
from postkeel_plugins import config_enforcer
from postkeel_plugins.config_enforcer.observed import observed

MAIN_CF = """\
smtpd_tls_cert_file = /etc/ssl/c.pem
smtpd_tls_security_level = may
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
"""
DIRECTORY = "/etc/postfix"
EVENT = Event(kind=EventKind.STARTED, instance=DIRECTORY, time=datetime(2026, 11, 23, tzinfo=UTC))
EMPTY = Profile(name="empty", summary="", lineage=("empty",), outdated=False, rules=())

# What the service shows: (service, offered only older than, shown) -> what is found.
CASES = {
    "as the files say": ("smtp/inet", "", {"protocol": "TLSv1.3"}, None),
    "old ones refused": ("smtp/inet", "TLSv1.2", {"refused": True, "problem": "alert"}, None),
    "old one accepted": (
        "smtp/inet",
        "TLSv1.2",
        {"protocol": "TLSv1.1"},
        ("error", "smtpd_tls_protocols", "main.cf:3", "TLSv1.1", "nothing older than TLSv1.2"),
    ),
    "old one accepted where TLS is mandatory": (
        "submission/inet",
        "TLSv1.2",
        {"protocol": "TLSv1"},
        (
            "error",
            "smtpd_tls_mandatory_protocols",
            "main.cf:4",
            "TLSv1",
            "nothing older than TLSv1.2",
        ),
    ),
    "not to be told": (
        "smtp/inet",
        "TLSv1.2",
        {"problem": "no answer in time"},
        ("info", "smtpd_tls_protocols", "main.cf:3", "not known", "nothing older than TLSv1.2"),
    ),
    "no TLS": (
        "smtp/inet",
        "",
        {"problem": "STARTTLS is not offered"},
        ("error", "smtpd_tls_security_level", "main.cf:2", "no TLS", "a TLS handshake"),
    ),
    "no TLS where the service says so itself": (
        "submission/inet",
        "",
        {"refused": True, "problem": "TLS handshake: alert"},
        ("error", "smtpd_tls_security_level", "master.cf:3", "no TLS", "a TLS handshake"),
    ),
    "the newest one missing": (
        "smtp/inet",
        "",
        {"protocol": "TLSv1.2"},
        ("warning", "smtpd_tls_protocols", "main.cf:3", "TLSv1.2", "TLSv1.3"),
    ),
}


def shown_by(instance, service, below, shown):
    (endpoint,) = (one for one in endpoints(instance) if one.service == service)
    return Handshake(endpoint=endpoint, below=below, **shown)


@pytest.mark.parametrize(("service", "below", "shown", "expected"), CASES.values(), ids=CASES)
def test_what_is_weaker_than_the_files(make_instance, service, below, shown, expected):
    instance = make_instance(MAIN_CF)
    found = list(observed(instance, [shown_by(instance, service, below, shown)]))
    assert [
        (one.severity.value, one.parameter, one.where, one.effective, one.wanted) for one in found
    ] == ([expected] if expected else [])
    for one in found:
        assert (one.rule, one.depth, one.service) == ("served-tls", Depth.OBSERVED, service)
        assert one.remedy == ()
        assert "`postfix reload`" in one.why


def test_a_list_without_the_newest_promises_nothing_of_it(make_instance):
    instance = make_instance(MAIN_CF + "smtpd_tls_protocols = TLSv1.2\n")
    assert not list(
        observed(instance, [shown_by(instance, "smtp/inet", "", {"protocol": "TLSv1.2"})])
    )


@pytest.mark.parametrize("looked", ["live", "postfix is stopped", "files only"])
def test_the_plugin_reports_them_in_rounds_that_looked(make_instance, looked):
    instance = make_instance(MAIN_CF)
    shown = shown_by(instance, "smtp/inet", "", {"problem": "STARTTLS is not offered"})
    facts = {
        Need(kind="postfix", subject=DIRECTORY): instance,
        Need(kind="profile", subject=DIRECTORY): EMPTY,
    }
    handshakes = Need(kind="handshakes", subject=DIRECTORY)
    if looked == "live":
        facts[handshakes] = (shown, replace(shown, problem="", protocol="TLSv1.3"))
    elif looked == "postfix is stopped":
        facts[handshakes] = Absent(reason="Postfix is not running")
    found = config_enforcer.keel_observe(EVENT, DIRECTORY, facts, {})
    assert [one.severity for one in found] == ([Severity.ERROR] if looked == "live" else [])
