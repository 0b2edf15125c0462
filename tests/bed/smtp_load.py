"""SMTP clients that look at the certificate: one connection, or a stream that never stops.

    shown(address, 25, roots=authority.roots)          the sha256 of the leaf that is served
    with smtp_load(address, roots=authority.roots) as load:
        load.served_at(leaf), load.faults()

With `roots` the client verifies as a strict one does, chain and name; a certificate beside
another one's key fails then, as does a server that goes away within a session.
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOST = "mail.example.test"
"""What the private Postfix calls itself."""

PORTS = (25, 465, 587)
_DIRECT = 465
_PATIENCE = 30
"""An smtpd that starts while Postfix reloads may sleep for ten seconds (mail_connect_wait)."""

_KINDS = {"": "DEFAULT", "rsa": "aRSA", "ecdsa": "aECDSA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection, by time.monotonic(): what was shown, or what went wrong."""

    port: int
    began: float
    ended: float
    leaf: str = ""
    fault: str = ""


def client(roots: Path | None, *, kind: str = "") -> ssl.SSLContext:
    """A client that believes these roots; without them it takes anything.

    kind: "rsa" or "ecdsa" takes only such a certificate, so TLS 1.2 at most.
    """
    context = ssl.create_default_context(cafile=str(roots) if roots else None)
    if roots is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if kind:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_KINDS[kind])
    return context


def shown(
    address: str,
    port: int = 25,
    *,
    name: str = HOST,
    roots: Path | None = None,
    kind: str = "",
) -> str:
    """The sha256 of the leaf shown to who asks for this name.

    Errors: OSError (ssl.SSLError is one) and smtplib.SMTPException where no TLS came about.
    """
    return _session(address, port, name, client(roots, kind=kind), mail=False)


def shown_everywhere(address: str, roots: Path | None = None) -> set[str]:
    """The leaves shown on the three ports."""
    return {shown(address, port, roots=roots) for port in PORTS}


def _session(address: str, port: int, name: str, context: ssl.SSLContext, *, mail: bool) -> str:
    """Greeting, TLS, EHLO, perhaps a mail, QUIT."""
    # smtplib asks for the name that it has connected to: so it is given the name, then a socket.
    one = _Session(address, name, context, direct=port == _DIRECT)
    try:
        one.connect(name, port)
        if port != _DIRECT:
            one.starttls(context=context)
        one.ehlo()
        leaf = _leaf(one.sock)
        if mail:
            one.sendmail("sender@client.example.test", [f"nobody@{name}"], "Subject: x\n\nx\n")
        one.quit()
    finally:
        one.close()
    return leaf


class _Session(smtplib.SMTP):
    """Connects to an address, and asks in TLS for a name."""

    def __init__(self, address: str, name: str, context: ssl.SSLContext, *, direct: bool) -> None:
        self._address = address
        self._context = context if direct else None
        super().__init__(local_hostname="client.example.test", timeout=_PATIENCE)
        self._host = name  # what smtplib gives to TLS

    def _get_socket(self, host: str, port: int, timeout: float) -> object:
        connection = super()._get_socket(self._address, port, timeout)  # type: ignore[misc]
        if self._context is None:
            return connection
        return self._context.wrap_socket(connection, server_hostname=host)


def _leaf(connection: object) -> str:
    if not isinstance(connection, ssl.SSLSocket):
        raise smtplib.SMTPServerDisconnected("the server has gone")
    return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


class Load:
    """Clients that connect again and again, some a port. Get it from `smtp_load`."""

    def __init__(
        self, address: str, roots: Path | None, clients: int, pause: float, mail: int
    ) -> None:
        self._address = address
        self._roots = roots
        self._pause = pause
        self._mail = mail
        self._over = threading.Event()
        self._made: list[Connection] = []
        self._first: dict[tuple[int, str], float] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(port,), daemon=True)
            for port in PORTS
            for _ in range(clients)
        ]

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Let each finish its connection."""
        self._over.set()
        for one in self._threads:
            one.join(_PATIENCE + 5)

    def _run(self, port: int) -> None:
        context = client(self._roots)
        number = 0
        while not self._over.wait(self._pause):
            number += 1
            # Submission wants a password before a mail.
            made = self._one(port, context, mail=port == PORTS[0] and number % self._mail == 0)
            self._made.append(made)
            self._first.setdefault((port, made.leaf), made.ended)

    def _one(self, port: int, context: ssl.SSLContext, *, mail: bool) -> Connection:
        began, leaf, fault = time.monotonic(), "", ""
        try:
            leaf = _session(self._address, port, HOST, context, mail=mail)
        except (OSError, smtplib.SMTPException) as error:
            fault = f"{type(error).__name__}: {error}"
        return Connection(port=port, began=began, ended=time.monotonic(), leaf=leaf, fault=fault)

    def connections(self) -> list[Connection]:
        """All that are finished, by their beginnings."""
        return sorted(self._made, key=lambda one: one.began)

    def faults(self) -> list[str]:
        """What went wrong."""
        return [f"port {one.port}: {one.fault}" for one in self.connections() if one.fault]

    def served_at(self, leaf: str) -> float | None:
        """When each port had shown this leaf to some client; None while one has not."""
        ends = [self._first.get((port, leaf)) for port in PORTS]
        known = [one for one in ends if one is not None]
        return max(known) if len(known) == len(ends) else None

    def live_since(self, leaf: str, after: float, before: float) -> float:
        """From when on each connection that began got this leaf, on each port.

        Of the connections that began after one moment and ended before another: from the last
        write of a renewal until the next one. By beginnings, for Postfix lets a session that
        begins within a reload wait a second for its tlsmgr, whichever leaf it shows then.
        Errors: LookupError where a port never got so far.
        """
        made = [one for one in self.connections() if after < one.began and one.ended < before]
        return max(_unbroken(leaf, [one for one in made if one.port == port]) for port in PORTS)


def _unbroken(leaf: str, made: list[Connection]) -> float:
    others = [number for number, one in enumerate(made) if one.leaf != leaf]
    first = others[-1] + 1 if others else 0
    if first == len(made):
        raise LookupError(f"not served at the end: {leaf}")
    return made[first].began


@contextlib.contextmanager
def smtp_load(
    address: str,
    *,
    roots: Path | None = None,
    clients: int = 2,
    pause: float = 0.02,
    mail: int = 5,
) -> Iterator[Load]:
    """Clients on each port until the end of the block.

    clients: for each port; several, for one may have to wait (see `live_since`). pause: seconds
    between two connections of one client. mail: each so many-th connection of a client of port
    25 hands in a mail.
    """
    load = Load(address, roots, clients, pause, mail)
    load.start()
    try:
        yield load
    finally:
        load.stop()
