"""A client as most servers write it: what DNS calls it, and its address in brackets."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LOOPBACK: Final = {"0:0:0:0:0:0:0:1": "::1"}  # Sendmail writes all eight parts
_LITERAL: Final = (
    r"\[(?:IPv6:)?(?P<address>[0-9A-Fa-f]{0,4}[.:][0-9A-Fa-f.:]{1,40}+)(?:%[^\s\[\]]{1,16})?\]"
)
_CLIENT: Final = re.compile(rf"(?:(?P<name>[^\s\[\]]++) )?{_LITERAL}(?: .*)?", re.DOTALL)
_ALONE: Final = re.compile(_LITERAL)


class Client(NamedTuple):
    """Both are "" where the line does not say it."""

    name: str = ""
    address: str = ""


def client_in(comments: tuple[str, ...]) -> Client:
    """Of a first comment "name [address]" or "[address]", whatever follows after a blank."""
    found = _CLIENT.fullmatch(comments[0]) if comments else None
    if found is None:
        return Client()
    name = (found["name"] or "").removesuffix(".")
    return Client("" if name == "unknown" else name, _usual(found["address"]))


def literal_address(word: str) -> str:
    """Of a word that is an address in brackets; "" for any other."""
    found = _ALONE.fullmatch(word)
    return _usual(found["address"]) if found else ""


def plain_address(word: str) -> str:
    """Of a word that is an address, in brackets or not; "" for any other."""
    return literal_address(word) or literal_address(f"[{word}]")


def _usual(address: str) -> str:
    return _LOOPBACK.get(address, address)
