"""The mark of a probe message: when it was made, and that this host made it.

Nobody without the host's secret can make one, so nobody can have the probe take another
message for its own and remove it.
"""

from __future__ import annotations

import hmac
import os
import re
from typing import Final, NamedTuple

FIELD: Final = "X-Postkeel-Probe"
"""The header field that holds it."""

_FORM: Final = re.compile(r"1\.([0-9a-f]{1,13})\.([0-9a-f]{16})\.([0-9a-f]{32})")
_RANDOM: Final = 8
_DIGEST: Final = 16


class Token(NamedTuple):
    """made: seconds of the epoch. nonce: tells probes apart. text: as it stands in the field."""

    made: float
    nonce: str
    text: str


def new_token(secret: bytes, now: float) -> Token:
    """A token that no other is like. secret: up to 64 octets."""
    head = f"1.{int(now * 1000):x}.{os.urandom(_RANDOM).hex()}"
    token = read_token(f"{head}.{_digest(secret, head)}", secret)
    if token is None:
        raise AssertionError(head)
    return token


def read_token(text: str, secret: bytes) -> Token | None:
    """The token; None for what was not made with this secret."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    head, _, digest = text.rpartition(".")
    if not hmac.compare_digest(digest, _digest(secret, head)):
        return None
    return Token(made=int(found[1], 16) / 1000, nonce=found[2], text=text)


def _digest(secret: bytes, head: str) -> str:
    import hashlib

    return hashlib.blake2b(
        head.encode(), digest_size=_DIGEST, key=secret, person=b"postkeel probe"
    ).hexdigest()
