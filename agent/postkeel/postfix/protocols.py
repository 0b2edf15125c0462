"""What a Postfix protocol list comes to.

Postfix reads `!name` as an exclusion, a bare `name` as an inclusion that
excludes all the others, and since 3.6 `>=name` and `<=name` as bounds. One bare
name is enough to switch off every newer protocol that is not named too.
"""

from __future__ import annotations

from typing import Final

from postkeel.postfix.instance import Version
from postkeel.postfix.tokens import tls_words

PROTOCOLS: Final = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
"""Oldest first. SSLv2 has a name in Postfix and no code in any OpenSSL since 1.1."""

NEWEST: Final = PROTOCOLS[-1]
BOUNDS_SINCE: Final = (3, 6)
_CODES: Final = {name.lower(): 0x300 + place for place, name in enumerate(PROTOCOLS)}
_LARGEST_INT: Final = 2**31 - 1


def resulting_protocols(text: str, version: Version) -> frozenset[str] | None:
    """The protocols that a list lets through; None when Postfix rejects the list.

    With a rejected list smtpd runs without TLS, and the clients defer or go in
    clear, each after a warning in the log.
    """
    bounds = {">=": 0, "<=": 0}
    included: set[str] = set()
    excluded: set[str] = set()
    for token in tls_words(text):
        operator = token[:2]
        if operator in bounds and version >= BOUNDS_SINCE:
            code = _bound(token[2:])
            if code is None:
                return None
            bounds[operator] = code
            continue
        name = token.removeprefix("!").lower()
        if name not in _CODES and name != "sslv2":
            return None
        (excluded if token.startswith("!") else included).add(name)
    return frozenset(
        name
        for name in PROTOCOLS
        if name.lower() not in excluded
        and (not included or name.lower() in included)
        and _within(_CODES[name.lower()], bounds)
    )


def _bound(text: str) -> int | None:
    """The number of a version as strtoul(text, 16) and its table of names give it."""
    if text.lower() == "none":
        return 0
    if text.lower() in _CODES:
        return _CODES[text.lower()]
    digits = text.lower().removeprefix("+")
    digits = digits.removeprefix("0x") if len(digits) > len("0x") else digits
    if any(one not in "0123456789abcdef" for one in digits):
        return None
    code = int(digits or "0", 16)
    return code if code <= _LARGEST_INT else None


def _within(code: int, bounds: dict[str, int]) -> bool:
    """OpenSSL lets a bound that is no version of TLS go without effect."""
    known = {operator: bound for operator, bound in bounds.items() if bound in _CODES.values()}
    return known.get(">=", code) <= code <= known.get("<=", code)


def rank(protocol: str) -> int:
    """Place in the order of age; a newer protocol ranks higher."""
    return PROTOCOLS.index(protocol)


def oldest(protocols: frozenset[str]) -> str | None:
    return min(protocols, key=rank, default=None)


def list_from(floor: str, version: Version) -> str:
    """The list that lets `floor` and everything newer through, in this version's words."""
    if version >= BOUNDS_SINCE:
        return f">={floor}"
    return ", ".join(f"!{name}" for name in ("SSLv2", *PROTOCOLS[: rank(floor)]))
