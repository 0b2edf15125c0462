"""Which log an instance writes to, under which names, and which service wrote a line."""

from __future__ import annotations

from typing import Final

from postkeel.core.mail import LogLines
from postkeel.postfix.expansion import expand
from postkeel.postfix.instance import Instance, Service

AUTO: Final = "auto"
"""Follow the log that Postfix writes to."""
_JOURNAL: Final = "journal"
_PROGRAMS: Final = (
    "anvil",
    "bounce",
    "cleanup",
    "dnsblog",
    "error",
    "lmtp",
    "local",
    "master",
    "pickup",
    "pipe",
    "postlogd",
    "postscreen",
    "qmgr",
    "scache",
    "smtp",
    "smtpd",
    "tlsmgr",
    "tlsproxy",
    "trivial-rewrite",
    "verify",
    "virtual",
)
"""Daemons that log what is read here, or that say why it is missing."""


def log_to_follow(directory: str, instance: Instance | None, chosen: str = AUTO) -> LogLines | None:
    """The log that a plugin's option "log" names; None for one that nobody can follow.

    Of the journal, what Postfix's own programs wrote as one of its own users; its units'
    lines where the programs are not known. "auto" is Postfix's own maillog_file where it is
    set, else the journal.
    Errors: ValueError for an option that is neither a word nor an absolute name.
    """
    if chosen.startswith("/"):
        return LogLines(file=chosen)
    if chosen not in (AUTO, _JOURNAL):
        raise ValueError(
            f"option 'log' must be {AUTO!r}, {_JOURNAL!r} or an absolute file name, not {chosen!r}"
        )
    own = instance.effective("maillog_file").value if instance and chosen == AUTO else ""
    if own:
        return LogLines(file=own) if _followed(own, instance) else None
    return LogLines(
        units=_units(directory, instance),
        programs=_programs(instance),
        users=_users(instance),
    )


def _followed(file: str, instance: Instance | None) -> bool:
    """Whether Postfix writes there and it is a file: it refuses what has no allowed prefix."""
    prefixes = instance.effective("maillog_file_prefixes").value if instance else ""
    allowed = tuple(prefixes.replace(",", " ").split())
    return file.startswith("/") and file.startswith(allowed) and not file.startswith("/dev/")


def _units(directory: str, instance: Instance | None) -> tuple[str, ...]:
    """Debian 12 has postfix@-.service for the first instance, Debian 13 postfix.service."""
    named = instance.effective("multi_instance_name").value if instance else ""
    name = named or directory.rpartition("/")[2]
    first = ("postfix.service", "postfix@-.service")
    return first if name == "postfix" else (*first, f"postfix@{name}.service")


def _programs(instance: Instance | None) -> tuple[str, ...]:
    where = instance.effective("daemon_directory").value if instance else ""
    return tuple(f"{where}/{name}" for name in _PROGRAMS) if where.startswith("/") else ()


def _users(instance: Instance | None) -> tuple[str, ...]:
    """As whom Postfix's daemons run; none of its users' commands runs as one of these."""
    owner = instance.effective("mail_owner").value if instance else ""
    return ("root", owner) if owner else ()


def syslog_names(instance: Instance | None) -> frozenset[str]:
    """The names under which an instance logs; empty when it is not known.

    The journal's lines come by unit or program, and a program serves all instances of a host.
    """
    if instance is None:
        return frozenset()
    services = (None, *instance.services)
    return frozenset(_syslog_name(instance, one) for one in services)


def writers(instance: Instance, name: str) -> tuple[Service, ...]:
    """The services that may have written a line of this name ("postfix/submission/smtpd")."""
    syslog_name, _, program = name.rpartition("/")
    return tuple(
        one
        for one in instance.services
        if one.command == program and _syslog_name(instance, one) == syslog_name
    )


def _syslog_name(instance: Instance, service: Service | None) -> str:
    """What a service's lines begin with; `$service_name` is known to the service alone."""
    if service is None or "syslog_name" not in service.overrides:
        return instance.effective("syslog_name").value

    def lookup(name: str) -> str:
        if name == "service_name":
            return service.name.partition("/")[0]
        return instance.effective(name, service).value

    return expand(service.overrides["syslog_name"].value, lookup)
