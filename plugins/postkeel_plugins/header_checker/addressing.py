"""Where the probe goes: a recipient that this Postfix delivers itself, and its mailbox.

By itself the plugin decides only what is certain: the Unix user of the monitor, at a domain
of mydestination, in the mailbox that local(8) has for it. Where a command, a transport or a
table decides, the administrator says it.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.contract import Options, frozen
from postkeel.postfix.instance import Instance, Service
from postkeel_plugins.header_checker.options import ADDRESS, MAILBOX, text

USER: Final = "_postkeel"
"""As whom the packaged monitor runs."""

_SPOOL: Final = "/var/mail"
_LONGEST_ADDRESS: Final = 254
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=~-]{0,63}@" + _NAME.pattern)
"""Without % and !, by which Postfix sends mail on to another host."""
_DELIVERED: Final = ("mydestination", "virtual_alias_domains", "virtual_mailbox_domains")
_DECIDES: Final = (
    "mailbox_transport_maps",
    "mailbox_transport",
    "mailbox_command_maps",
    "mailbox_command",
)
"""What local(8) asks before it looks for a mailbox, in its order."""


@frozen
class Recipient:
    """Who gets the probe. mailbox: as in `Probe`, below the monitor's directory or absolute."""

    address: str
    mailbox: str


@frozen
class Unaddressed:
    """Why no recipient is certain: the parameter that decides, its value, what to do."""

    parameter: str
    where: str
    value: str
    says: str


@frozen
class _Domains:
    """Domains of a parameter. undecided: a table, a file or an exclusion has a say too."""

    names: tuple[str, ...]
    undecided: bool


def address_fault(address: str) -> str:
    """What is wrong with an address for probes; "" is right, and stands for the default."""
    if not address or (_ADDRESS.fullmatch(address) and len(address) <= _LONGEST_ADDRESS):
        return ""
    return f"must be an address such as {USER}@mx.example.org, not {address!r}"


def recipient_of(instance: Instance, options: Options) -> Recipient | Unaddressed:
    """The recipient that the options name, or the one that is certain.

    Security: a domain that this Postfix does not deliver itself is refused, for the probe is
    never to reach a stranger.
    """
    own = _domains(instance, _DELIVERED[0])
    address = text(options, ADDRESS) or _own_address(instance, own)
    if not address:
        return _unaddressed(
            instance,
            _DELIVERED[0],
            f"no domain of {_DELIVERED[0]} is written there by name",
        )
    local, _, domain = address.lower().rpartition("@")
    if not _is_delivered(instance, domain):
        return _unaddressed(
            instance,
            _DELIVERED[0],
            f"{address} is in no domain that this Postfix delivers itself, and a probe never goes"
            f" to others; {', '.join(_DELIVERED)} do not have it",
        )
    mailbox = text(options, MAILBOX)
    if mailbox:
        return Recipient(address=address, mailbox=mailbox)
    if local != USER or domain not in own.names:
        return _unaddressed(
            instance, "mail_spool_directory", f"the mailbox of {address} is not known"
        )
    return _by_local_delivery(instance, address)


def _own_address(instance: Instance, own: _Domains) -> str:
    """At the host's own name where it is among them, else the first; "" without any."""
    name = instance.effective("myhostname").value.lower()
    domain = name if name in own.names else next(iter(own.names), "")
    return f"{USER}@{domain}" if domain else ""


def _unaddressed(
    instance: Instance, parameter: str, says: str, service: Service | None = None
) -> Unaddressed:
    return Unaddressed(
        parameter=parameter,
        where=instance.where(parameter, service),
        value=_as_written(instance, parameter, service),
        says=f"{says}; set probe_address and probe_mailbox of [plugins.header_checker]",
    )


def _as_written(instance: Instance, parameter: str, service: Service | None) -> str:
    """A command has words that begin with $ and are no parameters."""
    for table in (service.overrides if service else {}, instance.parameters):
        if parameter in table:
            return table[parameter].value
    return instance.defaults.get(parameter, "")


def _is_delivered(instance: Instance, domain: str) -> bool:
    """Whether this Postfix delivers the domain's mail, or a table may say so."""
    known = [_domains(instance, one) for one in _DELIVERED]
    return any(domain in one.names or one.undecided for one in known)


def _domains(instance: Instance, parameter: str) -> _Domains:
    value = instance.effective(parameter).value
    if "{" in value:  # a table that is written there, blanks and all
        return _Domains(names=(), undecided=True)
    words = value.replace(",", " ").lower().split()
    names = tuple(one for one in words if _NAME.fullmatch(one))
    return _Domains(names=names, undecided=len(names) < len(words))


def _by_local_delivery(instance: Instance, address: str) -> Recipient | Unaddressed:
    """The mailbox of local(8) for the monitor's user."""
    service = instance.service("local/unix")
    elsewhere = instance.effective("local_transport").value.partition(":")[0] != "local"
    asked = ("local_transport",) if elsewhere else _DECIDES
    for one in asked:
        if elsewhere or instance.effective(one, service).value:
            return _unaddressed(
                instance, one, f"{one} decides where mail for {address} goes", service
            )
    home = instance.effective("home_mailbox", service).value.lstrip("/")
    if home:
        return Recipient(address=address, mailbox=home)
    spool = instance.effective("mail_spool_directory", service).value or _SPOOL
    mailbox = f"{spool}{USER}/" if spool.endswith("/") else f"{spool}/{USER}"
    return Recipient(address=address, mailbox=mailbox)
