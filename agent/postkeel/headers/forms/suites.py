"""Protocol and suite as servers write them, in OpenSSL's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from postkeel.headers.cipher_names import protocol_name, read_suite
from postkeel.headers.values import Certificate, Tls

_FAMILY: Final = "TLSv1/SSLv3"
"""Not the version of the connection: older OpenSSL said it of all suites before TLS 1.2's."""
_RUSTLS: Final = "TLS13_"
_SCHANNEL: Final = {"P256": "secp256r1", "P384": "secp384r1", "P521": "secp521r1"}
_TLS13: Final = {
    "AES128-GCM-SHA256": "TLS_AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "TLS_AES_256_GCM_SHA384",
    "CHACHA20-POLY1305": "TLS_CHACHA20_POLY1305_SHA256",
}
_SINCE_TLS12: Final = re.compile(r".*-(?:GCM|CCM8?|POLY1305|SHA256|SHA384)(?:-.*)?")
"""AEAD, and SHA-2 as a suite's digest (RFC 5246, section 1.2; RFC 5288)."""
_VERSION: Final = re.compile(
    r"version=(?P<protocol>[^\s,]++),? cipher=(?P<cipher>[^\s,]++)"
    r"(?: bits=(?P<bits>\d{1,9}+)(?:/\d++)?)?(?: verify=(?P<verify>\w++))?"
)
_LONGEST: Final = 100
_NOTHING: Final[Mapping[str, Certificate]] = MappingProxyType({})


def tls_of(
    protocol: str,
    cipher: str,
    bits: str | None = None,
    certificate: Certificate = Certificate.UNTOLD,
) -> Tls:
    """What was written of a connection, "" for what was not.

    A version that is not written is taken from the suite, where it goes with one alone.
    """
    version = "" if protocol == _FAMILY else protocol_name(protocol[:_LONGEST])
    cipher, group = _usual_name(cipher[:_LONGEST])
    suite = read_suite(cipher, version)
    name = suite.cipher
    if version == "TLSv1.3":
        name = next((now for end, now in _TLS13.items() if name.endswith(end)), name)
    elif not version and name.startswith("TLS_"):
        version = "TLSv1.3"
    elif not version and _SINCE_TLS12.fullmatch(name):
        version = "TLSv1.2"
    return Tls(
        protocol=version,
        cipher=name,
        bits=int(bits or 0),
        key_exchange=group or suite.key_exchange,
        signature=suite.signature,
        certificate=certificate,
    )


def version_in(
    comments: Iterable[str], verified: Mapping[str, Certificate] = _NOTHING
) -> Tls | None:
    """Of the first comment such as "version=TLSv1.2 cipher=AES128-SHA bits=128 verify=NO".

    verified: what a word after "verify=" means.
    """
    for comment in comments:
        found = _VERSION.fullmatch(comment)
        if found is not None:
            certificate = verified.get(found["verify"] or "", Certificate.UNTOLD)
            return tls_of(found["protocol"], found["cipher"], found["bits"], certificate)
    return None


def _usual_name(cipher: str) -> tuple[str, str]:
    """Without what rustls and Schannel add, and the group that Schannel puts into it."""
    if cipher.startswith(_RUSTLS):
        return f"TLS_{cipher[len(_RUSTLS) :]}", ""
    start, _, curve = cipher.rpartition("_")
    group = _SCHANNEL.get(curve, "")
    return (start if group else cipher), group
