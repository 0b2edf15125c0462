"""A TLS handshake with a port that offers TLS: `proving` makes many of them.

Certificates are not verified: what is served is shown, and others judge it.

Security: see `conversation`.

Commands and the agent reach it through `proof`: `ssl` takes 10 ms and 4 MiB.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable
from dataclasses import replace

from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel.shell.conversation import Conversation, PeerError, client_context, reason_of
from postkeel.shell.proof import SILENCE

_ALGORITHMS = {"RSA": "aRSA:!eNULL", "EC": "aECDSA:!eNULL"}
"""OpenSSL's words for the suites up to TLS 1.2 in which such a key signs."""


def handshake(
    endpoint: Endpoint, *, deadline: float, below: str = "", ciphers: str = ""
) -> Handshake:
    """One connection, from greeting to QUIT; `below` offers only protocols older than it.

    deadline: seconds for all of it. ciphers: an OpenSSL cipher string for TLS
    1.2 and older, instead of OpenSSL's default or, with `below`, instead of all.

    Diagnostics: whatever the peer does ends in `Handshake.problem`.
    """
    return _made(Handshake(endpoint=endpoint, below=below), deadline, ciphers)


def made(blank: Handshake, deadline: float, hold: Callable[[], object] = lambda: None) -> Handshake:
    """The handshake that `blank` describes: below, name and algorithm of it say what to ask for.

    deadline: seconds for all of it. hold: called while the connection stands.

    Which algorithm a client wants can be said up to TLS 1.2 only. A server without that is asked
    as other clients ask it; what it shows then is told without algorithm and expectation.
    """
    if not blank.algorithm:
        return _made(blank, deadline, hold=hold)
    end = time.monotonic() + deadline
    shown = _made(blank, deadline, _ALGORITHMS[blank.algorithm], hold)
    if not (shown.refused and shown.problem.endswith("protocol version")):
        return shown
    plain = replace(blank, algorithm="", expected=())
    return _made(plain, end - time.monotonic(), hold=hold)


def is_possible(blank: Handshake) -> bool:
    """Whether anything can be offered. Builds what threads then share; not for threads itself."""
    client_context("")
    return client_context(*_offer(blank, _ALGORITHMS.get(blank.algorithm, ""))) is not None


def _made(
    blank: Handshake,
    deadline: float,
    ciphers: str = "",
    hold: Callable[[], object] = lambda: None,
) -> Handshake:
    context = client_context(*_offer(blank, ciphers))
    if context is None:
        return replace(blank, problem=f"nothing older than {blank.below} can be offered from here")
    try:
        with Conversation.open(blank.endpoint.host, blank.endpoint.port, deadline) as peer:
            if not blank.endpoint.direct:
                peer.expect(b"220", "the greeting")
                peer.ask_for_tls(peer.greet())
            shown = _served(blank, peer.encrypt(context, blank.name))
            hold()
            peer.leave(greeted=not blank.endpoint.direct)
    except ssl.SSLError as error:
        reason = reason_of(error)
        # Only what the peer sent as an alert is the peer's own refusal.
        return replace(blank, refused="alert" in reason, problem=f"TLS handshake: {reason}")
    except PeerError as error:
        return replace(blank, problem=str(error))
    except TimeoutError:
        return replace(blank, problem=SILENCE)
    except OSError as error:
        return replace(blank, problem=f"connection: {error.strerror or error}")
    return shown


def _offer(blank: Handshake, ciphers: str) -> tuple[str, str]:
    """Of a context. An algorithm takes TLS 1.3 away, whose suites do not name one."""
    return ("TLSv1.3" if blank.algorithm else blank.below), ciphers


def _served(blank: Handshake, secured: ssl.SSLSocket) -> Handshake:
    certificate = secured.getpeercert(binary_form=True)
    cipher = secured.cipher()
    return replace(
        blank,
        protocol=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        certificate_sha256=hashlib.sha256(certificate).hexdigest() if certificate else "",
    )
