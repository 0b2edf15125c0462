"""Where an instance offers TLS to clients, and what a handshake there shows."""

from __future__ import annotations

from collections.abc import Iterator

from postkeel.core.frozen import frozen
from postkeel.postfix.expansion import expand
from postkeel.postfix.instance import Instance, Role, Service, parse_version
from postkeel.postfix.levels import has_certificate, security_level, switched_on
from postkeel.postfix.protocols import oldest, resulting_protocols

_ROLES = (Role.MX, Role.SUBMISSION, Role.SUBMISSIONS, Role.OTHER_SMTPD, Role.POSTSCREEN)
_KNOWN_PORTS = "lmtp=24, smtp=25, smtps=submissions=465, submission=587"  # Postfix >= 3.6


@frozen
class Endpoint:
    """One port where a client gets TLS.

    `direct` is TLS from the first byte, without STARTTLS. `floor` is the oldest
    protocol that the configuration lets through; "" when it lets none through. `bound`:
    master.cf names the host; else the service listens on all of `interfaces`.
    """

    service: str
    host: str
    port: str
    direct: bool
    floor: str
    bound: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class Handshake:
    """What one connection showed.

    With `below` set, only protocols older than it were offered, and refusal is
    what is wanted. `refused` is true only when the server itself said no in the
    TLS handshake; a connection that fails in another way proves nothing, and
    `problem` tells how it failed. `protocol` and its companions are "" when no
    TLS came about. `name` was asked for by SNI. `algorithm`: only certificates with such a
    key ("RSA", "EC") were accepted. `expected`: the sha256 of the certificates that the files
    have for it, one of which should be served; without any every certificate is right.
    """

    endpoint: Endpoint
    below: str = ""
    protocol: str = ""
    cipher: str = ""
    certificate_sha256: str = ""
    refused: bool = False
    problem: str = ""
    name: str = ""
    algorithm: str = ""
    expected: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the server did what a server in its right state does."""
        if self.below:
            return self.refused
        as_expected = not self.expected or self.certificate_sha256 in self.expected
        return bool(self.protocol) and as_expected

    def __str__(self) -> str:
        named = f" as {self.name}" if self.name else ""
        place = f"{self.endpoint.service} on {self.endpoint}{named}"
        if self.below and self.refused:
            return f"{place} refuses protocols older than {self.below}"
        if self.below and self.protocol:
            return f"{place} accepts {self.protocol}, older than {self.below}"
        if self.protocol and not self.ok:
            shown, wanted = self.certificate_sha256[:16], self.expected[0][:16]
            return f"{place} serves the certificate {shown}, its file holds {wanted}"
        if self.protocol:
            return f"{place}: {self.protocol} with {self.cipher}"
        return f"{place}: {self.problem}"


def endpoints(instance: Instance) -> tuple[Endpoint, ...]:
    """The ports of this instance that offer TLS, in master.cf's order.

    Left out: services that are switched off, without a certificate, with
    security level none, or with a port that has no number.
    """
    found = (_endpoint(instance, service) for service in instance.of_role(*_ROLES))
    return tuple(one for one in found if one is not None)


def _endpoint(instance: Instance, service: Service) -> Endpoint | None:
    name, _, kind = service.name.rpartition("/")
    if kind != "inet" or is_disabled(instance, service.name):
        return None
    level = security_level(instance, "smtpd", service)
    if level == "none" or not has_certificate(instance, service):
        return None
    name = expand(name, lambda word: instance.effective(word, service).value or None)
    host, _, port = name.rpartition(":")
    number = _port_number(instance, port)
    if number is None:
        return None
    family = "smtpd_tls_mandatory_protocols" if level == "encrypt" else "smtpd_tls_protocols"
    protocols = resulting_protocols(
        instance.effective(family, service).value, parse_version(instance.version)
    )
    return Endpoint(
        service=service.name,
        host=host.strip("[]") or _address(instance),
        port=number,
        direct=switched_on(instance, "smtpd_tls_wrappermode", service),
        floor=oldest(protocols or frozenset()) or "",
        bound=bool(host.strip("[]")),
    )


def is_disabled(instance: Instance, service: str) -> bool:
    """Whether master_service_disable names it: "inet", or "smtp/inet"."""
    disabled = _words(instance.effective("master_service_disable").value)
    return any(one in (service, service.rpartition("/")[2]) for one in disabled)


def _port_number(instance: Instance, port: str) -> str | None:
    """The number of a port; names are those that Postfix itself knows."""
    if port.isascii() and port.isdigit():
        return str(int(port))
    for entry in _words(instance.effective("known_tcp_ports").value or _KNOWN_PORTS):
        *names, number = entry.split("=")
        if port in names:
            return number
    return None


def _address(instance: Instance) -> str:
    """An address that the services without one of their own listen on.

    Loopback where they listen everywhere, else the first of inet_interfaces,
    one of 127.0.0.0/8 or ::1 before others.
    """
    wanted = list(interfaces(instance))
    loopback = [one for one in wanted if one.startswith("127.") or one == "::1"]
    return (loopback or wanted or ["127.0.0.1"])[0]


def interfaces(instance: Instance) -> Iterator[str]:
    """Addresses and names of inet_interfaces, as far as inet_protocols lets them be used.

    Where all are listened on, or all of loopback, loopback's.
    """
    protocols = _words(instance.effective("inet_protocols").value)
    four, six = (
        not protocols or "all" in protocols or one in protocols for one in ("ipv4", "ipv6")
    )
    for word in _words(instance.effective("inet_interfaces").value):
        if word in ("all", "loopback-only"):
            loopback = {"127.0.0.1": four, "::1": six}
            yield from (one for one, used in loopback.items() if used)
        elif six if ":" in word else four or not word[-1].isdigit():
            yield word.strip("[]")


def _words(value: str) -> list[str]:
    return value.replace(",", " ").split()
