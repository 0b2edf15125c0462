"""Protocols, suites and groups by the names that OpenSSL and Postfix give them.

Exim with GnuTLS, Exchange, Gmail and others write those of GnuTLS or of the IANA registry.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from postkeel.maillog.messages import group_name

_PROTOCOL: Final = re.compile(r"(tls|ssl) ?v?_?(\d)(?:[._]?(\d))?", re.IGNORECASE)
_DIGESTS: Final = {
    "AES_128_GCM": "SHA256",
    "AES_256_GCM": "SHA384",
    "AES_128_CCM": "SHA256",
    "AES_128_CCM_8": "SHA256",
    "CHACHA20_POLY1305": "SHA256",
}
"""Of the suites of TLS 1.3, and of AEAD suites where GnuTLS leaves the digest out."""

_TLS13: Final = re.compile(rf"(?:TLS_)?({'|'.join(_DIGESTS)})(?:_SHA\d+)?")
_GNUTLS: Final = re.compile(
    r"(?P<exchange>(?:EC)?DHE)_(?P<group>\w+?)__(?P<key>\w+?)__(?P<rest>\w+)"
)
_OLDER: Final = re.compile(
    r"(?:TLS_|SSL_)?(?P<exchange>ECDHE?_(?:RSA|ECDSA|ANON)|DHE?_(?:RSA|DSS|ANON)|RSA)"
    r"_(?:WITH_)?(?P<rest>\w+)",
    re.IGNORECASE,
)
_EXCHANGES: Final = {"RSA": "", "ECDH-ANON": "AECDH", "DH-ANON": "ADH"}
_CIPHER: Final = re.compile(
    r"(?P<name>AES|CAMELLIA|ARIA|3DES_EDE|DES40|DES|RC4|ARCFOUR|SEED|IDEA|NULL|CHACHA20_POLY1305)"
    r"(?:_(?P<bits>40|56|128|256))?(?:_(?P<mode>CBC|GCM|CCM_8|CCM))?(?:_(?P<digest>\w+))?"
)
_OTHERWISE: Final = {
    "3DES_EDE": "DES-CBC3",
    "DES40": "DES-CBC",
    "DES": "DES-CBC",
    "IDEA": "IDEA-CBC",
    "ARCFOUR": "RC4",
    "CHACHA20_POLY1305": "CHACHA20-POLY1305",
}
_SMALL: Final = ("SECP", "FFDHE")
_SIZED: Final = ("AES", "CAMELLIA", "ARIA")
_MODERN: Final = "TLSv1.3"
_LONGEST: Final = 100
"""Of a name that is kept for the next time; what is longer is none."""


class Suite(NamedTuple):
    """What a suite's name says; GnuTLS puts the group and the signature into it."""

    cipher: str
    key_exchange: str = ""
    signature: str = ""


def protocol_name(word: str) -> str:
    """ "TLS1_2", "TLS1.2", "tlsv1.2" are "TLSv1.2"; a word that is none stays as it is."""
    found = _PROTOCOL.fullmatch(word.strip())
    if found is None:
        return word
    minor = f".{found[3]}" if found[3] not in (None, "0") else ""
    return f"{found[1].upper()}v{found[2]}{minor}"


def read_suite(name: str, protocol: str = "") -> Suite:
    """The suite by OpenSSL's name; one that is not known stays as it is.

    protocol: by OpenSSL's name; GnuTLS names TLS 1.3's suites as those of TLS 1.2.

    >>> read_suite("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384").cipher
    'ECDHE-RSA-AES256-SHA384'
    >>> read_suite("ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM", "TLSv1.3")
    Suite(cipher='TLS_AES_256_GCM_SHA384', key_exchange='X25519', signature='RSA-PSS')
    """
    return Suite(name) if len(name) > _LONGEST else _read(name, protocol == _MODERN)


@lru_cache(maxsize=512)  # few suites are in use, and each comes again and again
def _read(name: str, modern: bool) -> Suite:  # noqa: FBT001
    plain = _TLS13.fullmatch(name)
    if plain is not None:
        return Suite(_of_tls13(plain[1]))
    gnutls = _GNUTLS.fullmatch(name)
    if gnutls is not None:
        return _of_gnutls(gnutls, modern=modern)
    older = _OLDER.fullmatch(name)
    return Suite(_older_name(older["exchange"], older["rest"]) or name if older else name)


def _of_tls13(cipher: str) -> str:
    return f"TLS_{cipher}_{_DIGESTS[cipher]}"


def _of_gnutls(found: re.Match[str], *, modern: bool) -> Suite:
    key = found["key"]
    authentication = key.partition("_")[0]
    rest = found["rest"]
    if modern:
        cipher = _of_tls13(rest) if rest in _DIGESTS else ""
    else:
        cipher = _older_name(f"{found['exchange']}_{authentication}", rest)
    signature = "RSA-PSS" if key.startswith("RSA_PSS") else authentication
    group = found["group"]
    exchange = group.lower() if group.startswith(_SMALL) else group
    return Suite(cipher or found[0], group_name(exchange, ""), signature)


def _older_name(exchange: str, rest: str) -> str:
    """Of TLS 1.2 and older; "" for a cipher that is not known."""
    found = _CIPHER.fullmatch(rest)
    if found is None:
        return ""
    name = found["name"]
    start = exchange.upper().replace("_", "-")
    start = _EXCHANGES.get(start, start)
    if name == "ARIA" and start == "ECDHE-RSA":
        start = "ECDHE"  # OpenSSL leaves "RSA" out here, and in no other place
    cipher = f"{name}{found['bits'] or ''}" if name in _SIZED else _OTHERWISE.get(name, name)
    mode = (found["mode"] or "CBC").replace("_", "")
    modes = () if mode == "CBC" else (mode,)
    digest = found["digest"] or _DIGESTS.get(rest, "")
    # OpenSSL names the digest where it is not the only one that the cipher goes with.
    told = mode.startswith("CCM") or name == "CHACHA20_POLY1305"
    digests = () if told or not digest else ("SHA" if digest == "SHA1" else digest,)
    return "-".join(one for one in (start, cipher, *modes, *digests) if one)
