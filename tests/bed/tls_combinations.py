"""Every version, suite, group and signature that a Postfix and a client here can agree upon.

What a client offers is one of each only, so it knows what was agreed without anybody's word.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from postkeel.headers.values import Certificate, Tls, Verdict

_TLS13: Final = "TLS_AES_256_GCM_SHA384"
_GROUP: Final = "X25519"
_ECDSA: Final = "ECDSA"

# By their names in OpenSSL, and those that postkeel has for them.
GROUPS: Final = {
    "X25519": "X25519",
    "X448": "X448",
    "prime256v1": "secp256r1",
    "secp384r1": "secp384r1",
    "secp521r1": "secp521r1",
}
LATE_GROUPS: Final = (
    "X25519MLKEM768",
    *(f"ffdhe{bits}" for bits in (2048, 3072, 4096, 6144, 8192)),
)
"""Those of Postfix 3.8 and OpenSSL 3.5 and newer."""

_SUITES: Final = {
    "TLS_AES_256_GCM_SHA384": 256,
    "TLS_AES_128_GCM_SHA256": 128,
    "TLS_CHACHA20_POLY1305_SHA256": 256,
}
_SIGNATURES: Final = {"RSA-PSS+SHA256": "RSA-PSS", "RSA-PSS+SHA512": "RSA-PSS"}
_CIPHER: Final = re.compile(
    r"(?P<name>\S+)\s+\S+\s+Kx=(?P<exchange>\S+)\s+Au=\S+\s+Enc=(?P<cipher>\S+)"
)
_BITS: Final = re.compile(r"\((\d+)\)")
_EVERY_CIPHER: Final = "ALL:COMPLEMENTOFALL:!aDSS:!PSK:!SRP"
_LOWEST: Final = "@SECLEVEL=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What one client offers, and so what is agreed.

    bits: those that the line may say; OpenSSL 3.2 began to call 64 those of the short tag of
    CCM_8. verdict: None where this is a matter of those bits.
    """

    options: tuple[str, ...]
    tls: Tls
    verdict: Verdict | None = Verdict.WELL
    bits: tuple[int, ...]
    service: str = "every"


def combinations(*, late: bool) -> Iterator[Agreed]:
    """late: with the groups of newer releases."""
    for group, known in GROUPS.items():
        yield _modern(("-groups", group), key_exchange=known)
    for group in LATE_GROUPS if late else ():
        yield _modern(("-groups", group), key_exchange=group)
    for cipher, bits in _SUITES.items():
        yield _modern(("-groups", _GROUP, "-ciphersuites", cipher), cipher=cipher, bits=bits)
    for algorithm, signature in _SIGNATURES.items():
        yield _modern(("-groups", _GROUP, "-sigalgs", algorithm), signature=signature)
    yield _modern(("-groups", _GROUP), signature="ED25519", service="edwards")
    yield from _older("-tls1_2", "TLSv1.2", _ciphers("-tls1_2", _EVERY_CIPHER))
    for option, protocol in (("-tls1_1", "TLSv1.1"), ("-tls1", "TLSv1")):
        yield from _older(option, protocol, _ciphers(option, "AES128-SHA:ECDHE-RSA-AES256-SHA"))


def _modern(
    options: tuple[str, ...],
    *,
    cipher: str = _TLS13,
    bits: int = 256,
    key_exchange: str = _GROUP,
    signature: str = _ECDSA,
    service: str = "every",
) -> Agreed:
    tls = Tls(
        protocol="TLSv1.3",
        cipher=cipher,
        key_exchange=key_exchange,
        signature=signature,
        certificate=Certificate.NOT_REQUESTED,
    )
    return Agreed(options=("-tls1_3", *options), tls=tls, bits=(bits,), service=service)


def _older(option: str, protocol: str, ciphers: str) -> Iterator[Agreed]:
    """Before TLS 1.3 Postfix tells neither group nor signature."""
    for found in _CIPHER.finditer(ciphers):
        cipher = found["name"]
        named = _BITS.search(found["cipher"])
        bits = int(named[1]) if named else 0
        yield Agreed(
            options=(option, "-cipher", f"{cipher}:{_LOWEST}"),
            tls=Tls(protocol=protocol, cipher=cipher, certificate=Certificate.NOT_REQUESTED),
            verdict=_verdict(protocol, found["exchange"], found["cipher"]),
            bits=(bits, 64) if "CCM8" in cipher else (bits,),
        )


def _verdict(protocol: str, exchange: str, cipher: str) -> Verdict | None:
    """From OpenSSL's own table: RSA's keys for all time and old versions are weak."""
    if cipher == "None":
        return Verdict.CLEAR
    if protocol != "TLSv1.2" or exchange == "RSA" or "DES" in cipher:
        return Verdict.WEAKLY
    return None if "CCM8" in cipher else Verdict.WELL


def _ciphers(option: str, wanted: str) -> str:
    """What OpenSSL has of these, as a table with a line for each."""
    return subprocess.run(
        ["openssl", "ciphers", "-s", "-v", option, f"{wanted}:{_LOWEST}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout
