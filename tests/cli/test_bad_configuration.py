"""postkeel's own files as they should not be: file, line, what is wrong; nothing is changed."""

from __future__ import annotations

import pytest

# Lines of `more` begin at 5: see Place.configure.
CONFIGURATION = {
    "not TOML": ("mode = enforce\n", "postkeel.toml:5: "),
    "open text": ('mode = "enforce\n', "postkeel.toml:5: "),
    "key twice": ('mode = "audit"\nmode = "audit"\n', "postkeel.toml:6: "),
    "unknown key": ('mod = "audit"\n', "postkeel.toml:5: unknown key 'mod'; known here are: mode"),
    "unknown mode": ('mode = "watch"\n', 'postkeel.toml:5: \'mode\' must be "enforce" or "audit"'),
    "unknown profile": ('profile = "x"\n', "postkeel.toml:5: unknown profile 'x'; known are: art"),
    "profile of an instance": (
        '[instance."/etc/postfix"]\nprofile = "x"\n',
        "postkeel.toml:6: unknown profile 'x'",
    ),
    "relative instance": ("[instance.postfix]\n", "postkeel.toml:5: an instance is named by its"),
    "unknown plugin": (
        "[plugins.config_enforcr]\n",
        "postkeel.toml:5: no plugin is called 'config_enforcr'; installed are: ",
    ),
    "unknown option": (
        "[plugins.config_enforcer]\ninterval = 3\n",
        "postkeel.toml:6: plugin config_enforcer has no option 'interval'; it has: check_interval",
    ),
    "option of another type": (
        '[plugins.config_enforcer]\ncheck_interval = "often"\n',
        "postkeel.toml:6: option 'check_interval' must be a int, not 'often'",
    ),
    "waiver without owner": (
        '[[waiver]]\nrule = "smtpd-protocols"\nreason = "x"\nuntil = 2027-01-01\n',
        "postkeel.toml:5: a waiver needs 'owner'",
    ),
    "waiver without end": (
        '[[waiver]]\nrule = "smtpd-protocols"\nreason = "x"\nowner = "me"\n',
        "postkeel.toml:5: a waiver needs 'until'",
    ),
    "waiver until a word": (
        '[[waiver]]\nrule = "a"\nreason = "x"\nowner = "me"\nuntil = "never"\n',
        "postkeel.toml:9: 'until' must be a date such as 2027-01-31",
    ),
    "plugin directory that is missing": (
        'plugin_directory = "/nowhere"\n',
        "/nowhere: No such file or directory",
    ),
}

RULE = """
[rule.mine]
parameters = "smtpd_tls_loglevel"
services = "mx"
comparison = "at least"
severity = "error"
why = "because"
references = "postconf(5)"
"""
PROFILES = {
    "not TOML": ("summary = ", "mine.toml:1: "),
    "changed rule that nobody has": (
        'extends = "strict"\n[rule.smtpd-protocol]\nseverity = "info"\n',
        "it; did you mean smtpd-protocols",
    ),
    "switched off rule that nobody has": (
        'extends = "strict"\n[rule.tls-loglevel]\nenabled = false\n',
        "mine.toml:2: unknown rule 'tls-loglevel': no profile that this one extends has it; did",
    ),
    "unknown comparison": (RULE, "mine.toml:5: rule 'mine': unknown comparison 'at least'; known"),
    "unknown version condition": (
        'extends = "strict"\n[rule.tls-log-level]\npostfix = "3.6 or newer"\n',
        "mine.toml:3: rule 'tls-log-level': not a version condition: '3.6 or newer'; write one",
    ),
    "unknown severity": (
        'extends = "strict"\n[rule.tls-log-level]\nseverity = "fatal"\n',
        "mine.toml:3: rule 'tls-log-level': unknown severity 'fatal'; known are: error, warning",
    ),
    "unknown service": (
        'extends = "strict"\n[rule.tls-log-level]\nservices = ["smtps"]\n',
        "mine.toml:3: rule 'tls-log-level': unknown services 'smtps'; known are: mx",
    ),
    "unknown key of a rule": (
        'extends = "strict"\n[rule.tls-log-level]\nlevel = "1"\n',
        "mine.toml:3: unknown key 'level' in rule 'tls-log-level'",
    ),
    "unknown key": ('extend = "strict"\n', "mine.toml:1: unknown key 'extend' in a profile"),
    "extends itself": ('extends = "mine"\n', "mine.toml:1: profile extends itself"),
    "extends nobody": ('extends = "stirct"\n', "mine.toml:1: unknown profile 'stirct'; known are"),
    "new rule without why": (
        RULE.replace('why = "because"', "").replace("at least", "equals"),
        "rule 'mine': 'why' must be a text",
    ),
}


def refused(place, said):
    before = place.sums()
    for command in ("config", "enforce"):
        assert said in place.error(command)
    assert place.sums() == before


@pytest.mark.parametrize(("text", "said"), CONFIGURATION.values(), ids=CONFIGURATION)
def test_configuration(place, text, said):
    place.configure(text)
    refused(place, said)


@pytest.mark.parametrize(("text", "said"), PROFILES.values(), ids=PROFILES)
def test_profile(place, text, said):
    place.configure('profile = "mine"\n')
    place.profile("mine", text)
    refused(place, said)


def test_a_profile_with_the_name_of_a_shipped_one(place):
    place.profile("strict", 'extends = "intermediate"\n')
    refused(place, "profiles/strict.toml: profile 'strict' is shipped with postkeel")


def test_a_drop_in_is_located_in_its_own_file(place):
    (place.own / "conf.d").mkdir()
    (place.own / "conf.d" / "50-site.toml").write_text("\n\nmode = 1\n")
    refused(place, "conf.d/50-site.toml:3: 'mode' must be")


def test_every_problem_is_said_at_once(place):
    place.configure('mode = "x"\nprofil = "y"\n')
    lines = place.error("config").splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "postkeel/postkeel.toml:5",
        "postkeel/postkeel.toml:6",
    ]


def test_what_an_error_quotes_is_made_harmless(place):
    place.configure('mode = "\\u001b[2J\\u202e"\n')
    assert "\\x1b[2J" in place.error("config")


WAIVER = '[[waiver]]\nrule = "{}"\nreason = "old fax"\nowner = "me"\nuntil = {}\n'


@pytest.mark.parametrize(
    ("waiver", "said"),
    [
        (
            WAIVER.format("smtpd-protocol", "2999-01-01"),
            "postkeel.toml:12: waiver of an unknown rule 'smtpd-protocol'; did you mean smtpd-p",
        ),
        (
            WAIVER.format("smtp-protocols", "2020-01-01"),
            "postkeel.toml:12: the waiver of smtp-protocols ended on 2020-01-01 (me)",
        ),
    ],
    ids=["unknown rule", "ended"],
)
def test_a_waiver_without_effect_is_a_warning(place, waiver, said):
    place.configure(WAIVER.format("smtpd-protocols", "2999-01-01") + "\n" + waiver)
    done = place.run("config")
    assert (done.returncode, done.stderr) == (2, "")
    assert said in done.stdout
    (warning,) = place.json("config", status=2)["warnings"]
    assert said in warning
    assert place.run("check").returncode == 2  # and no error


def test_a_waiver_covers_until_its_last_day(place):
    def waived():
        (instance,) = place.json("check")["instances"]
        return {one["rule"] for one in instance["findings"] if one["waived"]}

    place.configure(WAIVER.format("smtpd-protocols", "2999-01-01"))
    assert waived() == {"smtpd-protocols"}
    place.configure(WAIVER.format("smtpd-protocols", "2020-01-01"))
    assert waived() == set()
