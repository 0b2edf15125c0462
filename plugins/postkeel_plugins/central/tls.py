"""TLS to a collector: whom to trust, the handshake, and OpenSSL's reasons in words."""

from __future__ import annotations

import select
import socket
import ssl
import time

from postkeel.contract import frozen, one_line
from postkeel_plugins.central.conversation import LinkError, reason_of
from postkeel_plugins.central.waker import Waker

HANDSHAKE_SECONDS = 10.0
REFUSAL_SECONDS = 0.3
"""How long to wait after a handshake for a refusal: with TLS 1.3 the server judges the client's
certificate when the client has long finished."""


BUSY: tuple[type[OSError], ...] = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What only says that nothing can be read or written at present."""


@frozen
class Credentials:
    """Files in PEM: whom to trust ("" is the system's store), and who one is, if anybody."""

    authority: str = ""
    certificate: str = ""
    key: str = ""


def secured(
    connection: socket.socket, name: str, credentials: Credentials, waker: Waker
) -> ssl.SSLSocket:
    """The connection in TLS 1.2 or later, its server verified by authority and name.

    The files are read anew each time, for certificates are renewed. Errors: LinkError; the
    connection is closed then.
    """
    wrapped = connection
    try:
        wrapped = handshaking = _context(credentials).wrap_socket(
            connection, server_hostname=name, do_handshake_on_connect=False
        )
        _shake_hands(handshaking, waker)
        _await_refusal(handshaking, waker)
    except OSError as error:
        wrapped.close()
        raise LinkError(_refusal(error)) from error
    except BaseException:
        wrapped.close()
        raise
    return handshaking


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    mine = credentials.certificate
    try:
        if credentials.authority:
            context.load_verify_locations(credentials.authority)
        else:
            context.load_default_certs()
    except OSError as error:
        raise LinkError(f"ca {credentials.authority} cannot be used: {reason_of(error)}") from error
    try:
        if mine or credentials.key:
            context.load_cert_chain(mine, credentials.key or None)
    except OSError as error:
        what = f"certificate {mine or 'none'} and its key"
        raise LinkError(f"{what} cannot be used: {reason_of(error)}") from error
    return context


def _shake_hands(wrapped: ssl.SSLSocket, waker: Waker) -> None:
    end = time.monotonic() + HANDSHAKE_SECONDS
    while True:
        try:
            return wrapped.do_handshake()
        except ssl.SSLWantReadError:
            events = select.POLLIN
        except ssl.SSLWantWriteError:
            events = select.POLLOUT
        if not waker.ready(wrapped.fileno(), events, end - time.monotonic()):
            raise TimeoutError(f"no TLS handshake within {HANDSHAKE_SECONDS:g} s")


def _await_refusal(wrapped: ssl.SSLSocket, waker: Waker) -> None:
    """Return when the server had its time to refuse; a session ticket is no refusal."""
    end = time.monotonic() + REFUSAL_SECONDS
    while waker.ready(wrapped.fileno(), select.POLLIN, end - time.monotonic()):
        try:
            if not wrapped.recv(1):
                raise ConnectionError("it closed the connection after the handshake")
        except ssl.SSLWantReadError:
            continue
        raise ConnectionError("it answers before it is asked, as no syslog collector does")


def _refusal(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {one_line(error.verify_message)}"
    reason = reason_of(error)
    if "alert" in reason:
        return f"it refused the TLS connection: {reason}"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed: {reason}"
    return reason
