"""The encoding of certificates and keys (DER, X.690): elements of a tag, a length and a content.

`cryptography` is not asked for this: its versions on the supported Debians disagree on what they
take, and all of a certificate's extensions are lost to them when one cannot be read.

Security: every content comes from strangers. Lengths are checked against what is there, numbers
of elements are limited, and nothing recurses into a content.
"""

from __future__ import annotations

from typing import Final, NamedTuple

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LONG: Final = 0x80
_HIGH_TAG: Final = 0x1F
_MOST_LENGTH_OCTETS: Final = 4
_MOST_PARTS: Final = 5000
_LONGEST_IDENTIFIER: Final = 64


class DerError(ValueError):
    """What is there is not the element that should be."""


class Element(NamedTuple):
    """An element: a tuple, for there are a hundred in each certificate. whole: with its head."""

    tag: int
    content: bytes
    whole: bytes


def first(data: bytes, start: int = 0) -> Element:
    """The element that begins there in the data."""
    begins = start + 2
    if len(data) < begins:
        raise DerError("an element is missing")
    tag, length = data[start], data[start + 1]
    if tag & _HIGH_TAG == _HIGH_TAG:
        raise DerError("a tag of several octets")
    if length >= _LONG:
        octets = length - _LONG
        if not 0 < octets <= _MOST_LENGTH_OCTETS:
            raise DerError("a length that is not definite, or too large")
        begins += octets
        length = int.from_bytes(data[begins - octets : begins], "big")
    end = begins + length
    if end > len(data):
        raise DerError("an element is cut short")
    return Element(tag, data[begins:end], data[start:end])


def parts(data: bytes) -> list[Element]:
    """The elements that the data consist of."""
    found: list[Element] = []
    start = 0
    while start < len(data):
        if len(found) == _MOST_PARTS:
            raise DerError(f"more than {_MOST_PARTS} elements")
        found.append(first(data, start))
        start += len(found[-1].whole)
    return found


def inside(element: Element, tag: int = SEQUENCE) -> list[Element]:
    """What an element consists of that must have this tag."""
    return parts(content(element, tag))


def content(element: Element, tag: int) -> bytes:
    """The content of an element that must have this tag."""
    if element.tag != tag:
        raise DerError(f"an element has tag {element.tag:#04x} instead of {tag:#04x}")
    return element.content


def bits(element: Element) -> bytes:
    """The octets of a BIT STRING of whole octets."""
    data = content(element, BIT_STRING)
    if not data or data[0]:
        raise DerError("a bit string is not of whole octets")
    return data[1:]


def number(element: Element) -> int:
    """The value of an INTEGER."""
    data = content(element, INTEGER)
    if not data:
        raise DerError("a number is empty")
    return int.from_bytes(data, "big", signed=True)


def identifier(element: Element) -> str:
    """An object identifier in digits and dots."""
    data = content(element, IDENTIFIER)
    if not data or data[-1] >= _LONG or len(data) > _LONGEST_IDENTIFIER:
        raise DerError("an object identifier is cut short or too long")
    arcs, arc = [], 0
    for octet in data:
        arc = arc << 7 | octet & 0x7F
        if octet < _LONG:
            arcs.append(arc)
            arc = 0
    top = min(arcs[0] // 40, 2)
    return ".".join(map(str, (top, arcs[0] - 40 * top, *arcs[1:])))
