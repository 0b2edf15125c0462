"""The metrics that Prometheus reads: names, meanings, labels, and their text.

Label sets are closed: the configuration directory of an instance that is guarded, a rule
on a card, and words of postkeel's own. No name of a peer is among them. `instance`
is left out: Prometheus itself calls by it the host that it asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from postkeel.core.frozen import frozen
from postkeel.core.model import Outcome, Severity

OUTCOMES = tuple(one.value for one in Outcome)
SEVERITIES = tuple(one.value for one in Severity)
DIRECTIONS = ("inbound", "outbound")
PROTOCOLS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "clear", "other")


@frozen
class Metric:
    """One metric. kind: "gauge", or "counter", which begins at 0 again with each process."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


def _gauge(name: str, what: str, *labels: str) -> Metric:
    return Metric(name=f"postfix_tls_{name}", kind="gauge", help=what, labels=labels)


def _counter(name: str, what: str, *labels: str) -> Metric:
    return Metric(name=f"postfix_tls_{name}_total", kind="counter", help=what, labels=labels)


_OF_CONNECTIONS = ("config_directory", "direction", "protocol")

METRICS = (
    _gauge("postkeel_info", "Always 1; which version runs.", "version"),
    _gauge("written_timestamp_seconds", "When this was written: every 300 seconds at least."),
    _gauge("guarded", "1 while the side that corrects runs.", "config_directory"),
    _gauge("compliant", "1 while no finding of severity error stands.", "config_directory"),
    _gauge("outcome", "1 for the outcome of the last round.", "config_directory", "outcome"),
    _gauge("findings", "Findings that stand after the last round.", "config_directory", "severity"),
    _gauge("held", "1 while nothing is corrected, as somebody asked.", "config_directory"),
    _gauge("last_round_timestamp_seconds", "When the last round began.", "config_directory"),
    _gauge("alarms", "Alarms of the mail log that stand.", "config_directory", "rule"),
    _counter("reports", "Reports of rounds and of alarms.", "config_directory", "outcome"),
    _counter("corrections", "Findings that were corrected.", "config_directory"),
    _gauge("heartbeat_timestamp_seconds", "When the last heartbeat was sent."),
    _gauge("heartbeat_interval_seconds", "Seconds from one heartbeat to the next, 0 for none."),
    _gauge("reports_waiting", "Reports that were not handed on yet.", "reporter"),
    _counter("reports_dropped", "Reports that never will be.", "reporter"),
    _counter("connections", "SMTP connections in the mail log.", *_OF_CONNECTIONS),
    _counter("mails", "Mails that they carried.", *_OF_CONNECTIONS),
)
"""All of them, in the order in which they are written."""

Samples = Mapping[str, Mapping[tuple[str, ...], float]]
"""By the metric's name, its value for each combination of labels, in the metric's order."""


def protocol_label(protocol: str) -> str:
    """Postfix's word for a protocol as one of `PROTOCOLS`; "" is clear text."""
    if not protocol:
        return "clear"
    return protocol if protocol in PROTOCOLS[:-2] else "other"


def render(samples: Samples) -> str:
    """The text exposition format; metrics without a sample are left out.

    Errors: ValueError for a name or number of labels that `METRICS` has not.
    """
    unknown = samples.keys() - {one.name for one in METRICS}
    if unknown:
        raise ValueError(f"no metrics: {', '.join(sorted(unknown))}")
    return "".join(
        line for one in METRICS if samples.get(one.name) for line in _lines(one, samples[one.name])
    )


def _lines(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}\n"
    yield f"# TYPE {metric.name} {metric.kind}\n"
    for labels, value in values.items():
        pairs = zip(metric.labels, labels, strict=True)
        shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in pairs)
        yield f"{metric.name}{'{' + shown + '}' if shown else ''} {_number(value)}\n"


def _escaped(text: str) -> str:
    """Valid UTF-8, and neither the end of the value nor of the line."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"
