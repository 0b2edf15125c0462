"""Reads the command line, runs the command, and turns every error into exit status 1."""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from postkeel import __version__
from postkeel.cli.commands import COMMANDS, Command
from postkeel.core.errors import PostkeelError
from postkeel.core.text import one_line
from postkeel.shell.built_in import DefaultsCache

if TYPE_CHECKING:
    from postkeel.shell.early_look import EarlyLook


class _Parser(argparse.ArgumentParser):
    """Says a usage error in one line, as every other error."""

    def error(self, message: str) -> NoReturn:
        raise PostkeelError(f"{one_line(message)}; see `{self.prog} --help`")


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
    every = dict.fromkeys(name for one in chosen for name in one.formats)
    add_global(top, defaults=True, formats=tuple(every))
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
        group = sub.add_argument_group("global options")
        add_global(group, defaults=False, formats=one.formats)
    return top


def add_global(
    target: argparse._ActionsContainer, *, defaults: bool, formats: tuple[str, ...]
) -> None:
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
        choices=formats,
        default=default("text"),
        help="text for people, json for programs: one document on standard output"
        + ("; html: a page with all in it" if "html" in formats else "")
        + ("; nagios: a plug-in's" if "nagios" in formats else ""),
    )
    target.add_argument(
        "--no-color",
        action="store_true",
        default=default(False),
        help="no colour, which is only used on a terminal anyway",
    )


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The arguments. SystemExit when help was asked for, PostkeelError for a usage error."""
    named = [one for one in COMMANDS if one.name == words[0]] if words else []
    top = parser(named or COMMANDS)
    arguments = top.parse_args(words)
    (command,) = (one for one in COMMANDS if one.name == arguments.command)
    if arguments.format not in command.formats:
        top.error(f"{command.name} knows no --format {arguments.format}")
    return arguments


_ASKING = ("certificates", "check", "diff", "enforce", "facts")
"""Commands that need Postfix's defaults soon after their start."""

_JUDGING = ("certificates", "check", "diff", "enforce")
"""Commands that look at certificates."""


def run(words: Sequence[str]) -> int:
    """Parse, run, and say errors in one line each on standard error.

    With --format nagios they are said as a plug-in has to say them.
    """
    # A locale that lacks a character is no reason to say nothing.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    nagios = _asks_nagios(words)
    try:
        return _run(words)
    except PostkeelError as error:
        complaints = str(error).split("\n")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 3 if nagios else 1
    except KeyboardInterrupt:
        complaints = ["interrupted"] if nagios else []
    except SystemExit as stop:  # of --help and --version
        return 3 if nagios else int(bool(stop.code))
    except Exception as error:  # noqa: BLE001  the last guard: an administrator gets a line, not a traceback
        complaints = [_defect(error)]
    return _complain(complaints, nagios=nagios)


def _complain(complaints: Sequence[str], *, nagios: bool) -> int:
    """Say what is wrong, if anything but the wish to stop; the exit status."""
    if nagios:
        from postkeel.cli.nagios import show_unknown

        return show_unknown(complaints)
    for line in complaints:
        print(f"postkeel: {one_line(line)}", file=sys.stderr)
    return 1 if complaints else 130


def _run(words: Sequence[str]) -> int:
    arguments = parsed(words)
    arguments.defaults = DefaultsCache()
    arguments.early = _begun() if arguments.command in _JUDGING else None
    try:
        if arguments.command in _ASKING:
            arguments.defaults.begin_early(arguments.config_directory)
        command = importlib.import_module(f"postkeel.cli.{arguments.command.replace('-', '_')}")
        status: int = command.main(arguments)
        sys.stdout.flush()
    finally:
        arguments.defaults.close()
        if arguments.early:
            arguments.early.close()
    return status


def _begun() -> EarlyLook:
    from postkeel.shell.early_look import EarlyLook

    early = EarlyLook()
    early.begin()
    return early


def _asks_nagios(words: Sequence[str]) -> bool:
    """Whether they do as far as can be seen without understanding them."""
    return "--format=nagios" in words or ("--format", "nagios") in itertools.pairwise(words)


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
