"""Lines of a mail log, damaged in every way that a few operations reach."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

FRAGMENTS = (
    b"]: ",
    b"[",
    b"]",
    b": ",
    b"\x00",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"\x1b[31m",
    b'"',
    b"\\",
    b"to=<",
    b">, relay=",
    b"conn_use=",
    b"postfix/smtpd[1]: ",
    b"2026-11-22T13:09:20.123456+01:00 ",
    b"Feb 29 25:61:61 ",
    b"Anonymous TLS connection established from a[1.2.3.4]: ",
    b"Verified TLS connection reused to b.example[::1]:25: ",
    b"TLSv1.3 with cipher X (99999999999/1 bits)",
    b" key-exchange ECDHE ()",
    b" server-signature  (raw public key)",
    b"SSL_accept error from ",
    b"warning: TLS library problem: error:::::",
    b"TLS handshake failed for service= peer=",
    b"disconnect from [] mail=-1 data=99999999999999999999 starttls=/",
    b"9" * 400,
    b"tls=!may:none?/!requiretls, ",
    b"\xc2\xb2",
)


def mutations(lines: Iterable[bytes], number: int, seed: int) -> Iterator[bytes]:
    """So many damaged lines, each without its end."""
    dice = random.Random(seed)  # noqa: S311  damage, not a secret
    known = [line for line in lines if line]
    for _ in range(number):
        line = dice.choice(known)
        for _ in range(dice.choice((1, 1, 2, 5))):
            line = mutated(dice, line, known)
        yield line.replace(b"\n", b" ")


def mutated(dice: random.Random, line: bytes, known: list[bytes]) -> bytes:
    """The line with one more thing wrong with it."""
    at, end = sorted((dice.randrange(len(line) + 1), dice.randrange(len(line) + 1)))
    fragment, other = dice.choice(FRAGMENTS), dice.choice(known)
    return dice.choice(
        (
            line[:at] + line[end:],
            line[:end] + line[at:],
            line[:at],
            line[:at] + fragment + line[at:],
            line[:at] + fragment + line[end:],
            line[:at] + bytes((dice.randrange(256),)) + line[at + 1 :],
            line[:at] + other[dice.randrange(len(other)) :],
            line[:at] + line[at:end] * dice.randrange(4) + line[end:],
        )
    )
