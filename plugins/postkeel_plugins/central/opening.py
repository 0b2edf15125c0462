"""From a collector's URL to a link that stands: which modules a transport needs, and no others."""

from __future__ import annotations

from postkeel.contract import frozen
from postkeel_plugins.central.collectors import Collector
from postkeel_plugins.central.conversation import Conversation
from postkeel_plugins.central.link import Link
from postkeel_plugins.central.waker import Waker


@frozen
class Manner:
    """How to send: files in PEM for TLS, and the window of plain streams.

    window_reports: how many sent reports are held at most for sending them again.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""
    window_seconds: float = 60.0
    window_reports: int = 10_000


def opened(collector: Collector, manner: Manner, waker: Waker) -> Link:
    """A link that stands, as far as its transport can tell. Errors: LinkError."""
    if collector.transport.kind in ("datagram", "unix"):
        from postkeel_plugins.central.datagrams import datagrams

        return datagrams(collector)
    from postkeel_plugins.central.streams import Stream, connected

    conversation = _conversation(collector, manner)
    connection = connected(collector, waker)
    if not collector.transport.tls:
        return Stream(connection, conversation)
    from postkeel_plugins.central import tls

    credentials = tls.Credentials(
        authority=manner.authority, certificate=manner.certificate, key=manner.key
    )
    wrapped = tls.secured(connection, collector.name, credentials, waker)
    return Stream(wrapped, conversation, tls.BUSY)


def _conversation(collector: Collector, manner: Manner) -> Conversation:
    if collector.transport.kind == "relp":
        from postkeel_plugins.central.relp import Session

        return Session()
    from postkeel_plugins.central.window import Window

    return Window(manner.window_seconds, manner.window_reports)
