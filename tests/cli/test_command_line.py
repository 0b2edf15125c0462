"""Options, exit statuses, colour: what scripts and fingers rely on."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from postkeel import __version__
from postkeel.cli.commands import COMMANDS

NAMES = [one.name for one in COMMANDS]

USAGE = {
    "no command": ("", "required: COMMAND"),
    "unknown command": ("chekc", "invalid choice: 'chekc'"),
    "unknown option": ("check --sterner", "unrecognized arguments: --sterner"),
    "abbreviated option": ("check --conf x", "unrecognized arguments: --conf x"),
    "unknown format": ("check --format yaml", "invalid choice: 'yaml'"),
    "hold without a reason": ("hold --for 2h", "required: --reason"),
    "explain nothing": ("explain", "required: RULE|PARAMETER"),
    "limit in words": ("history --limit many", "invalid int value: 'many'"),
    "escape in an option": ("check \x1b[2J", "\\x1b[2J"),
}


@pytest.mark.parametrize(("words", "said"), USAGE.values(), ids=USAGE)
def test_a_usage_error_is_one_line_and_exit_1(postkeel, words, said):
    done = postkeel(*words.split(" ")) if words else postkeel()
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.startswith("postkeel: ")
    assert done.stderr.count("\n") == 1
    assert "--help`" in done.stderr


ERRORS = {
    "no such profile": ("check --profile stirct", "--profile: unknown profile 'stirct'; known"),
    "no such configuration": ("check --config /nowhere/x.toml", "/nowhere/x.toml: No such file"),
    "no such directory": ("check -c /nowhere", "/nowhere: no such directory"),
    "bad duration": ("hold --reason x --for tomorrow", "'tomorrow'; write one like 30m, 2h"),
    "endless duration": ("hold --reason x --for 9999w", "longer than ten years"),
    "empty reason": ("hold --reason=", "a hold needs a reason"),
    "nothing to restore": ("restore", "there are no originals"),
    "unknown topic": ("explain smtpd-protocol", "did you mean smtpd-protocols"),
    "three profiles": ("profiles a b c", "none, one or two names"),
    "unknown profile shown": ("profiles nonsense", "unknown profile 'nonsense'; known are: art"),
    "unknown profile compared": ("profiles strict nonsense", "unknown profile 'nonsense'"),
}


@pytest.mark.parametrize(("words", "said"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_one_line_and_exit_1(postkeel, shared_place, words, said):
    given = words.split(" ")
    options = [] if {"-c", "--config"} & set(given) else shared_place.options
    done = postkeel(*given, *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.startswith("postkeel: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["--format", "json", "--version"]])
def test_version(postkeel, words):
    assert postkeel(*words).stdout == f"postkeel {__version__}\n"


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_names_its_arguments_and_exits_0(postkeel, name):
    done = postkeel(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    (command,) = (one for one in COMMANDS if one.name == name)
    assert command.more.splitlines()[0] in done.stdout
    for argument in command.arguments:
        assert dict(argument.settings).get("metavar", argument.names[-1]) in done.stdout


def test_help_names_every_command(postkeel):
    text = postkeel("--help").stdout
    assert [name for name in NAMES if f"    {name} " not in text] == []


def test_global_options_stand_before_and_after_the_command(postkeel, shared_place):
    after = postkeel("explain", "smtpd-ciphers", "--profile", "strict", *shared_place.options)
    before = postkeel("--profile", "strict", *shared_place.options, "explain", "smtpd-ciphers")
    assert after.returncode == before.returncode == 0
    assert "profile strict" in after.stdout
    assert after.stdout == before.stdout
    unlike = postkeel("explain", "smtpd-ciphers", *shared_place.options)
    assert "profile intermediate" in unlike.stdout


def test_the_profile_option_goes_before_the_instance_s_own(place):
    place.configure(f'[instance."{place.etc}"]\nprofile = "interop"\n')
    assert place.json("check")["instances"][0]["profile"] == "interop"
    chosen = place.json("check", "--profile", "strict")
    assert chosen["instances"][0]["profile"] == "strict"


def test_a_relative_directory(postkeel, place):
    options = ["-c", "etc/../etc", "--config", "postkeel/postkeel.toml"]
    done = postkeel("check", *options, cwd=place.directory)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith(f"{place.etc}: Postfix ")


def test_exit_statuses_follow_the_state(place):
    assert place.run("check").returncode == 2
    assert place.run("diff").returncode == 2
    before = place.sums()
    dry = place.run("enforce", "--dry-run")
    assert (dry.returncode, place.sums()) == (2, before)
    assert place.run("enforce").returncode == 0
    assert place.sums() != before
    assert place.run("check").returncode == 0
    after = place.run("diff")
    assert (after.returncode, after.stdout) == (0, f"{place.etc}: nothing to change\n")
    assert place.run("status").returncode == 2  # no agent runs


def on_a_terminal(place, *words, **environment):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "postkeel", *words, *place.options],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        | {"NO_COLOR": ""}
        | environment,
    ) as process:
        os.close(theirs)
        parts = []
        while part := _read(ours):
            parts.append(part)
        os.close(ours)
    assert process.returncode == 2
    return b"".join(parts).decode()


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how a terminal says that the other side is gone
        return b""


def test_colour_is_for_terminals_whose_owner_wants_it(shared_place):
    assert "\x1b[31;1merror" in on_a_terminal(shared_place, "check")
    assert "\x1b[" not in on_a_terminal(shared_place, "check", NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(shared_place, "check", "--no-color")
    assert "\x1b[" not in shared_place.run("check").stdout
    assert "\x1b[32m+" in on_a_terminal(shared_place, "diff")


def test_a_reader_that_leaves_is_no_error(shared_place):
    reader, writer = os.pipe()
    os.close(reader)
    done = shared_place.run("facts", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_locale_without_the_character_still_gets_the_text(place):
    place.write("main.cf", "mail_name = caf\u00e9\n")
    place.write("master.cf", "smtp inet n - n - - smtpd -o { mail_name = caf\u00e9 }\n")
    narrow = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = place.run("facts", env=narrow)
    assert (done.returncode, done.stderr) == (0, "")
    assert "caf\\xe9" in done.stdout
    assert (
        "caf\u00e9" in place.run("facts", "--format", "json", env=narrow, encoding="utf-8").stdout
    )


def test_without_a_state_directory_nothing_is_changed(place):
    # Somebody may have asked for a hold that cannot be read now.
    (place.directory / "state").write_text("a file")
    before = place.sums()
    done = place.run("enforce")
    assert done.returncode == 2
    assert "state/holds.json: cannot be read: Not a directory" in done.stdout
    assert place.sums() == before
    assert "state: cannot be used" in place.error("hold", "--reason", "x")
