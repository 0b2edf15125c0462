"""The JSON documents are contracts: their keys, and postconf's word on what they hold."""

from __future__ import annotations

import subprocess

FINDING = {
    "rule",
    "severity",
    "depth",
    "service",
    "parameter",
    "where",
    "effective",
    "wanted",
    "fixable",
    "why",
}
INSTANCE = {"config_directory", "postfix", "openssl"}

NASTY_MAIN_CF = """\
compatibility_level = 3.6
# a comment
smtpd_tls_protocols =
    >=TLSv1.2,
# a comment between
    <=TLSv1.3
mail_name = first
mail_name=last   word\t
smtpd_banner = $myhostname ${mail_name?{ESMTP}}: = # no comment
relayhost =
smtpd_tls_CAfile = /etc/\u00e9 \u202e x
smtpd_restriction_classes = own_class
own_class = permit, reject
unused_of_all = 1
  indented = continuation
"""
NASTY_MASTER_CF = """\
# services
smtp       inet  n - n - - smtpd
   # a comment inside
   -o { smtpd_banner = two words }
   -o smtpd_tls_protocols=$smtp_tls_protocols
127.0.0.1:submission inet n - n - 1 smtpd -v -o smtpd_tls_security_level=encrypt
\t-o syslog_name=postfix/submission
smtp       unix  - - n - - smtp
  -o smtp_tls_security_level=
relay      unix  - - n - - smtp -o { smtp_helo_timeout = 5 } -o smtp_helo_timeout=6
"""


def postconf(place, *words):
    done = subprocess.run(
        ["/usr/sbin/postconf", "-c", str(place.etc), *words],
        capture_output=True,
        check=True,
    )
    lines = done.stdout.decode(errors="replace").split("\n")
    return [tuple(one.strip() for one in line.split("=", 1)) for line in lines if "=" in line]


def test_check(place):
    place.write(
        "master.cf",
        "smtp inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n"
        "submission inet n - n - - smtpd\n  -o smtpd_tls_mandatory_protocols=TLSv1\n",
    )
    document = place.json("check", status=2)
    assert {"postkeel", "instances"} <= set(document)
    (instance,) = document["instances"]
    assert instance.keys() >= INSTANCE | {"profile", "compliant", "findings"}
    assert instance["config_directory"] == str(place.etc)
    assert (instance["profile"], instance["compliant"]) == ("intermediate", False)
    found = {(one["rule"], one["service"]): one for one in instance["findings"]}
    for one in found.values():
        assert one.keys() >= FINDING
        assert one["severity"] in {"error", "warning", "info"}
        assert one["depth"] in {"declared", "effective"}
        assert isinstance(one["fixable"], bool)
        assert one["why"]
        file, _, line = one["where"].partition(":")
        assert file in {"main.cf", "master.cf", "default"}
        assert line.isdigit() or file == "default"
    override = found["mx-security-level", "smtp/inet"]
    assert (override["where"], override["depth"]) == ("master.cf:2", "effective")
    assert (override["effective"], override["wanted"]) == ("none", "may")
    assert override["parameter"] == "smtpd_tls_security_level"
    assert override["fixable"] is True
    assert found["smtpd-mandatory-protocols", "submission/inet"]["where"] == "master.cf:4"


def test_compliant_hangs_on_errors_alone(place):
    assert place.run("enforce").returncode == 0
    (clean,) = place.json("check", status=0)["instances"]
    assert (clean["compliant"], clean["findings"]) == (True, [])
    with (place.etc / "main.cf").open("a") as file:
        file.write("smtpd_tls_loglevel = 0\n")
    (warned,) = place.json("check", status=2)["instances"]
    assert {one["severity"] for one in warned["findings"]} == {"warning"}
    assert warned["compliant"] is True
    with (place.etc / "main.cf").open("a") as file:
        file.write("smtpd_tls_protocols = >=TLSv1\n")
    assert place.json("check", status=2)["instances"][0]["compliant"] is False


def test_facts(place):
    place.write("main.cf", NASTY_MAIN_CF)
    place.write("master.cf", NASTY_MASTER_CF)
    document = place.json("facts", status=0)
    (instance,) = document["instances"]
    assert instance.keys() >= INSTANCE | {"map_types", "parameters", "services"}
    assert "hash" in instance["map_types"]
    known = {name: one["value"] for name, one in instance["parameters"].items()}
    expected = dict(postconf(place, "-n"))
    expected.pop("config_directory", None)  # Postfix 3.7 adds it when it is told with -c
    assert known == expected
    assert instance["parameters"]["smtpd_tls_protocols"]["where"] == "main.cf:3"
    assert instance["parameters"]["mail_name"] == {"value": "last word", "where": "main.cf:8"}


def test_facts_of_services(place):
    place.write("main.cf", NASTY_MAIN_CF)
    place.write("master.cf", NASTY_MASTER_CF)
    (instance,) = place.json("facts", status=0)["instances"]
    services = instance["services"]
    known = {
        f"{service}/{name}": one["value"]
        for service, its in services.items()
        for name, one in its["parameters"].items()
    }
    assert known == dict(postconf(place, "-P"))
    listed = subprocess.run(
        ["/usr/sbin/postconf", "-c", str(place.etc), "-M"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    words = [line.split() for line in listed.splitlines()]
    assert {f"{one[0]}/{one[1]}": one[7] for one in words} == {
        name: its["command"].split()[0] for name, its in services.items()
    }
    assert services["smtp/inet"]["parameters"]["smtpd_banner"]["where"] == "master.cf:4"


COMMANDS = {
    "check": ({"instances"}, 2),
    "diff": ({"instances"}, 2),
    "enforce --dry-run": ({"instances"}, 2),
    "facts": ({"instances"}, 0),
    "status": ({"instances"}, 2),
    "history": ({"reports"}, 0),
    "explain smtpd-protocols": ({"profile", "rules"}, 0),
    "plugins": ({"plugins", "rejected"}, 0),
    "profiles": ({"profiles"}, 0),
    "profiles strict": ({"rules"}, 0),
    "profiles strict interop": ({"differences"}, 0),
    "config": ({"mode", "profile", "state_directory", "runtime_directory"}, 0),
    "hold --reason test": ({"holds"}, 0),
    "release": ({"released"}, 0),
}


def test_every_command_prints_one_document_and_nothing_else(place):
    # main.cf makes postconf warn: of a misspelt name, and of one that is there twice.
    place.write("main.cf", "smtpd_tls_PSD = 1\nmail_name = a\nmail_name = b\n")
    for command, (keys, status) in COMMANDS.items():
        document = place.json(*command.split(), status=status)
        assert document.keys() >= {"postkeel"} | keys, command
