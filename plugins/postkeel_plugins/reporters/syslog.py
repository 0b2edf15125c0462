"""Reports to the host's own syslog: one line a report, by the socket that syslog(3) uses.

The socket is written to directly. syslog(3) tells nobody when a message is
lost, and logging.handlers swallows errors and brings megabytes that the agent
does not need otherwise. Where journald listens behind the socket, it is given
the fields as well, by its own protocol.
"""

from __future__ import annotations

import os

from postkeel.contract import (
    Card,
    Option,
    Options,
    Report,
    Side,
    hookimpl,
)
from postkeel.reporting.fields import message_of
from postkeel.reporting.journal import journal_entry
from postkeel.reporting.message import Message
from postkeel.reporting.sentence import LIMIT
from postkeel.reporting.severities import (
    FACILITIES,
    facility_fault,
    is_routine,
    severities_fault,
    severities_of,
)

_PATIENCE = 2.0
"""Seconds to wait for a syslog whose queue is full, of the five that deliver has."""

_JOURNALD = "dev-log"
_NATIVE = "socket"
"""Names of journald's sockets in /run/systemd/journal: syslog's, and its own."""


@hookimpl
def keel_card() -> Card:
    return Card(
        name="syslog",
        summary="one line a report in the local syslog",
        side=Side.ROOT,
        options=(
            Option(name="socket", default="/dev/log", help="the socket of the local syslog"),
            Option(
                name="facility",
                default="mail",
                help="where syslog files the lines: " + ", ".join(FACILITIES),
                fault=facility_fault,
            ),
            Option(
                name="severities",
                default=(),
                help='other severities of outcomes and events, such as "fixed=info"',
                fault=severities_fault,
            ),
            Option(
                name="cee",
                default=False,
                help="all fields as @cee: JSON in place of the sentence",
            ),
        ),
    )


@hookimpl
def keel_deliver(report: Report, options: Options) -> None:
    """Send the line; nothing for a timer that found all as wanted.

    Diagnostics: OSError when syslog is not there or does not take the line in time.
    Security: what strangers wrote is escaped, see `one_line`.
    """
    if is_routine(report):
        return
    import socket

    place, octets = datagram(report, options, os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(place)
        connection.send(octets)


def datagram(report: Report, options: Options, process: int) -> tuple[str, bytes]:
    """The socket to send to, and what: an entry for journald, else a line."""
    facility = FACILITIES[str(options["facility"])]
    severities: tuple[str, ...] = options["severities"]  # type: ignore[assignment]
    message = message_of(report, severities_of(severities))
    place = str(options["socket"])
    text = _as_json(message) if options["cee"] else message.text
    native = native_socket(place)
    if native:
        return native, journal_entry(message, facility, process, text)
    return place, line(message, text, facility, process)


def line(message: Message, text: str, facility: int, process: int) -> bytes:
    """Priority, identifier and text, at most 2 KiB in all."""
    return f"<{facility * 8 + message.severity}>postkeel[{process}]: {text}".encode()


def _as_json(message: Message) -> str:
    from postkeel.reporting.cee import cee

    return cee(message, (), LIMIT)


def native_socket(place: str) -> str:
    """journald's own socket when it is what listens behind this one; else ""."""
    directory, name = os.path.split(place)
    if os.path.islink(place):
        directory, name = os.path.split(os.path.join(directory, os.readlink(place)))
    native = os.path.join(directory, _NATIVE)
    beside = directory.endswith("/systemd/journal") and name == _JOURNALD
    return native if beside and os.path.exists(native) else ""
