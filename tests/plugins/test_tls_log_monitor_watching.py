"""Which log is followed, and whose lines in it count."""

from __future__ import annotations

import pytest

from postkeel.contract import Absent, LogLines, Need
from postkeel.maillog.following import log_to_follow, syslog_names, writers
from postkeel_plugins import tls_log_monitor

DIRECTORY = "/etc/postfix"
FACT = Need(kind="postfix", subject=DIRECTORY)
DAEMONS = "daemon_directory = /usr/lib/postfix/sbin\n"
UNITS = ("postfix.service", "postfix@-.service")
JOURNAL = LogLines(units=UNITS)
NOWHERE = "daemon_directory =\nmail_owner =\n"


def followed(instance, log="auto", directory=DIRECTORY):
    return log_to_follow(directory, instance, log)


@pytest.mark.parametrize(
    ("main_cf", "log", "expected"),
    [
        ("maillog_file = /var/log/postfix.log", "auto", LogLines(file="/var/log/postfix.log")),
        ("maillog_file = /var/log/postfix.log", "/srv/log", LogLines(file="/srv/log")),
        ("maillog_file = /dev/stdout", "auto", None),
        ("maillog_file = /srv/mail.log", "auto", None),
        (
            "maillog_file = /srv/mail.log\nmaillog_file_prefixes = /var, /srv",
            "auto",
            LogLines(file="/srv/mail.log"),
        ),
        ("maillog_file = mail.log", "auto", None),
        (NOWHERE, "auto", JOURNAL),
        (NOWHERE + "maillog_file = /var/log/postfix.log", "journal", JOURNAL),
        (NOWHERE + "multi_instance_name = postfix-out", "auto", "postfix@postfix-out.service"),
    ],
)
def test_which_log_is_followed(make_instance, main_cf, log, expected):
    found = followed(make_instance(main_cf + "\n"), log)
    if isinstance(expected, str):
        assert expected in found.units
    else:
        assert found == expected


def test_of_the_journal_what_postfix_s_own_programs_wrote(make_instance):
    found = followed(make_instance(DAEMONS))
    assert (found.units, found.users) == (UNITS, ("root", "postfix"))
    assert "/usr/lib/postfix/sbin/smtpd" in found.programs
    assert "/usr/lib/postfix/sbin/tlsproxy" in found.programs


@pytest.mark.parametrize(
    ("directory", "units"),
    [("/etc/postfix", UNITS), ("/etc/postfix-out", (*UNITS, "postfix@postfix-out.service"))],
)
def test_an_instance_that_is_not_known_has_its_unit(directory, units):
    assert followed(None, directory=directory).units == units


@pytest.mark.parametrize("log", ["mail.log", "", "Journal"])
def test_an_option_that_names_no_log_is_an_error(log):
    with pytest.raises(ValueError, match="option 'log' must be 'auto', 'journal' or an absolute"):
        followed(None, log)


@pytest.mark.parametrize(
    ("options", "facts", "expected"),
    [
        ({}, {}, None),
        ({}, {FACT: Absent(reason="no postconf")}, JOURNAL),
        ({"log": "journal"}, {}, JOURNAL),
        ({"log": "/var/log/mail.log"}, {}, LogLines(file="/var/log/mail.log")),
    ],
)
def test_auto_waits_for_the_facts(options, facts, expected):
    assert tls_log_monitor.keel_interests(DIRECTORY, options, facts).log == expected


def test_what_it_needs_and_when_it_wakes():
    interest = tls_log_monitor.keel_interests(DIRECTORY, {}, {})
    assert [one.kind for one in interest.needs] == ["postfix", "profile", "state", "secret"]
    assert {one.subject for one in interest.needs} == {DIRECTORY}
    assert [(one.name, one.every) for one in interest.timers] == [("alarms", 60)]
    assert interest.paths == ()


MASTER = """\
smtp       inet n - n - - smtpd
submission inet n - n - - smtpd
  -o syslog_name=$multi_instance_name/$service_name
587        inet n - n - - smtpd
  -o syslog_name=out
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
"""


def test_the_names_of_an_instance(make_instance):
    known = make_instance("multi_instance_name = postfix-out\n", MASTER)
    assert syslog_names(known) == {"postfix-out", "postfix-out/submission", "out"}
    assert syslog_names(make_instance()) == {"postfix"}
    assert syslog_names(None) == frozenset()


@pytest.mark.parametrize(
    ("name", "services"),
    [
        ("postfix-out/smtpd", ["smtp/inet"]),
        ("postfix-out/submission/smtpd", ["submission/inet"]),
        ("out/smtpd", ["587/inet"]),
        ("postfix-out/smtp", ["smtp/unix", "relay/unix"]),
        ("postfix/smtpd", []),
        ("smtpd", []),
    ],
)
def test_who_may_have_written_a_line(make_instance, name, services):
    known = make_instance("multi_instance_name = postfix-out\n", MASTER)
    assert [one.name for one in writers(known, name)] == services
