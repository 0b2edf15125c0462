"""The address of a DNS resolver as postkeel.toml has it: "127.0.0.1:5353", "[::1]:53", "::1"."""

from __future__ import annotations

import re
from typing import Final

PORT: Final = 53
_LAST_PORT: Final = 65535
_LAST_OCTET: Final = 255
_FORMS: Final = (
    r"(?:(?P<four>127(?:\.[0-9]{1,3}){3})|\[(?P<six>::1)\])(?::(?P<port>[0-9]{1,5}))?"
    r"|(?P<bare>::1)"
)


def resolver_fault(value: str) -> str:
    """What is wrong with `resolver`, as the rest of a sentence; "" when nothing is.

    Security: another host is refused. That an answer was validated is one bit of it, which
    everybody on the way can set (RFC 7672, section 2.1.1).
    """
    if value in ("", "auto") or resolver_address(value) is not None:
        return ""
    return 'must be "auto", "", or a loopback address such as "127.0.0.1:5353" or "[::1]:53"'


def resolver_address(value: str) -> tuple[str, int] | None:
    """Address and port; None where it is no address of this host's loopback."""
    found = re.fullmatch(_FORMS, value)
    if found is None:
        return None
    host = found["four"] or found["six"] or found["bare"]
    octets = host.split(".") if found["four"] else []
    port = int(found["port"] or PORT)
    if any(int(one) > _LAST_OCTET for one in octets) or not 0 < port <= _LAST_PORT:
        return None
    return host, port
