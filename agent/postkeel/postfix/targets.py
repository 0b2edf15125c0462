"""The ports at which an instance takes mail over TLS, as a probe message is handed in there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.core.mail import Target
from postkeel.postfix.handshake import Endpoint, endpoints, interfaces
from postkeel.postfix.instance import Instance, Role

_OPEN: Final = (Role.MX, Role.POSTSCREEN)
_WITH_LOGIN: Final = (Role.SUBMISSION, Role.SUBMISSIONS)


def targets(instance: Instance, *, credentials: bool) -> tuple[Target, ...]:
    """Where to hand in probes, in master.cf's order; IPv4 before IPv6.

    Each service once for each family of addresses that it listens on, on loopback where it
    does. Without credentials those are left out that want a login.
    """
    return tuple(_of_instance(instance, credentials=credentials))


def _of_instance(instance: Instance, *, credentials: bool) -> Iterator[Target]:
    roles = {one.name: one.role for one in instance.services}
    for endpoint in endpoints(instance):
        role = roles[endpoint.service]
        login = role in _WITH_LOGIN
        if not (credentials if login else role in _OPEN):
            continue
        for host in _hosts(instance, endpoint):
            yield Target(
                service=endpoint.service,
                host=host,
                port=endpoint.port,
                direct=endpoint.direct,
                login=login,
            )


def _hosts(instance: Instance, endpoint: Endpoint) -> tuple[str, ...]:
    """One address for each family; of a service that is bound to one, this one."""
    if endpoint.bound:
        return (endpoint.host,)
    named = list(interfaces(instance))
    six = [one for one in named if ":" in one]
    four = [one for one in named if one.replace(".", "").isdigit()]
    names = [one for one in named if one not in (*four, *six)]
    chosen = (*_preferred(four), *_preferred(six))
    return chosen or tuple(names[:1]) or (endpoint.host,)


def _preferred(addresses: list[str]) -> list[str]:
    loopback = [one for one in addresses if one.startswith("127.") or one == "::1"]
    return (loopback or addresses)[:1]
