"""`postkeel check --format nagios`: one line, performance data, and the plug-in's exit status."""

from __future__ import annotations

import os
import re

import pytest

from postkeel.cli.nagios import CRITICAL, OK, UNKNOWN, WARNING, Seen, show, show_unknown
from postkeel.contract import Depth, Finding, Judged, Outcome, Severity

LEVEL = "smtpd_tls_security_level"
DATA = re.compile(
    r"errors=(\d+);;0;0 warnings=(\d+);0;;0 waived=(\d+);;;0 instances=(\d+);;;0"
    r" seconds=(\d+\.\d{3})s;;;0"
)


def judged(severity, outcome=Outcome.AUDITED, **changes):
    told = {
        "rule": f"rule-{severity.value}",
        "severity": severity,
        "depth": Depth.EFFECTIVE,
        "parameter": LEVEL,
        "where": "main.cf:3",
        "effective": "none",
        "wanted": "may",
        "why": "why",
    }
    return Judged(finding=Finding(**(told | changes)), outcome=outcome)


def seen(*findings, problems=(), directory="/etc/postfix"):
    return Seen(directory=directory, profile="intermediate", judged=findings, problems=problems)


ERROR, WARN, INFO = (judged(one) for one in Severity)

STATUSES = {
    "nothing": ([seen()], "", OK, "as wanted: /etc/postfix, intermediate"),
    "information": ([seen(INFO)], "", OK, "as wanted: /etc/postfix, intermediate"),
    "waived": ([seen(judged(Severity.ERROR, Outcome.WAIVED))], "", OK, "as wanted: /etc"),
    "warning": ([seen(WARN)], "", WARNING, "1 warning: rule-warning"),
    "error": ([seen(WARN, ERROR)], "", CRITICAL, "1 error, 1 warning: rule-error, rule-warning"),
    "held": ([seen(judged(Severity.WARNING, Outcome.HELD))], "", WARNING, "1 warning"),
    "contested": ([seen(judged(Severity.ERROR, Outcome.CONTESTED))], "", CRITICAL, "1 error"),
    "problem": ([seen(problems=("no key",))], "", WARNING, "1 problem"),
    "two": ([seen(ERROR), seen(ERROR, directory="/b")], "", CRITICAL, "2 errors: rule-error"),
    "not read": ([seen(WARN)], "/b: gone", UNKNOWN, "1 warning, 1 not read: rule-warning"),
    "not read and worse": ([seen(ERROR)], "/b: gone", CRITICAL, "1 error, 1 not read"),
}


@pytest.mark.parametrize(("found", "complaint", "status", "said"), STATUSES.values(), ids=STATUSES)
def test_the_worst_counts(capsys, found, complaint, status, said):
    assert show(found, complaint, 0.25) == status
    first = capsys.readouterr().out.splitlines()[0]
    name = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[status]
    text, bar, data = first.partition(" | ")
    assert text.startswith(f"POSTKEEL {name} - {said}")
    assert bar
    assert DATA.fullmatch(data)


def test_findings_stand_on_lines_of_their_own_the_worst_first(capsys):
    observed = judged(Severity.ERROR, depth=Depth.OBSERVED, effective="weak", service="smtps/inet")
    waived = judged(Severity.ERROR, Outcome.WAIVED)
    show([seen(WARN, observed, waived, INFO, problems=("x",))], "/b: gone\n/c: gone", 1)
    first, *others = capsys.readouterr().out.splitlines()
    assert DATA.search(first).groups() == ("1", "1", "1", "1", "1.000")
    assert others == [
        "UNKNOWN: /b: gone",
        "UNKNOWN: /c: gone",
        f"CRITICAL: /etc/postfix observed smtps/inet: weak ({LEVEL}), wanted: may [rule-error]",
        f"WARNING: /etc/postfix main.cf:3: {LEVEL} = none, wanted: may [rule-warning]",
        "WARNING: x",
    ]


def test_no_text_begins_performance_data_or_a_line(capsys):
    hostile = "a|errors=0\nPOSTKEEL OK\x1b[2J\u2028b\udcff"
    finding = judged(Severity.ERROR, rule=hostile, effective=hostile, wanted="", service=hostile)
    show([seen(finding, directory=hostile, problems=(hostile,))], hostile, 1)
    show_unknown([hostile, hostile])
    lines = capsys.readouterr().out.split("\n")
    assert lines.pop() == ""
    assert [one.count("|") for one in lines] == [1, *[0] * (len(lines) - 1)]
    assert all(one.isprintable() for one in lines)
    starts = (
        "POSTKEEL CRITICAL",
        "POSTKEEL UNKNOWN",
        "CRITICAL: ",
        "UNKNOWN: ",
        "WARNING: ",
        "a\\",
    )
    assert [one for one in lines if not one.startswith(starts)] == ["POSTKEEL OK\\x1b[2J"] * 0
    assert "\\x7c" in lines[0]


def test_it_says_no_more_than_is_taken(capsys):
    many = [judged(Severity.ERROR, effective="x" * 500) for _ in range(100)]
    show([seen(*many)], "", 1)
    said = capsys.readouterr().out
    assert len(said.encode()) < 4096
    *_, last = said.splitlines()
    shown = said.count("\n") - 2
    assert last == f"and {100 - shown} more: `postkeel check`"


def test_it_looks_like_a_plug_in(place):
    done = place.run("check", "--format", "nagios")
    assert (done.returncode, done.stderr) == (CRITICAL, "")
    first, *others = done.stdout.splitlines()
    assert first.startswith("POSTKEEL CRITICAL - ")
    errors, warnings, waived, instances, _ = DATA.search(first).groups()
    document = place.json("check")["instances"][0]
    severities = [one["severity"] for one in document["findings"]]
    assert (int(errors), int(warnings)) == (severities.count("error"), severities.count("warning"))
    assert (waived, instances) == ("0", "1")
    assert len(others) == int(errors) + int(warnings)
    assert "smtpd_tls_protocols = " in done.stdout
    assert place.run("enforce").returncode == 0
    done = place.run("--format=nagios", "check")
    assert (done.returncode, done.stderr) == (OK, "")
    assert done.stdout.startswith(f"POSTKEEL OK - as wanted: {place.etc}, intermediate | errors=0;")
    assert done.stdout.count("\n") == 1


FAULTS = {
    "usage": ("check --sterner", "unrecognized arguments: --sterner"),
    "no command": ("", "required: COMMAND"),
    "profile": ("check --profile stirct", "--profile: unknown profile 'stirct'"),
    "configuration": ("check --config /nowhere/x.toml", "/nowhere/x.toml: No such file"),
    "directory": ("check -c /nowhere", "/nowhere: no such directory"),
    "live and nothing there": ("check --live -c /nowhere", "/nowhere: no such directory"),
    "another command": ("diff", "nagios"),
}


@pytest.mark.parametrize(("words", "said"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("form", [["--format", "nagios"], ["--format=nagios"]])
def test_whatever_keeps_it_from_looking_is_unknown(postkeel, shared_place, words, said, form):
    given = words.split()
    options = [] if {"-c", "--config"} & set(given) or not given else shared_place.options
    done = postkeel(*given, *form, *options)
    assert (done.returncode, done.stderr) == (UNKNOWN, "")
    assert done.stdout.startswith("POSTKEEL UNKNOWN - ")
    assert said in done.stdout
    assert done.stdout.count("\n") == 1


def test_several_errors_take_a_line_each(place):
    place.configure("moed = 1\nprofle = 2\n")
    done = place.run("check", "--format", "nagios")
    assert (done.returncode, done.stderr) == (UNKNOWN, "")
    first, second = done.stdout.splitlines()
    assert first.startswith("POSTKEEL UNKNOWN - ")
    assert "profle" in second


def test_help_is_not_taken_for_ok(postkeel):
    done = postkeel("check", "--format", "nagios", "--help")
    assert done.returncode == UNKNOWN
    assert "--format nagios is a plug-in" in done.stdout


def test_a_postfix_that_cannot_be_read_is_unknown(place):
    place.write("main.cf", "compatibility_level = ${\n")
    (place.etc / "main.cf").unlink()
    done = place.run("check", "--format", "nagios")
    assert (done.returncode, done.stderr) == (UNKNOWN, "")
    assert "main.cf" in done.stdout


def test_live_counts_what_is_weaker_on_the_wire(place):
    done = place.run("check", "--format", "nagios", "--live")
    assert done.returncode == CRITICAL  # nothing runs here, and the files are judged all the same
    assert done.stdout.startswith("POSTKEEL CRITICAL - ")


def test_when_nobody_listens_the_status_remains(place):
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = place.run("check", "--format", "nagios", capture_output=False, stdout=full)
        assert done.returncode == UNKNOWN
    finally:
        os.close(full)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = place.run("check", "--format", "nagios", capture_output=False, stdout=writer)
        assert done.returncode == UNKNOWN
    finally:
        os.close(writer)
