"""One X.509 certificate out of its encoding (RFC 5280)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256, sha512
from typing import Any, Final, TypeVar

from postkeel.certificates import distinguished_names, keys, signatures
from postkeel.certificates.der import (
    BIT_STRING,
    OCTET_STRING,
    DerError,
    Element,
    bits,
    content,
    first,
    identifier,
    inside,
    number,
)
from postkeel.certificates.values import Certificate, Key
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

MOST_NAMES: Final = 200

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SERIAL: Final = 40
_LONGEST_HOST: Final = 300
_MOST_PURPOSES: Final = 32
_UTC_TIME: Final = 0x17
_TIMES: Final = (_UTC_TIME, 0x18)
_DNS_NAME: Final = 0x82
_TRUE: Final = 0x01
_KEY_ID: Final = 0x80
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_STATUS_REQUESTS: Final = (5, 17)

_SUBJECT_KEY: Final = "2.5.29.14"
_ALTERNATIVE_NAMES: Final = "2.5.29.17"
_BASIC: Final = "2.5.29.19"
_AUTHORITY_KEY: Final = "2.5.29.35"
_PURPOSES: Final = "2.5.29.37"
_FEATURES: Final = "1.3.6.1.5.5.7.1.24"
_PURPOSE: Final = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}

T = TypeVar("T")


@frozen
class Encoded:
    """The parts of a certificate that tell who issued it; what they say is not looked into yet.

    whole: without what may follow the certificate in its block.
    """

    whole: bytes
    signed: bytes
    algorithm: Element
    signature: bytes
    serial: Element
    issuer: distinguished_names.Canonical
    validity: Element
    subject: distinguished_names.Canonical
    names: tuple[Element, Element]
    key: Element
    extensions: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        return sha256(self.whole).hexdigest()


def encoded(data: bytes) -> Encoded:
    """The certificate that the data begin with. A DerError where OpenSSL would refuse it too."""
    outer = first(data)
    found = inside(outer)
    if len(found) != 3:  # noqa: PLR2004  what is signed, by which algorithm, the signature
        raise DerError("it is not three elements")
    fields = inside(found[0])
    if fields and fields[0].tag == _VERSION:
        fields = fields[1:]
    if len(fields) < 6:  # noqa: PLR2004  serial to key
        raise DerError("a field is missing")
    serial, _, issuer, validity, subject, key = fields[:6]
    number(serial)
    inside(validity)
    extensions = [one for one in fields[6:] if one.tag == _EXTENSIONS]
    return Encoded(
        whole=outer.whole,
        signed=found[0].whole,
        algorithm=found[1],
        signature=bits(found[2]),
        serial=serial,
        issuer=distinguished_names.canonical(issuer),
        validity=validity,
        subject=distinguished_names.canonical(subject),
        names=(subject, issuer),
        key=key,
        extensions=tuple(_extensions(extensions)),
    )


def described(one: Encoded, file: str, line: int) -> Certificate:
    """What the certificate says. Total: what cannot be read is left out and named in `problems`."""
    problems: list[str] = []

    def guarded(what: str, read: Callable[[], T], instead: T) -> T:
        try:
            return read()
        except ValueError as error:
            problems.append(one_line(f"{what} cannot be read: {error}", distinguished_names.LIMIT))
            return instead

    made = guarded(
        "the signature's algorithm",
        lambda: signatures.algorithm(one.algorithm),
        signatures.Algorithm(name="", digest=""),
    )
    held, unreadable = extensions(one)
    names: tuple[str, ...] = held.get(_ALTERNATIVE_NAMES, ())
    if len(names) > MOST_NAMES:
        problems.append(f"of its {len(names)} names the first {MOST_NAMES} are looked at")
    return Certificate(
        subject=distinguished_names.shown(one.names[0]),
        issuer=distinguished_names.shown(one.names[1]),
        serial=_serial(one.serial),
        begins=guarded("the beginning of its validity", lambda: _time(one.validity, 0), _EPOCH),
        ends=guarded("the end of its validity", lambda: _time(one.validity, 1), _EPOCH),
        key=guarded("the key", lambda: keys.public_key(one.key)[1], Key(algorithm="")),
        signature=made.name,
        digest=made.digest,
        sha256=one.digest,
        key_sha256=sha256(one.key.whole).hexdigest(),
        sha512=sha512(one.whole).hexdigest(),
        key_sha512=sha512(one.key.whole).hexdigest(),
        file=file,
        line=line,
        names=names[:MOST_NAMES],
        authority=held.get(_BASIC, False),
        purposes=held.get(_PURPOSES),
        must_staple=held.get(_FEATURES, False),
        self_issued=one.subject == one.issuer,
        problems=(*problems, *unreadable.values()),
    )


def extensions(one: Encoded) -> tuple[dict[str, Any], dict[str, str]]:
    """What the known extensions say, and why some cannot be read, by their identifier."""
    held: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    for kind, value in one.extensions:
        name, read = _READ.get(kind, ("", None))
        if kind in held:
            unreadable[kind] = f"there are several extensions {name}"
        elif read:
            try:
                held[kind] = read(value)
            except DerError as error:
                unreadable[kind] = f"the extension {name} cannot be read: {error}"
    return held, unreadable


def odd_extension(one: Encoded) -> str:
    """An extension that servers need and that cannot be read, or stands there twice; else ""."""
    unreadable = extensions(one)[1]
    return next((why for kind, why in unreadable.items() if kind != _FEATURES), "")


def subject_key(one: Encoded) -> bytes:
    """The subjectKeyIdentifier; empty without one."""
    found: bytes = extensions(one)[0].get(_SUBJECT_KEY, b"")
    return found


def authority_key(one: Encoded) -> bytes:
    """The key identifier of the authorityKeyIdentifier; empty without one."""
    found: bytes = extensions(one)[0].get(_AUTHORITY_KEY, b"")
    return found


def _extensions(held: list[Element]) -> Iterator[tuple[str, bytes]]:
    """Each extension's identifier and content; whether it is critical is a client's matter."""
    for outer in held:
        for one in inside(first(outer.content)):
            fields = inside(one)
            if len(fields) not in (2, 3):
                raise DerError("an extension is not an identifier and a value")
            yield identifier(fields[0]), content(fields[-1], OCTET_STRING)


def _serial(element: Element) -> str:
    """In hexadecimal; of one that is far too long the beginning."""
    octets = element.content
    if len(octets) > _LONGEST_SERIAL:
        return one_line(octets.hex(), 2 * _LONGEST_SERIAL)
    return f"{number(element):x}"


def _time(validity: Element, index: int) -> datetime:
    """A moment as RFC 5280 writes it: of two digits of a year, those below 50 are after 2000."""
    found = inside(validity)
    if len(found) != 2:  # noqa: PLR2004  a beginning and an end
        raise DerError("it is not two moments")
    kind, text = found[index].tag, found[index].content.decode("ascii")
    if kind == _UTC_TIME:
        text = ("20" if text < "5" else "19") + text
    if kind not in _TIMES or not text[:-1].isdigit() or text[14:] != "Z":
        raise DerError(f"{text[:20]!r} is no moment in UTC")
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)


def _dns_names(value: bytes) -> tuple[str, ...]:
    """In lower case. What is not ASCII, as a DNS name is, is shown by its octets: for no host."""
    return tuple(
        one_line(one.content.decode("ascii", "surrogateescape").lower(), _LONGEST_HOST)
        for one in inside(first(value))
        if one.tag == _DNS_NAME
    )


def _authority(value: bytes) -> bool:
    fields = inside(first(value))
    return bool(fields) and fields[0].tag == _TRUE and any(fields[0].content)


def _purposes(value: bytes) -> tuple[str, ...]:
    kinds = [identifier(one) for one in inside(first(value))[:_MOST_PURPOSES]]
    return tuple(_PURPOSE.get(one, one) for one in kinds)


def _must_staple(value: bytes) -> bool:
    return any(number(one) in _STATUS_REQUESTS for one in inside(first(value)))


def _key_identifier(value: bytes) -> bytes:
    return content(first(value), OCTET_STRING)


def _named_key(value: bytes) -> bytes:
    fields = inside(first(value))
    return next((field.content for field in fields if field.tag == _KEY_ID), b"")


_READ: Final[Mapping[str, tuple[str, Callable[[bytes], Any]]]] = {
    _SUBJECT_KEY: ("subjectKeyIdentifier", _key_identifier),
    "2.5.29.15": ("keyUsage", lambda value: content(first(value), BIT_STRING)),
    _ALTERNATIVE_NAMES: ("subjectAltName", _dns_names),
    _BASIC: ("basicConstraints", _authority),
    "2.5.29.30": ("nameConstraints", lambda value: inside(first(value))),
    "2.5.29.31": ("cRLDistributionPoints", lambda value: inside(first(value))),
    _AUTHORITY_KEY: ("authorityKeyIdentifier", _named_key),
    _PURPOSES: ("extendedKeyUsage", _purposes),
    _FEATURES: ("TLS feature", _must_staple),
}
"""How each is read; OpenSSL reads all but the last when it takes a certificate for a server."""
