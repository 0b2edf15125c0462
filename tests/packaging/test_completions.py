"""The completions of bash and zsh, asked for by real shells and held against the code."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from postkeel.cli.commands import COMMANDS
from postkeel.cli.dispatch import parser
from postkeel.contract import Side
from postkeel.core.duration import parse_duration
from postkeel.core.profile import resolve_profile
from postkeel.postfix.comparisons import COMPARISONS
from postkeel.shell.documents import DEBIAN_DIRECTORY, ProfileDocuments, profile_files
from postkeel_plugins import certificate_watcher, config_enforcer, header_checker, tls_log_monitor
from postkeel_plugins.reporters import syslog

ROOT = Path(__file__).parent.parent.parent
BASH = ROOT / "packaging/completions/bash/postkeel"
ZSH = ROOT / "packaging/completions/zsh/_postkeel"
SHIPPED = ROOT / "conf/profiles"
PROFILES = sorted(one.stem for one in SHIPPED.glob("*.toml"))
DEADLINE = 60.0

COMPLETE_IN_BASH = """
source {script}
[[ -z $SHIPPED ]] || _postkeel_shipped=$SHIPPED
complete -p postkeel >&2
while IFS= read -r typed; do
    [[ $typed == *' ' ]] && end='""' || end=
    # As readline splits: at blanks and at each =.
    eval "COMP_WORDS=(${{typed//=/ = }} $end)"
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _postkeel postkeel
    printf '%s\\n' "${{COMPREPLY[@]}}"
    echo ---
done
"""

# No key is pressed: the line editor's own first act is to complete the given lines.
COMPLETE_IN_ZSH = """
fpath=({directory} $fpath)
PROMPT= RPROMPT=
_postkeel_shipped=$SHIPPED
[[ -n $SHIPPED ]] || unset _postkeel_shipped
autoload -U compinit && compinit -u -D
zstyle ':completion:*' completer _complete
setopt no_auto_list no_beep
compadd() {{
  local -a found
  if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\\ * ]]; then
    builtin compadd -A found "$@"
    (( $#found )) && print -rl -- $found >>{out}
  fi
  builtin compadd "$@"
}}
answer() {{
  local typed
  for typed in ${{(f)"$(<{typed})"}}; do
    BUFFER=$typed CURSOR=$#typed
    zle complete-word
    print -r -- --- >>{out}
  done
  exit
}}
zle -N zle-line-init answer
"""


def missing(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


class Bash:
    """Completes lines; `shipped` is where the shipped profiles are looked for."""

    script = BASH

    def __init__(self, place):
        self.place = place
        missing("bash")

    def complete(self, *typed, shipped=SHIPPED, path=None):
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-c", COMPLETE_IN_BASH.format(script=BASH)],
            input="".join(f"{one}\n" for one in typed),
            env={"PATH": path or os.environ["PATH"], "SHIPPED": str(shipped)},
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.stderr.splitlines() == ["complete -F _postkeel postkeel"]
        return answers(done.stdout, typed)


class Zsh:
    """The same of zsh, on a terminal of its own, for its line editor wants one."""

    script = ZSH

    def __init__(self, place):
        self.place = place
        missing("zsh")

    def complete(self, *typed, shipped=SHIPPED, path=None):
        home = self.place / "zsh"
        home.mkdir(exist_ok=True)
        out = home / "out"
        out.write_text("")
        (home / "typed").write_text("".join(f"{one}\n" for one in typed))
        setup = COMPLETE_IN_ZSH.format(directory=ZSH.parent, out=out, typed=home / "typed")
        (home / ".zshrc").write_text(setup)
        environment = {
            "PATH": path or os.environ["PATH"],
            "SHIPPED": str(shipped),
            "ZDOTDIR": str(home),
            "HOME": str(home),
            "TERM": "dumb",
        }
        ours, its = pty.openpty()
        with subprocess.Popen(
            ["zsh", "-d", "-i"],
            stdin=its,
            stdout=its,
            stderr=its,
            env=environment,
            cwd=self.place,
            start_new_session=True,
        ) as process:
            os.close(its)
            said = read_until_end(ours, process)
        assert out.read_text().count("---\n") == len(typed), said
        return answers(out.read_text(), typed)


def read_until_end(terminal, process):
    """What a program says on its terminal until it ends; AssertionError when it does not."""
    said = b""
    ends = time.monotonic() + DEADLINE
    try:
        while select.select([terminal], [], [], max(0.0, ends - time.monotonic()))[0]:
            part = os.read(terminal, 4096)
            if not part:
                break
            said += part
        else:
            process.kill()
            raise AssertionError(f"no end: {said!r}")
    except OSError:  # EIO: nobody has the other end any more
        pass
    finally:
        os.close(terminal)
    return said.decode(errors="replace")


def answers(text, typed):
    """What was offered for each typed line; a trailing blank or = is the shell's own business."""
    parts = text.split("---\n")[: len(typed)]
    return [sorted({one.rstrip(" =") for one in part.splitlines() if one}) for part in parts]


@pytest.fixture(params=[Bash, Zsh], ids=["bash", "zsh"])
def shell(request, tmp_path):
    return request.param(tmp_path)


def long_options(command):
    """The options that begin with two dashes: of the command, and the global ones."""
    own = [name for argument in command.arguments for name in argument.names]
    top = [name for one in parser()._actions for name in one.option_strings]
    if command in COMMANDS:
        top.remove("--version")
    return sorted(one for one in {*own, *top} if one.startswith("--"))


def formats(command):
    return sorted(command.formats)


def test_every_command_is_offered_and_no_other(shell):
    (offered,) = shell.complete("postkeel ")
    assert offered == sorted(one.name for one in COMMANDS)


def test_every_option_is_offered_where_it_is_known(shell):
    typed = [f"postkeel {one.name} --" for one in COMMANDS]
    offered = dict(zip(COMMANDS, shell.complete(*typed), strict=True))
    assert {one.name: offered[one] for one in COMMANDS} == {
        one.name: long_options(one) for one in COMMANDS
    }


def test_the_options_before_any_command(shell):
    (offered,) = shell.complete("postkeel --")
    names = {name for one in parser()._actions for name in one.option_strings}
    assert offered == sorted(one for one in names if one.startswith("--"))


@pytest.mark.parametrize("between", [" ", "="])
def test_formats_are_those_of_the_command(shell, between):
    typed = [f"postkeel {one.name} --format{between}" for one in COMMANDS]
    plain = [sorted(word.rpartition("=")[2] for word in one) for one in shell.complete(*typed)]
    assert plain == [formats(one) for one in COMMANDS]


def test_values_of_options(shell):
    sides, times = shell.complete("postkeel run --side ", "postkeel hold --for ")
    assert sides == sorted(one.value for one in Side)
    assert times
    assert all(parse_duration(one) for one in times)


def test_a_word_that_was_begun_is_ended(shell):
    typed = (
        "postkeel re",
        "postkeel --profile str",
        "postkeel tls-log --ol",
        "postkeel -c /etc/passwd",
    )
    assert shell.complete(*typed)[:3] == [["release", "restore"], ["strict"], ["--older"]]


def test_profiles_are_offered_wherever_one_is_named(shell):
    typed = (
        "postkeel --profile ",
        "postkeel profiles ",
        "postkeel profiles strict int",
        "postkeel tls-log --if ",
        "postkeel --format json check --profile ",
    )
    some = ["intermediate", "interop"]
    assert shell.complete(*typed) == [PROFILES, PROFILES, some, PROFILES, PROFILES]


def test_own_profiles_are_looked_for_beside_the_configuration(shell):
    own = shell.place / "site/profiles"
    own.mkdir(parents=True)
    (own / "ours.toml").write_text("")
    typed = f"postkeel --config {shell.place}/site/postkeel.toml --profile "
    assert shell.complete(typed) == [sorted([*PROFILES, "ours"])]


def test_without_shipped_profiles_postkeel_is_asked(shell):
    program = shell.place / "bin/postkeel"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$*" = profiles ] && echo "one  12  in use" && echo "two  3"\n'
    )
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    typed = "postkeel --profile "
    assert shell.complete(typed, shipped=shell.place / "none", path=path) == [["one", "two"]]


def test_explain_knows_every_rule_and_parameter(shell):
    documents = ProfileDocuments(profile_files(None))
    rules = [
        rule for name in PROFILES for rule in resolve_profile(name, documents, COMPARISONS).rules
    ]
    cards = [
        one.keel_card()
        for one in (certificate_watcher, config_enforcer, header_checker, syslog, tls_log_monitor)
    ]
    known = {one.id for one in rules} | {one.id for card in cards for one in card.rules}
    known |= {name for one in rules for name in one.parameters if "*" not in name}
    (offered,) = shell.complete("postkeel explain ")
    assert offered == sorted(known)


def test_files_and_directories(shell):
    (shell.place / "main").mkdir()
    (shell.place / "mail.log").write_text("")
    directory, log = shell.complete("postkeel -c ma", "postkeel tls-log ma")
    assert directory == ["main"]
    assert {one.rstrip("/") for one in log} == {"mail.log", "main"}


def test_names_of_files_are_not_run(shell):
    own = shell.place / "site/profiles"
    own.mkdir(parents=True)
    (own / "$(touch evil).toml").write_text("[rule.$(touch evil)]\nparameters = [`touch evil`]\n")
    start = f"postkeel --config {shell.place}/site/postkeel.toml"
    shell.complete(f"{start} --profile ", f"{start} explain ", f"{start} profiles \\$\\(")
    assert not list(shell.place.rglob("evil"))


def test_the_shipped_profiles_are_looked_for_where_debian_has_them():
    place = f"_postkeel_shipped={DEBIAN_DIRECTORY}/profiles"
    assert [one.name for one in (BASH, ZSH) if place not in one.read_text()] == []


def test_zsh_s_texts_are_those_of_the_help():
    """The first words of them: the shell has one line for each."""
    entries = re.findall(r"(?m)^    '([a-z-]+):(.*)'$", ZSH.read_text())
    told = {name: shlex.split(f"'{text}'")[0].replace("\\:", ":") for name, text in entries}
    assert list(told) == [one.name for one in COMMANDS]
    assert [one.name for one in COMMANDS if not one.help.startswith(told[one.name])] == []


def test_bash_reads_the_file_without_a_word(tmp_path):
    Bash(tmp_path).complete()
