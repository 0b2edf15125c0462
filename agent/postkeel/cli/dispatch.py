"""The table of commands, their arguments, and the one place that turns errors into exit 1."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from postkeel import __version__
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line
from postkeel.shell.built_in import DefaultsCache


@frozen
class Argument:
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    help: str
    settings: tuple[tuple[str, object], ...] = ()


@frozen
class Command:
    """A command: its name, one line of help, a longer text, its own arguments."""

    name: str
    help: str
    more: str = ""
    arguments: tuple[Argument, ...] = ()


_DRY_RUN = Argument(
    names=("--dry-run",),
    help="decide and say what would be changed; write nothing",
    settings=(("action", "store_true"),),
)
_LIVE = Argument(
    names=("--live",),
    help="also make TLS handshakes with each TLS service of the running Postfix, and report"
    " what is weaker on the wire than in the files",
    settings=(("action", "store_true"),),
)
_REASON = Argument(
    names=("--reason",),
    help="why, for those who find the server not corrected (required)",
    settings=(("required", True), ("metavar", "TEXT")),
)
_FOR = Argument(
    names=("--for",),
    help="how long, such as 30m, 2h, 1d or 1h30m; without it until `postkeel release`",
    settings=(("dest", "duration"), ("metavar", "TIME")),
)
_LIMIT = Argument(
    names=("--limit",),
    help="at most this many rounds, the newest (default 20)",
    settings=(("type", int), ("default", 20), ("metavar", "N")),
)
_TOPIC = Argument(
    names=("topic",),
    help="a rule's id, as `check` shows it, or a parameter's name",
    settings=(("metavar", "RULE|PARAMETER"),),
)
_PROFILES = Argument(
    names=("names",),
    help="none: list them all; one: its rules; two: what differs",
    settings=(("nargs", "*"), ("metavar", "PROFILE")),
)

COMMANDS = (
    Command(
        name="check",
        help="what is weaker than the profile wants",
        more="""\
Looks at what main.cf and master.cf declare and at what each service gets of it.
Changes nothing. Stricter than wanted is no finding.

A finding names its rule, the file and line, the value, what is wanted and why;
"(an administrator has to decide)" marks what `enforce` will not touch.
Exit status 0 without errors and warnings (information does not count), else 2.

  postkeel check --live
  postkeel check -c /etc/postfix --profile strict --format json""",
        arguments=(_LIVE,),
    ),
    Command(
        name="diff",
        help="what enforce would change, as a unified diff with the rules beside it",
        more="""\
Writes nothing. Each hunk names the rules that ask for it; `postkeel explain RULE`
says why. Exit status 0 with nothing to change, 2 with a diff.""",
    ),
    Command(
        name="enforce",
        help="one round now: check, correct, reload, prove",
        more="""\
Keeps a copy of the original files the first time (`postkeel restore`), takes the
lock that postconf takes, makes the smallest edit, reloads a running Postfix and
makes a handshake with each TLS service. When that fails, the change is taken back.
A hold, a waiver and mode = "audit" are heeded.

Exit status 0 when all is as wanted now, 2 when an administrator has to decide on
something, 1 when a correction failed or was taken back.""",
        arguments=(_DRY_RUN,),
    ),
    Command(
        name="run",
        help="the agent, in the foreground (what the systemd unit starts)",
        more="""\
Corrects at the start, at every change of the files and from time to time, until
SIGTERM or SIGINT. SIGHUP reads postkeel's configuration again; a faulty one is
refused and the previous one stays. One agent an instance: a second one refuses.
Reports go to the system's log and into the history, on a terminal also here.""",
    ),
    Command(
        name="status",
        help="what is guarded, the last outcome, holds, next timers",
        more="Exit status 0 when an agent guards each instance, else 2.",
    ),
    Command(
        name="history",
        help="every drift with its cause, before and after",
        more="Oldest first. Rounds that found and changed nothing are not kept.",
        arguments=(_LIMIT,),
    ),
    Command(
        name="facts",
        help="everything known of the host's Postfix instances",
        more="""\
Versions, what main.cf sets, the `-o` overrides of each service in master.cf, each
with its line, and what the TLS settings come to: level, protocols, cipher suites.
With --format json all of it; the text leaves out services without overrides and TLS.""",
    ),
    Command(
        name="explain",
        help="why a rule or parameter matters, what is wanted here, and where it says so",
        more="""\
Works offline, and without Postfix (then for every version).

  postkeel explain smtpd-protocols
  postkeel explain smtpd_tls_security_level --profile strict""",
        arguments=(_TOPIC,),
    ),
    Command(
        name="hold",
        help="stop correcting, keep watching and reporting",
        more="""\
For a time in which the server has to be weaker than the profile: drift is reported
as held. A new hold replaces the one before. `postkeel status` shows holds.

  postkeel hold --for 2h --reason "testing the old scanner"

To exempt one rule for good, write a [[waiver]] in postkeel.toml.""",
        arguments=(_FOR, _REASON),
    ),
    Command(
        name="release",
        help="resume correcting",
        more="""\
Ends a hold, and a contest: corrections that another writer kept undoing are made
again. A running agent acts at once.""",
    ),
    Command(
        name="restore",
        help="put back the files as they were before postkeel's first change, and hold",
        more="""\
Bytes, mode and owner. What was there is kept beside the originals, a running
Postfix is reloaded, and the hold keeps an agent from correcting at once:
`postkeel release` ends it. Files that postkeel never changed are left alone.""",
    ),
    Command(
        name="plugins",
        help="what is loaded, what is not, and why not",
        more="""\
Each with its options, which go into [plugins.NAME] of postkeel.toml.
Exit status 2 when a plugin was found and could not be loaded.""",
    ),
    Command(
        name="profiles",
        help="the profiles, one profile's rules, or what differs of two",
        more="""\
Your own go into profiles/NAME.toml beside postkeel.toml and `extends` another.

  postkeel profiles
  postkeel profiles strict
  postkeel profiles intermediate strict""",
        arguments=(_PROFILES,),
    ),
    Command(
        name="config",
        help="check postkeel's own configuration and show what it comes to",
        more="""\
postkeel.toml, conf.d/*.toml, the profiles in use and the plugins' options. Exit
status 1 with file and line for what is wrong, 2 with a warning for what is valid
and has no effect: a waiver that has ended, or whose rule no profile in use has.""",
    ),
)


class _Parser(argparse.ArgumentParser):
    """Says a usage error in one line, as every other error."""

    def error(self, message: str) -> NoReturn:
        print(f"postkeel: {one_line(message)}; see `{self.prog} --help`", file=sys.stderr)
        sys.exit(1)


class _Help(argparse.RawDescriptionHelpFormatter):
    """argparse's, with the width found here: argparse imports shutil for it, 10 ms a command."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", "")) or 80
        except ValueError:
            columns = os.get_terminal_size(1).columns if os.isatty(1) else 80
        super().__init__(prog, width=columns - 2)


def parser(chosen: Sequence[Command] = COMMANDS) -> argparse.ArgumentParser:
    """The command line, whole or with these commands only.

    Arguments of commands that nobody asked for cost 5 ms.
    """
    top = _Parser(
        prog="postkeel",
        formatter_class=_Help,
        allow_abbrev=False,
        description="Keeps a host's Postfix at a hardened TLS state.",
        epilog="Exit status: 0 all as wanted, 2 findings or changes pending, 1 error. "
        "Start with `postkeel check`, then `postkeel diff`. `postkeel COMMAND --help` says more.",
    )
    top.add_argument("-V", "--version", action="version", version=f"postkeel {__version__}")
    add_global(top, defaults=True)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for one in chosen:
        sub = commands.add_parser(
            one.name,
            help=one.help,
            description=f"{one.help[0].upper()}{one.help[1:]}.\n\n{one.more}".rstrip(),
            formatter_class=_Help,
            allow_abbrev=False,
        )
        for argument in one.arguments:
            sub.add_argument(*argument.names, help=argument.help, **dict(argument.settings))  # type: ignore[arg-type]
        add_global(sub.add_argument_group("global options"), defaults=False)
    return top


def add_global(target: argparse._ActionsContainer, *, defaults: bool) -> None:
    """The global options, which may stand before or after the command."""

    def default(value: object) -> object:
        return value if defaults else argparse.SUPPRESS

    target.add_argument(
        "-c",
        dest="config_directory",
        metavar="DIR",
        default=default(None),
        help="Postfix configuration directory, as in Postfix's own commands"
        " (default: every instance that Postfix knows)",
    )
    target.add_argument(
        "--config",
        metavar="FILE",
        default=default(None),
        help="postkeel's configuration"
        " (default /etc/postkeel/postkeel.toml, with conf.d/*.toml beside it)",
    )
    target.add_argument(
        "--profile",
        metavar="NAME",
        default=default(None),
        help="judge by this profile, whatever the configuration says",
    )
    target.add_argument(
        "--format",
        choices=("text", "json"),
        default=default("text"),
        help="text for people, json for programs: one document on standard output",
    )
    target.add_argument(
        "--no-color",
        action="store_true",
        default=default(False),
        help="no colour, which is only used on a terminal anyway",
    )


_ASKING = ("check", "diff", "enforce", "facts")
"""Commands that need Postfix's defaults soon after their start."""


def run(words: Sequence[str]) -> int:
    """Parse, run, and say errors in one line each on standard error."""
    # A locale that lacks a character is no reason to say nothing.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        named = [one for one in COMMANDS if one.name == words[0]] if words else []
        arguments = parser(named or COMMANDS).parse_args(words)
    except SystemExit as stop:
        return 1 if stop.code else 0
    arguments.defaults = DefaultsCache()
    try:
        if arguments.command in _ASKING:
            arguments.defaults.begin_early(arguments.config_directory)
        command = importlib.import_module(f"postkeel.cli.{arguments.command}")
        status: int = command.main(arguments)
        sys.stdout.flush()
    except PostkeelError as error:
        for line in str(error).split("\n"):
            print(f"postkeel: {one_line(line)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  the last guard: an administrator gets a line, not a traceback
        print(f"postkeel: {_defect(error)}", file=sys.stderr)
        return 1
    finally:
        arguments.defaults.close()
    return status


def _defect(error: Exception) -> str:
    """An error that nobody foresaw, in one line: what the system refused, or where to look."""
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename or 'the system'}: {error.strerror}")
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "nowhere"
    return one_line(
        f"a defect of postkeel, please report it: {type(error).__name__}: {error} at {where}"
    )
