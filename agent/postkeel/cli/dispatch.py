"""The table of commands, their arguments, and the one place that turns errors into exit 1."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from postkeel import __version__
from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    help: str
    settings: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
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
    help="also make a TLS handshake with each TLS service of a running Postfix",
    settings=(("action", "store_true"),),
)
_REASON = Argument(
    names=("--reason",),
    help="why, for those who find the server not corrected",
    settings=(("required", True), ("metavar", "TEXT")),
)
_FOR = Argument(
    names=("--for",),
    help="how long, such as 30m, 2h or 1d; without it until `postkeel release`",
    settings=(("dest", "duration"), ("metavar", "TIME")),
)
_LIMIT = Argument(
    names=("--limit",),
    help="at most this many rounds, the newest (default 20)",
    settings=(("type", int), ("default", 20), ("metavar", "N")),
)
_TOPIC = Argument(
    names=("topic",),
    help="a rule's id or a parameter's name",
    settings=(("metavar", "RULE|PARAMETER"),),
)
_PROFILES = Argument(
    names=("names",),
    help="one profile to show, or two to compare",
    settings=(("nargs", "*"), ("metavar", "PROFILE")),
)

COMMANDS = (
    Command(
        name="check",
        help="what is weaker than the profile wants",
        more="Looks at what main.cf and master.cf declare and at what each service gets of it.\n"
        "Changes nothing. Exit status 2 when there are errors or warnings.",
        arguments=(_LIVE,),
    ),
    Command(
        name="diff",
        help="what enforce would change, as a unified diff with the rules beside it",
        more="Exit status 2 when there is something to change.",
    ),
    Command(
        name="enforce",
        help="one round now: check, correct, reload, prove",
        more="Keeps the original files the first time, joins Postfix's own lock, reloads, makes a\n"
        "handshake with each TLS service and takes the change back when that fails.",
        arguments=(_DRY_RUN,),
    ),
    Command(name="run", help="the agent, in the foreground (what the systemd unit starts)"),
    Command(name="status", help="what is guarded, the last outcome, holds, next timers"),
    Command(
        name="history",
        help="every drift with its cause, before and after",
        arguments=(_LIMIT,),
    ),
    Command(name="facts", help="everything known of the host's Postfix instances"),
    Command(
        name="explain",
        help="why a rule or parameter matters, what is wanted here, and where it says so",
        more="Works offline, and without Postfix (then for every version).",
        arguments=(_TOPIC,),
    ),
    Command(
        name="hold",
        help="stop correcting, keep watching and reporting",
        arguments=(_FOR, _REASON),
    ),
    Command(name="release", help="resume correcting"),
    Command(
        name="restore",
        help="put back the files as they were before postkeel's first change, and hold",
    ),
    Command(name="plugins", help="what is loaded, what is not, and why not"),
    Command(
        name="profiles",
        help="the profiles, one profile's rules, or what differs of two",
        arguments=(_PROFILES,),
    ),
    Command(name="config", help="check postkeel's own configuration and show what it comes to"),
)


def parser(chosen: Sequence[Command] = COMMANDS) -> argparse.ArgumentParser:
    """The command line, whole or with these commands only.

    Arguments of commands that nobody asked for cost 5 ms.
    """
    top = argparse.ArgumentParser(
        prog="postkeel",
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
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_global(sub, defaults=False)
        for argument in one.arguments:
            sub.add_argument(*argument.names, help=argument.help, **dict(argument.settings))  # type: ignore[arg-type]
    return top


def add_global(target: argparse.ArgumentParser, *, defaults: bool) -> None:
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
        help="postkeel's configuration (default /etc/postkeel/postkeel.toml, with conf.d/*.toml beside it)",
    )
    target.add_argument(
        "--profile", metavar="NAME", default=default(None), help="judge by this profile"
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


def run(words: Sequence[str]) -> int:
    """Parse, run, and say errors in one line each on standard error."""
    gc.disable()
    try:
        named = [one for one in COMMANDS if one.name == words[0]] if words else []
        arguments = parser(named or COMMANDS).parse_args(words)
    except SystemExit as stop:
        # argparse ends with 2 on a usage error; here 2 means findings.
        return 1 if stop.code else 0
    try:
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
    return status
