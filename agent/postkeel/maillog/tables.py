"""What is kept of the statistics: hourly tables, see `stored`.

Apart from the rest, because every command reads them off the plugin's card.
"""

from __future__ import annotations

from typing import Final

from postkeel.core.model import Table

_SESSION: Final = (
    "direction",
    "trust",
    "protocol",
    "cipher",
    "bits",
    "key_exchange",
    "signature",
    "reused",
)

TABLES: Final = (
    Table(
        name="connections",
        key=("name", *_SESSION, "peer"),
        counters=("connections", "mails"),
        folds="peer",
    ),
    Table(
        name="failures",
        key=("name", "direction", "reason", "peer"),
        counters=("count",),
        folds="peer",
    ),
    Table(
        name="destinations",
        key=("domain", "relay", *_SESSION),
        counters=("mails",),
        folds="domain",
    ),
    Table(
        name="notices",
        key=("kind", "name", "said"),
        counters=("count",),
        folds="said",
    ),
    Table(name="lines", key=("source",), counters=("lines",)),
)
