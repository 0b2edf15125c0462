"""OpenSSL's own word on a certificate and its key: the library that Postfix loads them with.

`postkeel.certificates` finds and explains what goes wrong in practice; this is the net below it,
for encodings that are damaged in ways that it does not look into.

Security: files of memory only; the private key touches no disk. Imports `ssl`: for a forked
child, or a command.
"""

from __future__ import annotations

import os


def refusal(certificates: bytes, key: bytes) -> str:
    """Why OpenSSL does not load certificates, the leaf first, and a key; "" when it does.

    Both in PEM. At no security level, as Postfix: whether a key is too short is not asked here.
    Each time in a context of its own: in one that has held others, OpenSSL refuses less.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        os.fdopen(os.memfd_create("certificates"), "wb", buffering=0) as chain,
        os.fdopen(os.memfd_create("key"), "wb", buffering=0) as secret,
    ):
        chain.write(certificates)
        secret.write(key)
        files = [f"/proc/self/fd/{one.fileno()}" for one in (chain, secret)]
        try:
            context.load_cert_chain(files[0], files[1], password=_no_passphrase)
        except (OSError, ValueError) as error:
            return str(error.args[-1] if error.args else error)
    return ""


def _no_passphrase() -> bytes:
    """Without this OpenSSL asks on the terminal."""
    return b""
