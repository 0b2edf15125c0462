"""Lines as collectors write them, of hosts that are not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 22, tzinfo=UTC)

BEAT = {
    "outcome": "clean",
    "postkeel": "0.3.0",
    "guarded": "yes",
    "alarms": "0",
    "mode": "enforce",
    "profile": "intermediate",
    "last_outcome": "clean",
    "last_round": "2026-11-22T00:00:00+00:00",
    "open_findings": "0",
    "open_errors": "0",
    "held": "no",
    "postfix": "3.7.11",
    "openssl": "OpenSSL 3.0.17 1 Jul 2025",
    "every": "3600",
}


class Sender:
    """A host with its spool, whose reports arrive a tenth of a second after they are made."""

    def __init__(self, host: str, spool: str = "0a1b2c3d", instance: str = "/etc/postfix") -> None:
        self.host = host
        self.spool = spool
        self.instance = instance
        self.seq = 0
        self.ahead = timedelta()

    def line(
        self, event: str, hours: float = 0.0, late: float = 0.1, **fields: Any
    ) -> dict[str, Any]:
        """The next report, so many hours after the start; seq and others may be given."""
        self.seq += 1
        made = START + timedelta(hours=hours)
        marks = {"spool": self.spool, "seq": str(self.seq), "v": "1", "event": event}
        told = marks | {"instance": self.instance} | fields
        return {
            "host": self.host,
            "time": (made + self.ahead).isoformat(),
            "received": (made + timedelta(seconds=late)).isoformat(),
            "severity": 6,
            "event": event,
            "fields": {name: one for name, one in told.items() if one is not None},
            "text": "a sentence",
        }

    def beat(self, hours: float = 0.0, **fields: Any) -> dict[str, Any]:
        return self.line("heartbeat", hours, **(BEAT | fields))

    def round(self, outcome: str, hours: float = 0.0, **fields: Any) -> dict[str, Any]:
        return self.line("paths-changed", hours, outcome=outcome, **fields)

    def drift(self, outcome: str, *rules: str, hours: float = 0.0, **fields: Any) -> dict[str, Any]:
        """A round whose findings, errors of these rules, all came to the same."""
        told: dict[str, Any] = {"findings": str(len(rules)), "rules": ",".join(rules)}
        for number, rule in enumerate(rules, 1):
            suffix = "" if number == 1 else f"_{number}"
            told[f"rule{suffix}"] = rule
            told[f"result{suffix}"] = outcome
            told[f"severity{suffix}"] = "error"
        return self.round(outcome, hours, **(told | fields))

    def alarm(self, *rules: str, hours: float = 0.0) -> dict[str, Any]:
        made = self.drift("audited", *rules, hours=hours)
        made["event"] = made["fields"]["event"] = "mail-log-lines"
        return made


def octets(*lines: dict[str, Any]) -> bytes:
    """The file that has these lines."""
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in lines)


def example() -> Iterator[dict[str, Any]]:
    """A day of thirty hosts, of which some are not well."""
    for number in range(1, 31):
        site = "berlin" if number % 2 else "lisbon"
        sender = Sender(f"mx{number}.{site}.example.org", f"{number:08x}")
        versions: dict[str, Any] = {}
        if number % 3 == 0:
            versions = {"postfix": "3.10.13", "openssl": "OpenSSL 3.5.1 1 Jul 2025"}
        if number == 17:
            versions = {"postkeel": "0.2.9", "postfix": "3.11.7", "profile": "strict"}
        sender.ahead = timedelta(hours=2) if number == 12 else timedelta()
        yield from _day(sender, number, versions)


def _day(sender: Sender, number: int, versions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for hour in range(24 if number != 9 else 7):
        if number == 5 and hour in {11, 12}:
            sender.seq += 3
        if (hour * 7 + number * 5) % 23 == 0:
            yield sender.drift("fixed", "smtpd-protocols", "smtpd-level", hours=hour)
        if number == 3 and hour == 20:
            yield sender.drift("contested", "smtpd-protocols", "smtpd-exclusions", hours=hour)
        if number == 14 and hour > 15:
            yield sender.drift("audited", "smtpd-level", "smtp-protocols", hours=hour)
        if number == 21 and hour % 6 == 5:
            yield sender.alarm("peer-lost-tls", hours=hour)
        if number == 8 and hour == 15:
            sender.seq += 12
            yield sender.line("dropped", hours=hour, count="12", instance=None)
        yield sender.beat(hour + number / 100, **(versions | _beats(number, hour)))


def _beats(number: int, hour: int) -> dict[str, Any]:
    if number == 3 and hour >= 20:
        return {"last_outcome": "contested", "open_findings": "2", "open_errors": "2"}
    if number == 14 and hour > 15:
        return {
            "last_outcome": "audited",
            "mode": "audit",
            "open_findings": "2",
            "open_errors": "2",
        }
    if number == 21:
        return {"alarms": "1"} if hour >= 5 else {}
    if number == 27:
        return {"guarded": "no"} if hour > 20 else {}
    return {}
