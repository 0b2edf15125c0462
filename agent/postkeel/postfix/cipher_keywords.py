"""OpenSSL's cipher keywords, as tests on a suite's Kx=, Au=, Enc= and Mac=.

A TLS 1.3 suite is in none of them: cipher lists have no say over TLS 1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from postkeel.postfix.instance import Suite

Test = Mapping[str, tuple[str, ...]]

_CBC: Final = ("AES", "Camellia", "ARIA", "3DES", "SEED", "IDEA", "DES", "RC2")
_CERTIFICATE: Final = ("RSA", "DSS", "ECDSA", "PSK", "SRP", "GOST01", "GOST12")

# encryption is compared without its bits: "AES(128)" is "AES".
_TESTS: Final[Mapping[str, Test]] = {
    "aNULL": {"authentication": ("None",)},
    "aRSA": {"authentication": ("RSA",)},
    "aDSS": {"authentication": ("DSS",)},
    "aECDSA": {"authentication": ("ECDSA",)},
    "aPSK": {"authentication": ("PSK",)},
    "aSRP": {"authentication": ("SRP",)},
    "kRSA": {"key_exchange": ("RSA",)},
    "kDHE": {"key_exchange": ("DH",)},
    "kECDHE": {"key_exchange": ("ECDH",)},
    "kPSK": {"key_exchange": ("PSK",)},
    "kRSAPSK": {"key_exchange": ("RSAPSK",)},
    "kDHEPSK": {"key_exchange": ("DHEPSK",)},
    "kECDHEPSK": {"key_exchange": ("ECDHEPSK",)},
    "kSRP": {"key_exchange": ("SRP",)},
    "PSK": {"key_exchange": ("PSK", "RSAPSK", "DHEPSK", "ECDHEPSK")},
    "RSA": {"key_exchange": ("RSA",), "authentication": ("RSA",)},
    "DHE": {"key_exchange": ("DH",), "authentication": _CERTIFICATE},
    "ECDHE": {"key_exchange": ("ECDH",), "authentication": _CERTIFICATE},
    "ADH": {"key_exchange": ("DH",), "authentication": ("None",)},
    "AECDH": {"key_exchange": ("ECDH",), "authentication": ("None",)},
    "eNULL": {"encryption": ("None",)},
    "AES": {"encryption": ("AES", "AESGCM", "AESCCM", "AESCCM8")},
    "AESGCM": {"encryption": ("AESGCM",)},
    "AESCCM": {"encryption": ("AESCCM", "AESCCM8")},
    "AESCCM8": {"encryption": ("AESCCM8",)},
    "CHACHA20": {"encryption": ("CHACHA20/POLY1305",)},
    "CAMELLIA": {"encryption": ("Camellia",)},
    "ARIA": {"encryption": ("ARIA", "ARIAGCM")},
    "ARIAGCM": {"encryption": ("ARIAGCM",)},
    "SEED": {"encryption": ("SEED",)},
    "IDEA": {"encryption": ("IDEA",)},
    "RC4": {"encryption": ("RC4",)},
    "RC2": {"encryption": ("RC2",)},
    "RC5": {"encryption": ("RC5",)},
    "DES": {"encryption": ("DES",)},
    "3DES": {"encryption": ("3DES",)},
    "CBC": {"encryption": _CBC},
    "MD5": {"mac": ("MD5",)},
    "SHA1": {"mac": ("SHA1",)},
    "SHA256": {"mac": ("SHA256",)},
    "SHA384": {"mac": ("SHA384",)},
}
_SAME: Final = {
    "NULL": "eNULL",
    "SHA": "SHA1",
    "EDH": "DHE",
    "EECDH": "ECDHE",
    "kEDH": "kDHE",
    "kEECDH": "kECDHE",
    "DSS": "aDSS",
    "ECDSA": "aECDSA",
    "SRP": "kSRP",
    "DH": "kDHE",
    "ECDH": "kECDHE",
}
# Words of older OpenSSL for suites that OpenSSL 1.1.0 and later do not have.
_GONE: Final = ("kDH", "kDHr", "kDHd", "kECDH", "kECDHr", "kECDHe", "aDH", "aECDH")
_GONE_TOO: Final = ("EXP", "EXPORT", "EXPORT40", "EXPORT56", "LOW", "KRB5", "kKRB5", "aKRB5")
# Real, and decided by OpenSSL alone.
_STRENGTHS: Final = ("HIGH", "MEDIUM", "ALL", "COMPLEMENTOFALL", "DEFAULT", "COMPLEMENTOFDEFAULT")
_SIZED: Final = ("AES128", "AES256", "CAMELLIA128", "CAMELLIA256", "ARIA128", "ARIA256")
_PROTOCOLS: Final = ("SSLv3", "TLSv1", "TLSv1.0", "TLSv1.2", "FIPS", "SUITEB128", "SUITEB192")
_GOST: Final = ("GOST", "GOST94", "GOST89", "GOST89MAC", "GOST12", "kGOST", "aGOST", "aGOST01")

KEYWORDS: Final = frozenset(
    (*_TESTS, *_SAME, *_GONE, *_GONE_TOO, *_STRENGTHS, *_SIZED, *_PROTOCOLS, *_GOST)
)
"""Every word that some OpenSSL since 1.0 knows in a cipher list."""

_EMPTY: Final = frozenset((*_GONE, *_GONE_TOO))


@lru_cache(maxsize=4096)  # the same few suites and words come again for each service
def in_class(suite: Suite, word: str) -> bool | None:
    """Whether a cipher list's word ("kRSA", "kRSA+AES", a suite's name) means this suite.

    None when only OpenSSL can tell.
    """
    if suite.protocol == "TLSv1.3":
        return False
    verdicts = [_in_one(suite, part) for part in word.split("+")]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _in_one(suite: Suite, word: str) -> bool | None:
    if word == suite.name:
        return True
    word = _SAME.get(word, word)
    test = _TESTS.get(word)
    if test is not None:
        return _passes(suite, test) and not (word == "CBC" and suite.mac == "AEAD")
    if word in _SIZED:
        return _encryption(suite) in _algorithms(word[:-3]) and f"({word[-3:]})" in suite.encryption
    if word in _EMPTY:
        return False
    if word in KEYWORDS:
        return None
    # OpenSSL lets a word that it does not know go without effect.
    return False


def _algorithms(word: str) -> tuple[str, ...]:
    return _TESTS[word]["encryption"]


def _encryption(suite: Suite) -> str:
    return suite.encryption.split("(", 1)[0]


def _passes(suite: Suite, test: Test) -> bool:
    values = {
        "authentication": suite.authentication,
        "key_exchange": suite.key_exchange,
        "encryption": _encryption(suite),
        "mac": suite.mac,
    }
    return all(values[name] in wanted for name, wanted in test.items())
