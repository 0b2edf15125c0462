"""The facts of one Postfix instance, and what a service gets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from postkeel.core.frozen import frozen
from postkeel.core.model import Absent
from postkeel.postfix.expansion import expand

Version = tuple[int, ...]
"""A Postfix version as numbers: (3, 7, 11)."""


class Role(str, Enum):
    """What a master.cf service is for.

    MX is smtpd where other servers deliver (port 25, or behind postscreen);
    OTHER_SMTPD is an smtpd on a port of no known meaning, such as a content
    filter's way back in.
    """

    MX = "mx"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    OTHER_SMTPD = "other-smtpd"
    SMTP_CLIENT = "smtp"
    LMTP_CLIENT = "lmtp"
    TLSPROXY = "tlsproxy"
    POSTSCREEN = "postscreen"
    OTHER = "other"


@frozen
class Parameter:
    """A value as written (unexpanded, continuation lines joined) and its place."""

    value: str
    where: str


@frozen
class Service:
    """One master.cf entry. `name` is as `postconf -M` has it: "submission/inet"."""

    name: str
    command: str
    where: str
    role: Role
    overrides: Mapping[str, Parameter] = field(default_factory=dict)


@frozen
class FileState:
    """A file that the configuration names: permission bits and owner, or why not."""

    mode: int = 0
    owner: int = 0
    problem: str = ""


@frozen
class Effective:
    """What a service gets: the value after `$name` expansion, and who said so."""

    value: str
    where: str


@frozen
class Suite:
    """One TLS cipher suite in OpenSSL's words: the name, and the Kx=, Au=, Enc=
    and Mac= of `openssl ciphers -v`."""

    name: str
    protocol: str
    key_exchange: str
    authentication: str
    encryption: str
    mac: str

    def __hash__(self) -> int:
        """A few suites are asked about thousands of times; the name tells nearly all apart."""
        return hash(self.name)


@frozen
class Instance:
    """What is known of one instance; every string is as Postfix's own tools say it.

    `main_cf` and `master_cf` are the files' texts that these facts were read from.
    `defaults` are this version's (`postconf -d`), unexpanded. `references` are
    the absolute paths of files that the configuration names. `suites` maps an
    OpenSSL cipher string to the suites that this OpenSSL makes of it, or says
    why that is not known. `policies` maps a table of smtp_tls_policy_maps and
    lmtp_tls_policy_maps ("hash:/etc/postfix/policy") to its entries. `unused`
    are names that main.cf sets and nothing in this Postfix uses: misspelt ones.
    """

    config_directory: str
    version: str
    openssl: str
    map_types: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    defaults: Mapping[str, str]
    services: tuple[Service, ...]
    main_cf: str = ""
    master_cf: str = ""
    running: bool = False
    warnings: tuple[str, ...] = ()
    references: Mapping[str, FileState] = field(default_factory=dict)
    suites: Mapping[str, tuple[Suite, ...] | Absent] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, str] | Absent] = field(default_factory=dict)
    unused: Mapping[str, Parameter] = field(default_factory=dict)

    def service(self, name: str) -> Service | None:
        return next((one for one in self.services if one.name == name), None)

    def effective(self, name: str, service: Service | None = None) -> Effective:
        """The value that counts: `-o` of the service, else main.cf, else the default.

        `$name` inside it is looked up the same way, as the daemon does it.
        """

        def lookup(wanted: str) -> str | None:
            if service is not None and wanted in service.overrides:
                return service.overrides[wanted].value
            if wanted in self.parameters:
                return self.parameters[wanted].value
            return self.defaults.get(wanted)

        value = lookup(name)
        return Effective(
            value="" if value is None else expand(value, lookup), where=self.where(name, service)
        )

    def where(self, name: str, service: Service | None = None) -> str:
        """The place that sets a parameter for a service, or "default"."""
        if service is not None and name in service.overrides:
            return service.overrides[name].where
        if name in self.parameters:
            return self.parameters[name].where
        return "default"

    def of_role(self, *roles: Role) -> tuple[Service, ...]:
        return tuple(one for one in self.services if one.role in roles)


def parse_version(text: str) -> Version:
    """ "3.7.11" -> (3, 7, 11); a snapshot's "3.12-20260101" -> (3, 12)."""
    numbers: list[int] = []
    for part in text.split("-", 1)[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
