"""postkeel.toml: each bad one states its expected error, with file and line."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
import tomli

from postkeel.core.configuration import CertificateSources, Configuration, read_configuration
from postkeel.core.document import Document
from postkeel.core.errors import ConfigurationError
from postkeel.core.model import Mode

ROOT = Path(__file__).resolve().parents[2]


def document(text, file="postkeel.toml"):
    return Document(file=file, text=text, data=tomli.loads(text))


def test_an_empty_file_is_valid_and_so_is_none():
    assert read_configuration([document("")]).profile == "intermediate"
    assert read_configuration([]) == Configuration()


FULL = """
mode = "audit"
profile = "strict"
state_directory = "/srv/state"
runtime_directory = "/srv/run"
plugin_directory = "/etc/postkeel/plugins"

[contest]
corrections = 5
seconds = 60

[reporting]
heartbeat = 0
digest = "23:59"

[certificates]
roots = "/etc/ssl/ours.pem"
lineages = ["/etc/lego", "/etc/letsencrypt/live"]
resolver = "127.0.0.1:5353"

[instance."/etc/postfix-out"]
mode = "enforce"
profile = "interop"

[plugins.syslog]
facility = "mail"

[[waiver]]
rule = "smtpd-protocols"
reason = "old fax gateway"
owner = "ops@example.test"
until = 2027-01-31
service = "smtp/inet"
"""


def test_everything_that_can_be_set():
    read = read_configuration([document(FULL)])
    assert read.settings("/etc/postfix").mode is Mode.AUDIT
    assert read.settings("/etc/postfix").profile == "strict"
    assert read.settings("/etc/postfix-out").mode is Mode.ENFORCE
    assert read.settings("/etc/postfix-out").profile == "interop"
    assert (read.contest.corrections, read.contest.seconds) == (5, 60)
    assert (read.reporting.heartbeat, read.reporting.digest) == (0, "23:59")
    assert read.certificates == CertificateSources(
        roots="/etc/ssl/ours.pem",
        lineages=("/etc/lego", "/etc/letsencrypt/live"),
        resolver="127.0.0.1:5353",
    )
    assert read.plugins == {"syslog": {"facility": "mail"}}
    assert read.waivers[0].until == date(2027, 1, 31)
    assert read.waivers[0].parameter is None


def test_no_digest_is_an_empty_text():
    assert read_configuration([document('reporting.digest = ""')]).reporting.digest == ""


def test_drop_ins_win_key_by_key_and_add_waivers():
    more = document('profile = "interop"\n[plugins.syslog]\nsocket = "/x"\n', "conf.d/10.toml")
    read = read_configuration([document(FULL), more])
    assert (read.mode, read.profile) == (Mode.AUDIT, "interop")
    assert read.plugins["syslog"] == {"facility": "mail", "socket": "/x"}
    assert len(read.waivers) == 1
    assert str(read.problem("wrong", "profile")) == "conf.d/10.toml:1: wrong"
    assert str(read.problem("wrong", "state_directory")) == "postkeel.toml:4: wrong"
    assert str(read.problem("wrong", "nowhere")) == "postkeel.toml: wrong"


WAIVER = '[[waiver]]\nrule = "r"\nreason = "x"\nowner = "o"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('mode = "enforced"', 'postkeel.toml:1: \'mode\' must be "enforce" or "audit"'),
        ("mode = 3", "postkeel.toml:1: 'mode' must be"),
        ('\nprofil = "x"', "postkeel.toml:2: unknown key 'profil'; known here are: mode, profile"),
        ('profile = ""', "postkeel.toml:1: 'profile' must be a text that is not empty"),
        (
            'state_directory = "state"',
            "postkeel.toml:1: 'state_directory' must be an absolute path",
        ),
        ("[contest]\ncorrections = 0", "postkeel.toml:2: 'corrections' must be a whole number"),
        ("[contest]\ncorrections = true", "postkeel.toml:2: 'corrections' must be a whole number"),
        ("contest = 3", "postkeel.toml:1: must be a table: [contest]"),
        ("[reporting]\nheartbeat = 59", "postkeel.toml:2: 'heartbeat' must be a number of seconds"),
        ("[reporting]\nheartbeat = -1", "postkeel.toml:2: 'heartbeat' must be a number of seconds"),
        ("[reporting]\nheartbeat = true", "postkeel.toml:2: 'heartbeat' must be a number of"),
        ("[reporting]\nheartbeat = 3e3", "postkeel.toml:2: 'heartbeat' must be a number of"),
        ("[reporting]\ndigest = '6:30'", "postkeel.toml:2: 'digest' must be a time of day"),
        ("[reporting]\ndigest = '06h30'", "postkeel.toml:2: 'digest' must be a time of day"),
        ("[reporting]\ndigest = '24:00'", "postkeel.toml:2: 'digest' must be a time of day"),
        ("[reporting]\ndigest = 630", "postkeel.toml:2: 'digest' must be a time of day"),
        ("reporting = 3", "postkeel.toml:1: must be a table: [reporting]"),
        ("[certificates]\nroots = 'a.pem'", "postkeel.toml:2: 'roots' must be an absolute path"),
        ("[certificates]\nlineages = '/x'", "postkeel.toml:2: 'lineages' must be a list of"),
        ("[certificates]\nlineages = ['x']", "postkeel.toml:2: 'lineages' must be an absolute"),
        ("[certificates]\nresolver = '9.9.9.9'", "postkeel.toml:2: 'resolver' must be \"auto\""),
        ("[certificates]\nresolver = 53", "postkeel.toml:2: 'resolver' must be a text"),
        ("certificates = 3", "postkeel.toml:1: must be a table: [certificates]"),
        ('[instance.postfix]\nmode = "audit"', "postkeel.toml:1: an instance is named by its dir"),
        ('[instance."/x"]\nmod = 1', "postkeel.toml:2: unknown key 'mod'; known here are: mode"),
        ('[instance]\n"/x" = 1', "postkeel.toml:2: must be a table: [instance./x]"),
        ("[plugins]\nsyslog = 1", "postkeel.toml:2: must be a table: [plugins.syslog]"),
        ("[waiver]\nrule = 1", "postkeel.toml:1: waivers are written as [[waiver]]"),
        (WAIVER, "postkeel.toml:1: a waiver needs 'until'"),
        (WAIVER + 'until = "soon"', "postkeel.toml:5: 'until' must be a date such as 2027-01-31"),
        (WAIVER + "until = 2027-01-01T00:00:00Z", "postkeel.toml:5: 'until' must be a date"),
        (WAIVER + "until = 2027-01-01\n" + WAIVER, "postkeel.toml:6: a waiver needs 'until'"),
    ],
)
def test_a_bad_one_names_file_line_and_what_to_do(text, expected):
    with pytest.raises(ConfigurationError) as caught:
        read_configuration([document(text)])
    assert str(caught.value).startswith(expected)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigurationError) as caught:
        read_configuration([document("mode = 1\nx = 2\ny = 3")])
    assert len(caught.value.problems) == 3


def test_the_places_of_the_monitor_lie_in_those_of_the_agent():
    """packaging/debian/postkeel.tmpfiles makes them, with other owners."""
    lines = (ROOT / "packaging/debian/postkeel.tmpfiles").read_text().splitlines()
    made = {line.split()[1] for line in lines}
    known = Configuration()
    assert made >= {known.state_directory, known.monitor_state_directory}
    assert made >= {known.runtime_directory, known.monitor_runtime_directory}
    assert os.path.dirname(known.channel) in made
