"""Reports to the host's own syslog: one line a report, by the socket that syslog(3) uses.

The socket is written to directly. syslog(3) tells nobody when a message is
lost, and logging.handlers swallows errors and brings megabytes that the agent
does not need otherwise.
"""

from __future__ import annotations

import os

from postkeel.contract import (
    Card,
    EventKind,
    Option,
    Options,
    Outcome,
    Report,
    Severity,
    Side,
    hookimpl,
)
from postkeel_plugins.reporters.sentence import sentence

_PATIENCE = 2.0
"""Seconds to wait for a syslog whose queue is full, of the five that deliver has."""

_FACILITIES = {
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}
_ERROR, _WARNING, _NOTICE, _INFO = 3, 4, 5, 6  # RFC 5424, table 2
_PRIORITIES = {
    Outcome.FAILED: _ERROR,
    Outcome.REVERTED: _ERROR,
    Outcome.CONTESTED: _ERROR,
    Outcome.FIXED: _NOTICE,
    Outcome.WAIVED: _INFO,
    Outcome.CLEAN: _INFO,
}


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
                help="where syslog files the lines: " + ", ".join(_FACILITIES),
            ),
        ),
    )


@hookimpl
def keel_deliver(report: Report, options: Options) -> None:
    """Send the line; nothing for a timer that found all as wanted.

    Diagnostics: OSError when syslog is not there or does not take the line in
    time, ValueError for a facility that does not exist.
    Security: what strangers wrote is escaped, see `one_line`.
    """
    facility = _FACILITIES.get(str(options["facility"]))
    if facility is None:
        known = ", ".join(_FACILITIES)
        raise ValueError(f"unknown facility {options['facility']!r}; known are: {known}")
    if _is_routine(report):
        return
    import socket

    datagram = line(report, facility, os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(str(options["socket"]))
        connection.send(datagram)


def line(report: Report, facility: int, process: int) -> bytes:
    """The datagram: priority, identifier and sentence, at most 2 KiB in all."""
    return f"<{facility * 8 + _priority(report)}>postkeel[{process}]: {sentence(report)}".encode()


def _is_routine(report: Report) -> bool:
    """A timer found nothing that needs saying: all as wanted, or waived as it was before."""
    quiet = report.outcome in (Outcome.CLEAN, Outcome.WAIVED)
    told = report.problems or report.proof
    return quiet and not told and report.event.kind is EventKind.TIMER


def _priority(report: Report) -> int:
    """How loud: a drift that stays is a warning at least, a finding of severity info is not."""
    known = _PRIORITIES.get(report.outcome)
    if known is None:
        worst = any(one.finding.severity is not Severity.INFO for one in report.judged)
        known = _WARNING if worst else _INFO
    return min(known, _WARNING) if report.problems else known
