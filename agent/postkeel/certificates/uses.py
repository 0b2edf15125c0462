"""Which credentials the services of an instance use, and by which parameter.

postconf(5) and TLS_README of Postfix 3.4 to 3.11: ..._tls_chain_files overrides the older pairs
of files; tlsproxy shows its own to those whom postscreen hands to it, by default those of
smtpd; tls_server_sni_maps adds one for each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from postkeel.certificates.values import Credential, Kind, Use
from postkeel.postfix.handshake import is_disabled
from postkeel.postfix.instance import Instance, Role, Service
from postkeel.postfix.levels import security_level, switched_on
from postkeel.postfix.references import split_list

Entries = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of a table of tls_server_sni_maps, each with its files.

A name of "" stands for entries whose names cannot be told, such as those of a regular
expression. Without files the entry is known by what the table itself holds.
"""

SNI = "tls_server_sni_maps"
CHAIN = "chain_files"
_PAIRS = (("cert_file", "key_file"), ("eccert_file", "eckey_file"), ("dcert_file", "dkey_file"))
_SMTPD = (Role.MX, Role.SUBMISSION, Role.SUBMISSIONS, Role.OTHER_SMTPD)
_CLIENTS = {Role.SMTP_CLIENT: "smtp", Role.LMTP_CLIENT: "lmtp"}


def uses_of(instance: Instance, tables: Mapping[str, Entries]) -> tuple[Use, ...]:
    """Every credential that a service really uses, in master.cf's order.

    tables: the entries of those of `sni_tables`; one that is missing has none. Services that
    use a credential by the same parameter are one `Use`: `where` is that of the first.
    Left out is what has no effect: files of a service that is switched off or has no TLS, and
    pairs of files beside chain files.
    """
    found: dict[tuple[object, ...], Use] = {}
    for use in _each(instance, tables):
        known = (use.credential, use.parameter, use.client, use.table, use.name)
        before = found.get(known)
        services = (*before.services, *use.services) if before else use.services
        found[known] = replace(before or use, services=tuple(dict.fromkeys(services)))
    return tuple(found.values())


def sni_tables(instance: Instance) -> tuple[str, ...]:
    """The tables of tls_server_sni_maps that a service uses, as they are configured."""
    shown = _shown(instance)
    values = (instance.effective(SNI, service).value for service, _, _ in shown)
    return tuple(dict.fromkeys(table for value in values for table in split_list(value)))


def names_of(instance: Instance) -> tuple[str, ...]:
    """What the server calls itself: myhostname of main.cf and of each service with clients."""
    places = (None, *_serving(instance))
    values = (instance.effective("myhostname", one).value.lower() for one in places)
    return tuple(dict.fromkeys(one for one in values if one))


def is_without_certificate(instance: Instance) -> bool:
    """Whether there are services for clients, and none of them was told of a certificate."""
    serving = _serving(instance)
    names = ("smtpd_tls_chain_files", *(f"smtpd_tls_{one}" for one, _ in _PAIRS))
    values = (instance.effective(name, one).value for one in (None, *serving) for name in names)
    return bool(serving) and not any(values)


def _serving(instance: Instance) -> tuple[Service, ...]:
    services = instance.of_role(*_SMTPD, Role.POSTSCREEN)
    return tuple(one for one in services if not is_disabled(instance, one.name))


def _each(instance: Instance, tables: Mapping[str, Entries]) -> Iterator[Use]:
    for service, prefix, services in _shown(instance):
        yield from _credentials(instance, service, prefix, services)
        yield from _by_name(instance, service, services, tables)
    for service, prefix in _presented(instance):
        for use in _credentials(instance, service, prefix, (service.name,)):
            yield replace(use, client=True)


def _shown(instance: Instance) -> Iterator[tuple[Service, str, tuple[str, ...]]]:
    """Each service that shows certificates to clients, its parameters' prefix, and which ports'.

    A postscreen has TLS by tlsproxy, and hands those it lets through to an smtpd; so
    what a client of its port sees is one of these two's.
    """
    serving = _serving(instance)
    screens = tuple(one for one in serving if one.role is Role.POSTSCREEN)
    for service in serving:
        if service.role in _SMTPD and security_level(instance, "smtpd", service) != "none":
            before = _handing_to(instance, service, screens, "smtpd_service_name")
            yield service, "smtpd_tls_", (service.name, *before)
    screens = tuple(one for one in screens if security_level(instance, "postscreen", one) != "none")
    for service in instance.of_role(Role.TLSPROXY):
        before = _handing_to(instance, service, screens, "tlsproxy_service_name")
        if before and security_level(instance, "tlsproxy", service) != "none":
            yield service, "tlsproxy_tls_", (*before, service.name)


def _handing_to(
    instance: Instance, service: Service, screens: tuple[Service, ...], parameter: str
) -> tuple[str, ...]:
    """The postscreens among these that hand clients to this service."""
    name, _, kind = service.name.rpartition("/")
    if kind == "inet":
        return ()
    return tuple(one.name for one in screens if instance.effective(parameter, one).value == name)


def _presented(instance: Instance) -> Iterator[tuple[Service, str]]:
    """Each service that may show a certificate to servers, and its parameters' prefix."""
    reused = False
    for service in instance.of_role(*_CLIENTS):
        family = _CLIENTS[service.role]
        maps = instance.effective(f"{family}_tls_policy_maps", service).value
        if maps or security_level(instance, family, service) != "none":
            reused |= switched_on(instance, f"{family}_tls_connection_reuse", service)
            yield service, f"{family}_tls_"
    for service in instance.of_role(Role.TLSPROXY) if reused else ():
        yield service, "tlsproxy_client_"


def _credentials(
    instance: Instance, service: Service, prefix: str, services: tuple[str, ...]
) -> Iterator[Use]:
    """What the parameters with this prefix come to for the service."""

    def use(kind: Kind, files: tuple[str, ...], name: str) -> Use:
        parameter = _said_by(instance, prefix + name, service)
        return Use(
            credential=Credential(kind=kind, files=_absolute(instance, files)),
            services=services,
            parameter=parameter,
            where=instance.where(parameter, service),
        )

    files = tuple(split_list(instance.effective(prefix + CHAIN, service).value))
    if files:
        yield use(Kind.CHAIN, files, CHAIN)
        return
    for name, key_name in _PAIRS:
        file = instance.effective(prefix + name, service).value
        if file and not (name == "cert_file" and file.lower() == "none"):
            key = instance.effective(prefix + key_name, service).value
            yield use(Kind.PAIR, (file, key), name)


def _by_name(
    instance: Instance, service: Service, services: tuple[str, ...], tables: Mapping[str, Entries]
) -> Iterator[Use]:
    found = instance.effective(SNI, service)
    for table in split_list(found.value):
        for name, files in tables.get(table, ()):
            yield Use(
                credential=Credential(kind=Kind.CHAIN, files=_absolute(instance, files))
                if files
                else Credential(kind=Kind.TABLE, files=(table, name)),
                services=services,
                parameter=SNI,
                where=found.where,
                table=table,
                name=name,
            )


def _said_by(instance: Instance, name: str, service: Service) -> str:
    """The parameter that decides: of one left at the default "$other", the other."""
    default = instance.defaults.get(name, "")
    left = instance.where(name, service) == "default" and default.startswith("$")
    return default[1:] if left and default[1:].isidentifier() else name


def _absolute(instance: Instance, files: tuple[str, ...]) -> tuple[str, ...]:
    """A daemon of Postfix works in the queue directory; a name of "" stays as it is."""
    queue = instance.effective("queue_directory").value.rstrip("/")
    return tuple(f"{queue}/{one}" if one and one[0] != "/" else one for one in files)
