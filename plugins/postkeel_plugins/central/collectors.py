"""Where reports go: collectors as an administrator writes them, `tls://log1.example.org:6514`."""

from __future__ import annotations

from collections.abc import Sequence

from postkeel.contract import frozen, one_line

_LONGEST_NAME = 253  # RFC 1035, as text
_LONGEST_LABEL = 63
_LAST_PORT = 65535


@frozen
class Transport:
    """How a scheme carries reports. Octets of `kind`: "relp", "stream", "datagram" or "unix"."""

    kind: str
    tls: bool = False
    port: int = 0


TRANSPORTS = {
    "relp+tls": Transport(kind="relp", tls=True, port=2514),
    "tls": Transport(kind="stream", tls=True, port=6514),  # RFC 5425
    "relp": Transport(kind="relp", port=2514),
    "tcp": Transport(kind="stream", port=514),
    "udp": Transport(kind="datagram", port=514),
    "unix": Transport(kind="unix"),
}


@frozen
class Collector:
    """One collector. `name` is whose certificate it must show; `path` is a unix socket's."""

    url: str
    transport: Transport
    host: str = ""
    port: int = 0
    name: str = ""
    path: str = ""


class CollectorError(ValueError):
    """What is wrong with the URL of a collector."""


def collector_of(url: str) -> Collector:
    """The collector of a URL. Errors: CollectorError with a sentence."""
    scheme, separator, rest = url.partition("://")
    transport = TRANSPORTS.get(scheme)
    if not separator or transport is None:
        raise _wrong(url, f"it must begin with {', '.join(f'{one}://' for one in TRANSPORTS)}")
    if transport.kind == "unix":
        return _unix(url, transport, rest)
    place, question, query = rest.partition("?")
    host, port = _place(url, place)
    return Collector(
        url=one_line(url),
        transport=transport,
        host=host,
        port=transport.port if port is None else port,
        name=_name(url, transport, query) if question else host,
    )


def collectors_of(urls: Sequence[str]) -> tuple[Collector, ...]:
    """The collectors in the order of preference. Errors: CollectorError."""
    return tuple(collector_of(one) for one in urls)


def collectors_fault(urls: Sequence[str]) -> str:
    """What is wrong with the option; "" when nothing is."""
    for place, url in enumerate(urls):
        try:
            collector_of(url)
        except CollectorError as error:
            return str(error)
        if url in urls[:place]:
            return f"names {one_line(url)!r} twice"
    return ""


def _wrong(url: str, what: str) -> CollectorError:
    return CollectorError(f"has the collector {one_line(url)!r}: {what}")


def _unix(url: str, transport: Transport, rest: str) -> Collector:
    if not rest.startswith("/") or "\0" in rest:
        raise _wrong(url, "a socket's name must be absolute, as in unix:///dev/log")
    return Collector(url=one_line(url), transport=transport, path=rest)


def _place(url: str, place: str) -> tuple[str, int | None]:
    if "@" in place:
        raise _wrong(url, "a collector takes no user name; certificates say who sends")
    if "/" in place or "#" in place:
        raise _wrong(url, "nothing may follow the port but ?name=")
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or not _is_ipv6(host):
            raise _wrong(url, f"[{one_line(host)}] is no IPv6 address")
        port, colon = rest.removeprefix(":"), rest[:1]
        if rest and colon != ":":
            raise _wrong(url, "a port is written as in [::1]:6514")
    else:
        host, colon, port = place.partition(":")
        if ":" in port:
            raise _wrong(url, "an IPv6 address is written in brackets, as in [::1]")
        if not host:
            raise _wrong(url, "it needs the name or address of a host")
        if not _is_host(host):
            raise _wrong(url, f"{one_line(host)!r} is no name of a host")
    return host, _port(url, port) if colon else None


def _port(url: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_PORT))):
        raise _wrong(url, f"{one_line(text)!r} is no port")
    if not 0 < int(text) <= _LAST_PORT:
        raise _wrong(url, f"a port is from 1 to {_LAST_PORT}, not {text}")
    return int(text)


def _name(url: str, transport: Transport, query: str) -> str:
    key, _, value = query.partition("=")
    if key != "name" or not _is_host(value):
        raise _wrong(url, "after the ? only name=HOST can stand: the name in the certificate")
    if not transport.tls:
        raise _wrong(url, "name= is for tls:// and relp+tls://; others show no certificate")
    return value


def _is_host(text: str) -> bool:
    labels = text.split(".")
    if len(text) > _LONGEST_NAME or any(len(one) > _LONGEST_LABEL for one in labels):
        return False
    plain = [one.replace("-", "").replace("_", "") for one in labels]
    return text.isascii() and not text.startswith("-") and all(one.isalnum() for one in plain)


def _is_ipv6(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return text.isprintable()
