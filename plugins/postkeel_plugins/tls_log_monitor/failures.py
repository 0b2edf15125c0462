"""Handshakes that fail: counted by cause, and told when they are more than usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.contract import Depth, Finding, Severity
from postkeel.maillog.values import Direction
from postkeel_plugins.tls_log_monitor.rates import Rates
from postkeel_plugins.tls_log_monitor.rules import HANDSHAKES_FAIL, witness
from postkeel_plugins.tls_log_monitor.scene import Scene

_HOUR: Final = 3600
_ABOUT: Final = (
    ("cipher", "exclude_ciphers"),
    ("protocol", "protocols"),
    ("version", "protocols"),
    ("certificate", "chain_files"),
)
"""A word of OpenSSL's reason, and the parameter that has to do with it."""


def count_failures(scene: Scene, rates: Rates) -> None:
    """Old failures teach what is usual; what is within the window may be a surge."""
    if scene.statistics.first is not None:
        rates.begin(min(scene.now, scene.statistics.first.timestamp()))
    rates.witness = witness(scene.source, proven=scene.statistics.proven)
    for one in scene.statistics.failures:
        moment = scene.moment(one.hour)
        rates.count(one.direction.value, one.reason, moment, one.count, scene.window)


def failing(rates: Rates, now: float, window: float) -> Iterator[Finding]:
    """The causes of which there are more failures than usual."""
    for surge in rates.surges(now, window):
        family = "smtpd" if surge.direction == Direction.INBOUND.value else "smtp"
        ending = next((end for word, end in _ABOUT if word in surge.reason), "security_level")
        hours = window / _HOUR
        yield Finding(
            rule=HANDSHAKES_FAIL.id,
            severity=Severity.WARNING,
            depth=Depth.OBSERVED,
            parameter=f"{family}_tls_{ending}",
            where="default",
            effective=f"{surge.direction} handshakes fail: {surge.reason}",
            wanted="no more than usual",
            why=f"{surge.count} within {hours:g} h; usual are {surge.usual * hours:.1f};"
            f" {rates.witness}. {HANDSHAKES_FAIL.why}",
        )
