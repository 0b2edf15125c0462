"""The fields of a report: their names, what they mean, and a report in terms of them.

The names are a contract with whoever collects reports: a name is never used again for
something else, and another meaning of one makes another `VERSION`; a new name does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from postkeel.core.frozen import frozen
from postkeel.core.model import Depth, Judged, Outcome, PackageChange, Report
from postkeel.core.text import one_line
from postkeel.reporting.fitting import CUT, cut_names
from postkeel.reporting.message import Fields, Message
from postkeel.reporting.ranking import worst_first, written
from postkeel.reporting.sentence import sentence
from postkeel.reporting.severities import event_name, severity_of

VERSION = "1"

MOST_FINDINGS = 20
"""Told one by one; more never fit into what is sent."""

_LIMIT = 256
"""Octets of a value: an exclusion list must not crowd out the other findings."""

_LISTED_LIMIT = 768
"""Octets of the list of rules."""


@frozen
class Field:
    """A name, and what its text means.

    volatile: may differ where the same thing is reported again. numbered: of a finding; that
    of the second one ends in _2, and so on.
    """

    name: str
    meaning: str
    volatile: bool = False
    numbered: bool = False


def _finding(name: str, meaning: str, *, volatile: bool = False) -> Field:
    return Field(name=name, meaning=meaning, volatile=volatile, numbered=True)


MARKS = (
    Field(
        name="spool",
        meaning="8 hex digits, drawn when the spool's file is made and at each start of the system",
        volatile=True,
    ),
    Field(name="seq", meaning="number in this spool, from 1, each one more", volatile=True),
    Field(name="repeated", meaning="how many reports this one stands for", volatile=True),
    Field(name="first", meaning="when the first of them was made, or dropped", volatile=True),
    Field(name="last", meaning="when the last of them was made, or dropped", volatile=True),
    Field(name="count", meaning="how many reports were dropped", volatile=True),
)
"""What the spool of the plugin "central" puts before the other fields."""

OF_ALL = (
    Field(name="v", meaning=f"version of this description: {VERSION}"),
    Field(name="event", meaning="why there is a report; the same as MSGID"),
    Field(name="instance", meaning="Postfix's configuration directory"),
)

OF_REPORTS = (
    Field(name="outcome", meaning="what became of it all: that of the worst finding"),
    Field(name="cause", meaning="what led to it"),
    Field(name="seconds", meaning="how long the round took", volatile=True),
    Field(name="findings", meaning="how many findings were judged"),
    Field(name="rules", meaning="rules of all the findings, the worst first, each once"),
    _finding("rule", "the finding's rule"),
    _finding("result", "what became of this finding"),
    _finding("severity", "error, warning or info"),
    _finding("depth", "declared, effective or observed"),
    _finding("service", "service of master.cf, such as submission/inet"),
    _finding("parameter", "Postfix's parameter"),
    _finding("file", "another file that the finding is about, such as a certificate's"),
    _finding("where", "main.cf:LINE, master.cf:LINE or default"),
    _finding("effective", "the value that was found"),
    _finding("wanted", "what the profile wants"),
    _finding("now", "what was written; (removed) for a line taken out"),
    _finding("reason", "why it came to this result"),
    _finding("evidence", "what an observed finding rests on", volatile=True),
    Field(name="problems", meaning="what could not be read, and which plugins failed"),
    Field(name="proof", meaning="what was observed after a correction, or which alarms are over"),
    Field(name="packages", meaning="packages that changed, with both versions"),
    Field(name="command", meaning="the command that changed them"),
    Field(name="cut", meaning="names of the fields that were shortened or left out"),
)

OF_HEARTBEATS = (
    Field(name="postkeel", meaning="its version"),
    Field(name="guarded", meaning="yes; no when the side that corrects does not run"),
    Field(name="last_outcome", meaning="outcome of the last round"),
    Field(name="last_round", meaning="when that was", volatile=True),
    Field(name="open_findings", meaning="findings that stand"),
    Field(name="open_errors", meaning="those of them that are errors"),
    Field(name="alarms", meaning="alarms that stand; in a digest, those that were raised"),
    Field(name="held", meaning="yes while it does not correct; in a digest, how many held rounds"),
    Field(name="mode", meaning="enforce or audit"),
    Field(name="profile", meaning="the hardened state that it holds"),
    Field(name="postfix", meaning="version of Postfix"),
    Field(name="openssl", meaning="version of OpenSSL"),
    Field(name="every", meaning="seconds from one heartbeat to the next"),
)

OF_DIGESTS = (
    Field(name="since", meaning="where the time begins that it sums up", volatile=True),
    Field(name="until", meaning="where it ends", volatile=True),
    Field(name="rounds", meaning="rounds that were news"),
    Field(name="fixed", meaning="rounds with this outcome"),
    Field(name="audited", meaning="likewise"),
    Field(name="contested", meaning="likewise"),
    Field(name="reverted", meaning="likewise"),
    Field(name="failed", meaning="likewise"),
    Field(name="upgrades", meaning="rounds that found changed packages"),
    Field(name="changed", meaning="what was corrected, most often first"),
)

FIELDS = (*MARKS, *OF_ALL, *OF_REPORTS, *OF_HEARTBEATS, *OF_DIGESTS)
"""All of them, each name once."""

VOLATILE = frozenset(
    name
    for one in FIELDS
    if one.volatile
    for name in (
        one.name,
        *(f"{one.name}_{n}" for n in range(2, MOST_FINDINGS + 1) if one.numbered),
    )
)
"""Names of what may differ where the same thing is reported again, numbered ones included."""


def message_of(report: Report, severities: Mapping[str, int] | None = None) -> Message:
    """The report as it is sent; severities as `severity_of` takes them.

    Security: what strangers wrote is shown by `one_line`, and only ever in values.
    """
    event = event_name(report.event.kind)
    sheet = _Sheet()
    sheet.put("v", VERSION)
    sheet.put("event", event)
    sheet.put("instance", report.instance)
    sheet.put("outcome", report.outcome.value)
    sheet.put("cause", report.cause)
    if report.told:
        _put_told(sheet, report.told)
    else:
        sheet.put("seconds", f"{report.seconds:.3f}")
        sheet.put("findings", str(len(report.judged)))
    judged = worst_first(report.judged)
    sheet.put("rules", ",".join(dict.fromkeys(one.finding.rule for one in judged)), _LISTED_LIMIT)
    if judged:
        _put_finding(sheet, judged[0], "")
    _put_beside(sheet, report)
    for number, one in enumerate(judged[1:MOST_FINDINGS], start=2):
        _put_finding(sheet, one, f"_{number}")
    sheet.cut.extend(f"rule_{n}" for n in range(MOST_FINDINGS + 1, len(judged) + 1))
    if sheet.cut:
        sheet.put(CUT, cut_names(sheet.cut))
    return Message(
        time=report.event.time,
        severity=severity_of(report, severities),
        event=event,
        fields=tuple(sheet.fields),
        text=sentence(report),
    )


def lasting(fields: Fields) -> Fields:
    """The fields by which the same thing is known again when it is reported again."""
    return tuple(one for one in fields if one[0] not in VOLATILE)


class _Sheet:
    """Fields as they are put in, and which of them were shortened."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.cut: list[str] = []

    def put(self, name: str, text: str, limit: int = _LIMIT) -> None:
        """Put it in as one printable line; a text that is empty is left out."""
        if not text:
            return
        if len(text) * 4 > limit or not text.isprintable():
            # No character takes more than ten octets when it is shown.
            shown = one_line(text[: limit + 1], limit * 10 + 10)
            text = one_line(shown, limit)
            if text != shown:
                self.cut.append(name)
        self.fields.append((name, text))


def _put_finding(sheet: _Sheet, judged: Judged, number: str) -> None:
    finding = judged.finding
    fixed = judged.outcome is Outcome.FIXED
    now = written(finding) if fixed else ""
    observed = finding.depth is Depth.OBSERVED and not fixed
    for name, text in (
        ("rule", finding.rule),
        ("result", judged.outcome.value),
        ("severity", finding.severity.value),
        ("depth", finding.depth.value),
        ("service", finding.service or ""),
        ("parameter", finding.parameter),
        ("file", finding.file),
        ("where", finding.where),
        ("effective", finding.effective),
        ("wanted", finding.wanted),
        ("now", "(removed)" if now is None else now),
        ("reason", judged.reason),
        ("evidence", finding.why if observed else ""),
    ):
        sheet.put(name + number, text)


def _put_beside(sheet: _Sheet, report: Report) -> None:
    upgrade = report.upgrade
    sheet.put("problems", "; ".join(report.problems))
    sheet.put("proof", "; ".join(report.proof))
    if upgrade:
        sheet.put("packages", ", ".join(map(_package, upgrade.packages)))
        sheet.put("command", upgrade.command)


def _package(change: PackageChange) -> str:
    before, after = (one or "none" for one in (change.before, change.after))
    return f"{change.name} {before} -> {after}"


def _put_told(sheet: _Sheet, told: Iterable[tuple[str, str]]) -> None:
    """Named values that the report brings along; none of them takes the place of another field."""
    taken = {name for name, _ in sheet.fields}
    for name, text in told:
        if name not in taken and name in _TOLD:
            taken.add(name)
            sheet.put(name, text)


_TOLD = frozenset(one.name for one in (*OF_HEARTBEATS, *OF_DIGESTS))
