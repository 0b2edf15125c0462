"""The file for smtpd_tls_chain_files that postkeel joins of a private key and a certificate's.

A renewer writes the two one after the other; Postfix, which reads them when it likes, may meet
the new key with the old certificate. One file that is replaced at once has no such moment. Its
first line says of which two it was made, so it needs no other state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

FILE: Final = "postkeel-chain.pem"
"""Its name in the configuration directory."""

_BEGINS: Final = "# postkeel joined this of "
_BETWEEN: Final = " and "
_ENDS: Final = "; it follows their renewals"
_LONGEST_LINE: Final = 65536
_STRING: Final = r'("/(?:[^"\\]|\\.)*")'
_LINE: Final = re.compile(_BEGINS + _STRING + _BETWEEN + _STRING + _ENDS)
_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "
_DASHES: Final = b"-----"


def joined(certificate: bytes, key: bytes, certificate_path: str, key_path: str) -> bytes:
    """What the joined file holds: private keys of `key`, then the certificates of `certificate`.

    Only these PEM blocks are taken over, so whatever else stands in the two files, in the
    order in which it stands there, makes no other file. What is wrong with the blocks stays so:
    judge the two files first.
    """
    blocks = (*_blocks(key, b"PRIVATE KEY"), *_blocks(certificate, b"CERTIFICATE"))
    return b"".join((_first_line(certificate_path, key_path), *blocks))


def sources(content: bytes) -> tuple[str, str] | None:
    """Of which certificate's file and which key's this was joined; None: postkeel did not make it.

    The beginning of the file is enough.
    """
    from json import loads

    line = content[:_LONGEST_LINE].partition(b"\n")[0].decode("ascii", "replace")
    found = _LINE.fullmatch(line)
    try:
        key, certificate = map(loads, found.groups()) if found else ("", "")
    except ValueError:
        return None
    ours = content.startswith(_first_line(certificate, key))
    return (certificate, key) if ours else None


def contents(content: bytes) -> str:
    """The digest by which `JoinFiles` and `Joined` name a content: SHA-256, in hexadecimal."""
    from hashlib import sha256

    return sha256(content).hexdigest()


def _first_line(certificate: str, key: str) -> bytes:
    """The names as JSON has them: one line of ASCII, whatever is in them."""
    from json import dumps

    return f"{_BEGINS}{dumps(key)}{_BETWEEN}{dumps(certificate)}{_ENDS}\n".encode("ascii")


def _blocks(content: bytes, label: bytes) -> Iterator[bytes]:
    """The PEM blocks whose label ends like this, their lines as OpenSSL would write them."""
    block: list[bytes] = []
    for line in (one.rstrip() for one in content.split(b"\n")):
        if line.startswith(_BEGIN) and line.endswith(_DASHES):
            block = [line]
        elif block:
            block.append(line)
        if block and line == _END + block[0][len(_BEGIN) :]:
            if line.endswith(label + _DASHES):
                yield b"\n".join((*block, b""))
            block = []
