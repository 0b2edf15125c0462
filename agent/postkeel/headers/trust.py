"""Down to which line a header can be believed: as far as one's own hosts wrote it.

Each host writes its line above what it was given. So the lines of one's own hosts stand at the
top, and the first of them that took the message from somebody else is the last to believe:
what is below it came in with the message, whatever it says.

Security: whoever may hand in mail at one's own hosts as one of them is trusted by this: a
program on a host that speaks SMTP to its loopback address can forge lines below. What a user
hands to sendmail(1) ends the trust.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from postkeel.headers.values import Hop, Own, Verdict

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

_CONFIRMING: Final = frozenset(("Postfix", "Exim"))
"""They name a client only when the name leads back to its address."""

_HANDED_ON: Final = ("LMTP", "LMTPS", "LMTPA", "LMTPSA")
"""How a server passes mail on to the next program of its own."""

_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_LONGEST_NAME: Final = 253


def own_of(words: Iterable[str]) -> Own:
    """Hosts of one's own by their names, ".domain" for all below it, addresses and networks.

    ValueError with a sentence for anything else.
    """
    names: set[str] = set()
    networks: dict[str, None] = {}
    for word in words:
        network = _network(word)
        if network:
            networks[network] = None
        else:
            names.add(_name(word))
    return Own(names=frozenset(names), networks=tuple(networks))


def _network(word: str) -> str:
    """As `ipaddress` writes it; "" for what is none. Host bits are let through, as in CIDR."""
    from ipaddress import ip_network

    bare = word.strip().removeprefix("[").removesuffix("]")
    try:
        return str(ip_network(bare.removeprefix("IPv6:"), strict=False))
    except ValueError:
        return ""


def _name(word: str) -> str:
    name = host_name(word)
    bare = name.removeprefix(".")
    labels = bare.split(".")
    if not bare or len(name) > _LONGEST_NAME or not _NAME.issuperset(name) or "" in labels:
        raise ValueError(
            f"{word!r} is no host: give a name, .domain for all hosts below it, "
            "an address, or a network such as 192.0.2.0/24"
        )
    if labels[-1].isdigit():
        raise ValueError(f"{word!r} looks like an address and is none")
    return name


def host_name(text: str) -> str:
    """A name as it is compared: small letters, no dot at the end."""
    return text.strip().lower().removesuffix(".")


def is_own(host: str, own: Own) -> bool:
    """Whether a name, an address or an [address] is of one's own hosts."""
    name = host_name(host)
    if not name:
        return False
    if name in own.names:
        return True
    at = name.find(".")
    while at >= 0:
        if name[at:] in own.names:
            return True
        at = name.find(".", at + 1)
    return _inside(name.removeprefix("[").removesuffix("]"), own.networks)


@lru_cache(maxsize=1024)  # a host's mail comes from few addresses of its own, and hops repeat
def _inside(address: str, networks: tuple[str, ...]) -> bool:
    from ipaddress import ip_address, ip_network

    try:
        found = ip_address(address.removeprefix("ipv6:").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in ip_network(one) for one in networks)


def believed(hops: Sequence[Hop], own: Own) -> int:
    """How many hops from the top are to be believed; 0 where no host is known as own."""
    for place, hop in enumerate(hops):
        if not is_own(hop.by, own):
            return place
        if not _from_own(hop, own):
            return place + 1
    return len(hops)


def _from_own(hop: Hop, own: Own) -> bool:
    """Whether a line of one's own says that it was one's own host that handed the message over."""
    if hop.address:
        return (
            is_own(hop.address, own)
            or _inside(hop.address.lower(), LOOPBACK)
            or (hop.mta in _CONFIRMING and is_own(hop.name, own))
        )
    return hop.verdict is Verdict.LOCAL and hop.protocol in _HANDED_ON
