"""Names of subjects and issuers (X.501): shown as in RFC 4514, and compared as RFC 5280 says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.certificates.der import SET, DerError, Element, identifier, inside
from postkeel.core.text import one_line

Canonical = tuple[frozenset[tuple[str, str]], ...]
"""A name without what does not count when two are compared: kinds of string, case, spaces."""

LIMIT: Final = 200
"""Octets of a name that is shown."""

_SHORT: Final = {
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.42": "GN",
    "2.5.4.97": "organizationIdentifier",
}
_STRINGS: Final = {
    0x0C: "utf-8",
    0x12: "latin-1",
    0x13: "latin-1",
    0x14: "latin-1",
    0x16: "latin-1",
    0x1A: "latin-1",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_SPECIAL: Final = frozenset('"+,;<>\\')


def shown(name: Element) -> str:
    """The name in one printable line, the most particular part first; "" for an empty one."""
    relative = [
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(text)}" for kind, text in _attributes(one))
        for one in reversed(inside(name))
    ]
    return one_line(",".join(relative), LIMIT)


def canonical(name: Element) -> Canonical:
    """The name to compare. A DerError where OpenSSL refuses the name and all around it."""
    return tuple(
        frozenset((kind, " ".join(text.split()).lower()) for kind, text in _attributes(one))
        for one in inside(name)
    )


def _attributes(relative: Element) -> Iterator[tuple[str, str]]:
    for attribute in inside(relative, SET):
        kind, value = _pair(attribute)
        yield identifier(kind), _text(value)


def _pair(attribute: Element) -> tuple[Element, Element]:
    found = inside(attribute)
    if len(found) != 2:  # noqa: PLR2004  a type and a value
        raise DerError("an attribute of a name is not a type and a value")
    return found[0], found[1]


def _text(value: Element) -> str:
    encoding = _STRINGS.get(value.tag)
    if encoding is None:
        return f"hex:{value.whole.hex()}"
    try:
        return value.content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DerError(f"a name is not {encoding}") from error


def _escaped(text: str) -> str:
    plain = "".join(f"\\{one}" if one in _SPECIAL else one for one in text)
    begins = "\\" if plain[:1] in ("#", " ") else ""
    ends = plain[:-1] + "\\ " if plain.endswith(" ") and len(plain) > 1 else plain
    return begins + ends
