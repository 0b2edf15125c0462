"""How well a hop was encrypted, from what its line says.

The bar is the one of the profile "intermediate": TLS 1.2 or newer (RFC 8996), forward secrecy,
and a cipher of 128 bits or more that is not broken (RFC 9325, section 4.1). CBC passes, with
SHA-1 as its digest too, as it does there: RFC 9325 prefers AEAD, and the attacks on CBC need a
client that sends a secret again and again, which mail does not. A suite without a certificate
passes: between servers TLS is opportunistic (RFC 7435), and who checks no certificate loses
nothing without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from postkeel.headers.values import Tls, Verdict
from postkeel.postfix.protocols import PROTOCOLS

_ENOUGH_BITS: Final = 128
_OLD: Final = frozenset(("SSLv2", *PROTOCOLS[: PROTOCOLS.index("TLSv1.2")]))
_MODERN: Final = "TLSv1.3"
_BROKEN: Final = {
    "EXP": "its keys are short on purpose",
    "EXPORT": "its keys are short on purpose",
    "RC4": "RC4 is broken (RFC 7465)",
    "RC2": "RC2 is broken",
    "CBC3": "the blocks of triple DES are too short (RFC 9325, section 4.1)",
    "3DES": "the blocks of triple DES are too short (RFC 9325, section 4.1)",
    "DES": "DES is broken",
    "IDEA": "the blocks of IDEA are too short",
    "MD5": "MD5 is broken",
}
_EPHEMERAL: Final = ("ECDHE-", "DHE-", "EDH-", "AECDH-", "ADH-", "TLS_")
_STATIC: Final = re.compile(
    r"(?:RSA-)?(?:PSK-)?(?:AES(?:128|256)|CAMELLIA(?:128|256)|ARIA(?:128|256)|SEED|CHACHA20)-.*"
)


@lru_cache(maxsize=1024)
def judge(protocol: str, cipher: str, bits: int) -> tuple[Verdict, str]:
    """The verdict and its reason, a sentence without end. cipher: by OpenSSL's name.

    A suite that is not known is UNKNOWN, unless the protocol or the number of bits decides.
    What is given is kept for the next time, so it is to be short.
    """
    said = " with ".join(one for one in (protocol, cipher) if one) or "TLS"
    if "NULL" in _words(cipher):
        return Verdict.CLEAR, f"{said}: the cipher does not encrypt"
    fault = next(_faults(protocol, cipher, bits), "")
    if fault:
        return Verdict.WEAKLY, f"{said}: {fault}"
    if protocol not in (_MODERN, "TLSv1.2"):
        return Verdict.UNKNOWN, f"{said}: the line does not say which version of TLS"
    if protocol == _MODERN or cipher.startswith(_EPHEMERAL):
        return Verdict.WELL, said
    return Verdict.UNKNOWN, f"{said}: the line does not say how keys were exchanged"


def _faults(protocol: str, cipher: str, bits: int) -> Iterator[str]:
    if protocol in _OLD:
        yield f"{protocol} is withdrawn (RFC 8996)"
    words = _words(cipher)
    yield from (fault for word, fault in _BROKEN.items() if word in words)
    if 0 < bits < _ENOUGH_BITS:
        yield f"{bits} bits are too few"
    if protocol != _MODERN and _STATIC.fullmatch(cipher):
        yield "no forward secrecy (RFC 9325, section 4.1)"


def _words(cipher: str) -> list[str]:
    return cipher.replace("_", "-").split("-")


def judged(tls: Tls) -> tuple[Verdict, str]:
    """Of what a line says."""
    return judge(tls.protocol, tls.cipher, tls.bits)
