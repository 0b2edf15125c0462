"""What mail really travels over, from Postfix's own lines, and what just broke.

`postkeel.maillog` says which log, reads and counts the lines; here the counts become
records and alarms. `observing` does it, `sessions`, `failures` and `notices` judge a
batch, `memory` holds what stands between events.

Every command of postkeel reads the card, so only the card is here; the rest is
imported when the agent first asks.
"""

from __future__ import annotations

from collections.abc import Iterable

from postkeel.contract import (
    Card,
    Event,
    Facts,
    Interest,
    Observation,
    Option,
    Options,
    Side,
    hookimpl,
)
from postkeel.maillog.tables import TABLES
from postkeel_plugins.tls_log_monitor.rules import RULES

_LOG = Option(
    name="log",
    default="auto",
    help='which log to follow: "auto" (maillog_file where it is set, else the journal), "journal",'
    " or the absolute name of a file",
)
_PEERS = Option(
    name="peers",
    default="domain",
    help='how peers are kept: by "domain", by "pseudonym" (alike on this host only), or "none"',
)
_KEPT_DAYS = Option(
    name="kept_days",
    default=90,
    least=1,
    help="days after which counts are forgotten",
)
_ALARM_HOURS = Option(
    name="alarm_hours",
    default=1,
    least=1,
    help="hours that an alarm stands after its last cause, and in which failures are counted",
)


@hookimpl
def keel_card() -> Card:
    return Card(
        name="tls_log_monitor",
        summary="what mail travels over, from Postfix's log lines, and alarms when it gets worse",
        side=Side.MONITOR,
        options=(_LOG, _PEERS, _KEPT_DAYS, _ALARM_HOURS),
        rules=RULES,
        tables=TABLES,
    )


@hookimpl
def keel_interests(instance: str, options: Options, facts: Facts) -> Interest:
    from postkeel_plugins.tls_log_monitor.observing import interests

    return interests(instance, options, facts)


@hookimpl
def keel_observe(
    event: Event, instance: str, facts: Facts, options: Options
) -> Iterable[Observation]:
    from postkeel_plugins.tls_log_monitor.observing import observe

    return observe(event, instance, facts, options)
