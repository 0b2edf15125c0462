"""`postkeel headers` as a document for programs, written as it reads. Its keys are contracts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Final

from postkeel import __version__
from postkeel.cli.headers_summary import Seen, Summary
from postkeel.cli.headers_wording import hosts
from postkeel.headers.counting import Counts
from postkeel.headers.values import Hop, Own, Results, Tls
from postkeel.headers.way import delays

Data = dict[str, object]

_IN_A_MESSAGE: Final = "    "


def write(messages: Iterable[Seen], summary: Summary, own: Own) -> None:
    """One document on standard output; `summary` is complete once all messages are read.

    UTF-8 whatever the locale, as `print_json` writes it.
    """
    sys.stdout.flush()
    out = sys.stdout.buffer
    out.write(f'{{\n  "postkeel": {json.dumps(__version__)},\n  "own": '.encode())
    out.write(f'{_encoded(list(hosts(own)), "  ")},\n  "messages": ['.encode())
    between = "\n"
    for one in messages:
        out.write(f"{between}{_IN_A_MESSAGE}{_encoded(message(one), _IN_A_MESSAGE)}".encode())
        between = ",\n"
    end = "]" if between == "\n" else "\n  ]"
    out.write(f'{end},\n  "summary": {_encoded(totals(summary), "  ")}\n}}\n'.encode())


def _encoded(value: object, indent: str) -> str:
    """Lines as they stand in a document, so far to the right; always to be had in UTF-8."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return shown.replace("\n", f"\n{indent}")


def message(seen: Seen) -> Data:
    """Hops as in the header, newest first; `seconds` since the hop after it, null where unknown."""
    way = seen.way
    return {
        "source": seen.stored.source,
        "number": seen.stored.number,
        "believed": way.believed,
        "hops": [
            hop_data(hop, seconds, believed=place < way.believed)
            for place, (hop, seconds) in enumerate(zip(way.hops, delays(way.hops), strict=True))
        ],
        "authentication_results": [_results(one) for one in way.results],
        "problems": list(seen.problems),
    }


def hop_data(hop: Hop, seconds: float | None, *, believed: bool) -> Data:
    return {
        "verdict": hop.verdict.value,
        "reason": hop.reason,
        "believed": believed,
        "mta": hop.mta,
        "helo": hop.helo,
        "name": hop.name,
        "address": hop.address,
        "by": hop.by,
        "protocol": hop.protocol,
        "tls": None if hop.tls is None else _tls(hop.tls),
        "authenticated": hop.authenticated,
        "id": hop.identity,
        "recipient": hop.recipient,
        "time": None if hop.time is None else hop.time.isoformat(),
        "seconds": seconds,
        "text": hop.text,
    }


def _tls(tls: Tls) -> Data:
    return {
        "protocol": tls.protocol,
        "cipher": tls.cipher,
        "bits": tls.bits,
        "key_exchange": tls.key_exchange,
        "signature": tls.signature,
        "certificate": tls.certificate.value,
        "subject": tls.subject,
        "issuer": tls.issuer,
    }


def _results(one: Results) -> Data:
    return {
        "by": one.by,
        "believed": one.believed,
        "methods": [{"method": method, "result": result} for method, result in one.methods],
    }


def totals(summary: Summary) -> Data:
    """`arrivals` and `hops` have an entry for each combination that there is."""
    counts = summary.counts
    return {
        "messages": counts.messages,
        "untraced": counts.untraced,
        "faulty": summary.faulty,
        "damaged": summary.damaged,
        "arrivals": [
            {"believed": believed, "verdict": verdict.value, "messages": number}
            for (believed, verdict), number in sorted(counts.arrivals.items())
        ],
        "hops": _hops(counts),
        "protocols": [
            {"believed": believed, "protocol": protocol, "hops": number}
            for (believed, protocol), number in sorted(summary.protocols.items())
        ],
        "slowest": _slowest(summary),
        "examples": [
            {"source": name, "verdict": verdict.value} for name, verdict in summary.examples
        ],
    }


def _hops(counts: Counts) -> list[Data]:
    return [
        {
            "believed": kind.believed,
            "verdict": kind.verdict.value,
            "protocol": kind.protocol,
            "mta": kind.mta,
            "hops": number,
        }
        for kind, number in sorted(counts.hops.items())
    ]


def _slowest(summary: Summary) -> Data | None:
    found = summary.counts.slowest
    if found is None:
        return None
    return {
        "seconds": found.seconds,
        "holder": found.holder,
        "to": found.to,
        "believed": found.believed,
        "source": summary.slowest_of,
    }
