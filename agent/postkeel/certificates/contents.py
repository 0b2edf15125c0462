"""What a file holds that is not what Postfix wants in it, and how to make that of it."""

from __future__ import annotations

from shlex import quote
from typing import Final

from postkeel.certificates.der import IDENTIFIER, INTEGER, SEQUENCE, DerError, first, inside
from postkeel.core.text import one_line

LARGEST: Final = 1 << 20
"""Octets of a file that is looked into."""

_PKCS12_VERSION: Final = b"\x03"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_TEXT: Final = frozenset((*range(32, 127), 9, 10, 13))
_LOOKED_AT: Final = 4096
_MOSTLY: Final = 0.9
_MOST_LABELS: Final = 3
_REQUEST: Final = "a request is not a certificate: put the authority's answer to it here"
_ADVICE: Final = {
    "CERTIFICATE REQUEST": _REQUEST,
    "NEW CERTIFICATE REQUEST": _REQUEST,
    "PKCS7": "openssl pkcs7 -print_certs -in {file} -out {file}.new",
    "TRUSTED CERTIFICATE": "openssl x509 -in {file} -out {file}.new",
    "OPENSSH PRIVATE KEY": "ssh-keygen -p -N '' -m PEM -f {file}",
    "PUBLIC KEY": "a public key alone is neither a certificate nor a private key",
}
_DER: Final = {
    SEQUENCE: ("a certificate in DER", "openssl x509 -inform der -in {file} -out {file}.new"),
    INTEGER: ("a private key in DER", "openssl pkey -inform der -in {file} -out {file}.new"),
    IDENTIFIER: (
        "certificates in PKCS#7",
        "openssl pkcs7 -inform der -print_certs -in {file} -out {file}.new",
    ),
}
_PUT: Final = "put it here, in PEM"
_PKCS12: Final = (
    "a PKCS#12 archive",
    "openssl pkcs12 -in {file} -nodes -out {file}.new",
)


def without_blocks(file: str, text: bytes) -> tuple[str, str]:
    """What a file is in which no PEM block was found, and what to do about it."""
    if len(text) > LARGEST:
        what = f"is larger than {LARGEST >> 20} MiB, which no file of certificates is"
        return what, "put nothing but certificates and keys here"
    if not text.strip():
        return "is empty", "let its renewer write it again"
    if (der := _der(text)) is not None:
        what, advice = der
        return f"is {what}, and Postfix reads PEM", advice.format(file=quote(file))
    return _no_pem(text)


def _no_pem(text: bytes) -> tuple[str, str]:
    if text.startswith(_UTF_16):
        return "is text in UTF-16", "save it as plain ASCII"
    beginning = text[:_LOOKED_AT]
    if sum(octet in _TEXT for octet in beginning) < _MOSTLY * len(beginning):
        return "is binary, and Postfix reads PEM", _PUT
    if b"-----BEGIN " in text:
        return (
            "has a BEGIN line that OpenSSL does not see as one",
            'the line must be "-----BEGIN CERTIFICATE-----" and the like, with nothing before it',
        )
    return "has no PEM block in it", _PUT


def instead(labels: list[str], file: str) -> tuple[str, str]:
    """What there is in place of what is wanted, in parentheses, and what to do about it."""
    advice = next((_ADVICE[one] for one in labels if one in _ADVICE), _PUT)
    kinds = list(dict.fromkeys(labels))[:_MOST_LABELS]
    shown = f" (it has: {one_line(', '.join(kinds))})" if kinds else ""
    return shown, advice.format(file=quote(file))


def _der(text: bytes) -> tuple[str, str] | None:
    try:
        fields = inside(first(text))
    except DerError:
        return None
    if not fields:
        return None
    if fields[0].tag == INTEGER and fields[0].content == _PKCS12_VERSION:
        return _PKCS12
    return _DER.get(fields[0].tag)
