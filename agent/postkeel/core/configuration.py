"""postkeel.toml as values. Everything has a default: an empty file is valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import date, datetime, time
from typing import Any

from postkeel.core.document import Document
from postkeel.core.errors import ConfigurationError, Problem
from postkeel.core.frozen import frozen
from postkeel.core.model import Finding, Mode, Waiver

LEAST_HEARTBEAT = 60


@frozen
class Contest:
    """When two writers fight: this many corrections of one rule within these seconds."""

    corrections: int = 3
    seconds: int = 600


@frozen
class Reporting:
    """When the agent speaks up by itself: every so many seconds, 0 for never, and at a time of day.

    `digest` is local time, such as "06:30"; "" for none.
    """

    heartbeat: int = 3600
    digest: str = "06:30"


@frozen
class CertificateSources:
    """Beside Postfix's files, where certificates come from and whom to ask about them.

    roots: PEM file of the trusted roots, "" for the system's. lineages: directories where
    renewers keep one directory a name with fullchain.pem and privkey.pem. resolver: of DNS,
    "auto" for one of /etc/resolv.conf on loopback, "" for none, else its loopback address.
    """

    roots: str = ""
    lineages: tuple[str, ...] = ("/etc/letsencrypt/live",)
    resolver: str = "auto"


@frozen
class Settings:
    """What one instance is held at, and whether drift is corrected."""

    mode: Mode
    profile: str


@frozen
class Configuration:
    """All of postkeel.toml and conf.d, merged. Directories are absolute paths.

    `plugins` are the raw `[plugins.NAME]` tables: the registry checks them
    against each plugin's card. `documents` are the files, in reading order.
    """

    mode: Mode = Mode.ENFORCE
    profile: str = "intermediate"
    state_directory: str = "/var/lib/postkeel"
    runtime_directory: str = "/run/postkeel"
    plugin_directory: str = ""
    contest: Contest = Contest()
    reporting: Reporting = Reporting()
    certificates: CertificateSources = CertificateSources()
    instances: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    plugins: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    documents: tuple[Document, ...] = ()

    @property
    def monitor_state_directory(self) -> str:
        """Where the side "monitor" keeps what is its own; it belongs to that side's user."""
        return f"{self.state_directory}/monitor"

    @property
    def monitor_runtime_directory(self) -> str:
        return f"{self.runtime_directory}/monitor"

    @property
    def channel(self) -> str:
        """The socket by which the side "monitor" asks for a check."""
        return f"{self.runtime_directory}/ask/socket"

    def settings(self, instance: str) -> Settings:
        own = self.instances.get(instance, {})
        return Settings(
            mode=Mode(own.get("mode", self.mode)), profile=own.get("profile", self.profile)
        )

    def problem(self, message: str, *keys: str) -> Problem:
        """A problem located in the file that sets this key last."""
        for document in reversed(self.documents):
            found = document.problem(message, *keys)
            if found.line:
                return found
        return Problem(file="postkeel.toml", line=0, message=message)


def waiver_for(finding: Finding, waivers: Iterable[Waiver], today: date) -> Waiver | None:
    """The waiver in force that covers a finding."""
    for waiver in waivers:
        if (
            waiver.rule == finding.rule
            and waiver.service in (None, finding.service)
            and waiver.parameter in (None, finding.parameter)
            and today <= waiver.until
        ):
            return waiver
    return None


def read_configuration(documents: Iterable[Document]) -> Configuration:
    """One configuration from the main file and the drop-ins, later files winning.

    Errors: ConfigurationError with file and line for each unknown key, wrong
    type or value, all of them at once.
    """
    reader = _Reader()
    read = tuple(documents)
    for document in read:
        reader.read(document)
    if reader.problems:
        raise ConfigurationError(*reader.problems)
    return Configuration(
        **reader.top,
        contest=Contest(**reader.single["contest"]),
        reporting=Reporting(**reader.single["reporting"]),
        certificates=CertificateSources(**reader.single["certificates"]),
        instances=reader.instances,
        plugins=reader.plugins,
        waivers=tuple(reader.waivers),
        documents=read,
    )


def _directory(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("must be an absolute path")
    return value


def _optional_path(value: object) -> str:
    return "" if value == "" else _directory(value)


def _mode(value: object) -> Mode:
    if value not in tuple(one.value for one in Mode):
        raise ValueError('must be "enforce" or "audit"')
    return Mode(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a whole number from 1")
    return value


def _seconds(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or 0 != value < LEAST_HEARTBEAT:
        raise ValueError(f"must be a number of seconds from {LEAST_HEARTBEAT}, or 0 for never")
    return value


def _time_of_day(value: object) -> str:
    if value == "":
        return ""
    try:
        if isinstance(value, str) and len(value) == len("06:30"):
            return f"{time.fromisoformat(value):%H:%M}"
    except ValueError:
        pass
    raise ValueError('must be a time of day such as "06:30", or "" for none')


def _day(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("must be a date such as 2027-01-31")  # noqa: TRY004  collected above
    return value


def _resolver(value: object) -> str:
    from postkeel.core.resolver_address import resolver_fault

    fault = resolver_fault(value) if isinstance(value, str) else "must be a text"
    if fault:
        raise ValueError(fault)
    return str(value)


def _directories(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of absolute paths")  # noqa: TRY004  collected above
    return tuple(_directory(one) for one in value)


_Take = Callable[[object], object]

_TOP: Mapping[str, _Take] = {
    "mode": _mode,
    "profile": _text,
    "state_directory": _directory,
    "runtime_directory": _directory,
    "plugin_directory": _optional_path,
}
_INSTANCE: Mapping[str, _Take] = {"mode": lambda value: _mode(value).value, "profile": _text}
_CONTEST: Mapping[str, _Take] = {"corrections": _count, "seconds": _count}
_REPORTING: Mapping[str, _Take] = {"heartbeat": _seconds, "digest": _time_of_day}
_CERTIFICATES: Mapping[str, _Take] = {
    "roots": _optional_path,
    "lineages": _directories,
    "resolver": _resolver,
}
_WAIVER: Mapping[str, _Take] = {
    "rule": _text,
    "reason": _text,
    "owner": _text,
    "until": _day,
    "service": _text,
    "parameter": _text,
}
_WAIVER_REQUIRED = ("rule", "reason", "owner", "until")
_SINGLE: Mapping[str, Mapping[str, _Take]] = {
    "contest": _CONTEST,
    "reporting": _REPORTING,
    "certificates": _CERTIFICATES,
}
_TABLES = ("instance", "plugins", *_SINGLE, "waiver")


class _Reader:
    """Merges documents and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.top: dict[str, Any] = {}
        self.single: dict[str, dict[str, Any]] = {name: {} for name in _SINGLE}
        self.instances: dict[str, dict[str, Any]] = {}
        self.plugins: dict[str, dict[str, object]] = {}
        self.waivers: list[Waiver] = []

    def read(self, document: Document) -> None:
        plain = {key: one for key, one in document.data.items() if key not in _TABLES}
        self.top.update(self.take(document, plain, _TOP))
        for name, known in _SINGLE.items():
            own = self.table(document, document.data.get(name, {}), name)
            self.single[name].update(self.take(document, own, known, name))
        for name, table in self.table(
            document, document.data.get("instance", {}), "instance"
        ).items():
            if not name.startswith("/"):
                self.complain(document, "an instance is named by its directory", "instance", name)
            own = self.table(document, table, "instance", name)
            taken = self.take(document, own, _INSTANCE, "instance", name)
            self.instances.setdefault(name, {}).update(taken)
        for name, table in self.table(
            document, document.data.get("plugins", {}), "plugins"
        ).items():
            self.plugins.setdefault(name, {}).update(self.table(document, table, "plugins", name))
        self.read_waivers(document)

    def read_waivers(self, document: Document) -> None:
        tables = document.data.get("waiver", [])
        if not isinstance(tables, list):
            self.complain(document, "waivers are written as [[waiver]]", "waiver")
            return
        for nth, table in enumerate(tables):
            before = len(self.problems)
            own = self.table(document, table, "waiver")
            taken = self.take(document, own, _WAIVER, "waiver", nth=nth)
            for key in _WAIVER_REQUIRED:
                if key not in own:
                    message = f"a waiver needs {key!r}: who waives what, why, and until when"
                    self.problems.append(document.problem(message, "waiver", nth=nth))
            if len(self.problems) == before:
                self.waivers.append(Waiver(**taken))

    def table(self, document: Document, value: object, *keys: str) -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        self.complain(document, f"must be a table: [{'.'.join(keys)}]", *keys)
        return {}

    def take(
        self,
        document: Document,
        table: Mapping[str, object],
        known: Mapping[str, _Take],
        *path: str,
        nth: int = 0,
    ) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for key, value in table.items():
            if key not in known:
                names = ", ".join((*known, *(() if path else _TABLES)))
                message = f"unknown key {key!r}; known here are: {names}"
                self.problems.append(document.problem(message, *path, key, nth=nth))
                continue
            try:
                taken[key] = known[key](value)
            except ValueError as error:
                message = f"{key!r} {error}, not {value!r}"
                self.problems.append(document.problem(message, *path, key, nth=nth))
        return taken

    def complain(self, document: Document, message: str, *keys: str) -> None:
        self.problems.append(document.problem(message, *keys))
