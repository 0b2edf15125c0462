"""What is kept of probes and samples: hourly counts, and nothing of any message.

Apart from the rest, because every command reads them off the plugin's card. All words in
keys are postkeel's own or master.cf's, so no table grows by what strangers write.

probes: outcome is one of `OUTCOMES`; "late" ones, which came only after an earlier probe
    had ended, have no service. milliseconds: from the connection to the delivery, added up
    over those that were delivered.
hops: Received lines. believed: "yes" for those that hosts of one's own wrote. verdict: of
    `postkeel.headers.values.Verdict`. protocol: "ESMTPS" and the like, "" for none told, or
    "(others)". mta: the mail server that writes such lines, "" for one not known.
messages: verdict of the hop over which they came to one's own hosts; "" where no line that
    is to be believed tells of it.
"""

from __future__ import annotations

from typing import Final

from postkeel.contract import Table

AGREE: Final = "agree"
SILENT: Final = "silent"
DISAGREE: Final = "disagree"
REFUSED: Final = "refused"
WITHOUT_TLS: Final = "without TLS"
NOT_DELIVERED: Final = "not delivered"
LATE: Final = "late"
OUTCOMES: Final = (AGREE, SILENT, DISAGREE, REFUSED, WITHOUT_TLS, NOT_DELIVERED, LATE)
"""silent: no witness contradicts, and one or two say nothing."""

PROBES: Final = Table(
    name="probes", key=("service", "outcome"), counters=("probes", "milliseconds")
)
HOPS: Final = Table(name="hops", key=("believed", "verdict", "protocol", "mta"), counters=("hops",))
MESSAGES: Final = Table(name="messages", key=("verdict",), counters=("messages",))
TABLES: Final = (PROBES, HOPS, MESSAGES)
