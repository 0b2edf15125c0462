"""The agent's last probe and what it counted, as text and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.cli.certificates_json import stamp
from postkeel.cli.charts import bar
from postkeel.cli.headers_records import Counted, LastProbe, Recorded, SeenTarget
from postkeel.cli.headers_wording import IN_A_WORD, STYLES, duration
from postkeel.cli.text_page import Page
from postkeel.cli.wording import counted, minute, percent
from postkeel.headers.values import Verdict

Data = dict[str, object]

_MOST: Final = 20
_BAR: Final = 20
_WIDTHS: Final = (44, -10, -7)
_HOP_WIDTHS: Final = (9, 10, 12, 16, -10, -7)
_PROBE_WIDTHS: Final = (40, 15, -8, -8)


def lines(page: Page, recorded: Recorded) -> Iterator[str]:
    """For a person, from the agent's records."""
    yield from page.sentences(f"from the agent's history ({recorded.place})", indent="")
    for one in recorded.last:
        yield ""
        yield from _last(page, one)
    span = f"in the last {counted(recorded.days, 'day')}"
    if recorded.probes:
        yield ""
        yield f"{counted(recorded.probes.total(), 'probe')} {span}"
        yield from _probes(page, recorded)
    if recorded.messages:
        yield ""
        yield f"{counted(recorded.messages.total(), 'message')} of the mailboxes sampled {span}"
        yield from _messages(page, recorded.messages)
        yield from _hops(page, recorded.hops)


def _last(page: Page, last: LastProbe) -> Iterator[str]:
    when = f"{minute(last.time)} UTC, {last.seconds:.1f} s"
    yield from page.sentences(f"{last.instance}: last probe {when}", indent="")
    if last.problem:
        yield from _painted(page, "error", last.problem)
    for one in last.targets:
        yield from _target(page, one)
    if last.late:
        longest = duration(max(last.late))
        told = f"{counted(len(last.late), 'earlier probe')} came only now, up to {longest} late"
        yield from _painted(page, "warning", told)
    if last.left:
        told = f"{counted(last.left, 'probe')} could not be removed from the mailbox"
        yield from _painted(page, "warning", told)
    if last.others:
        yield from page.sentences(f"{counted(last.others, 'other message')} in the mailbox")


def _painted(page: Page, style: str, text: str) -> Iterator[str]:
    yield from (page.paint(style, one) for one in page.sentences(text))


def _target(page: Page, one: SeenTarget) -> Iterator[str]:
    came = f"in {one.seconds:.2f} s" if not one.stage else f"not past {one.stage}"
    told = f"{one.target}: {one.outcome}, {came}"
    yield from _painted(page, "good" if one.ok else "error", told)
    if one.problem:
        yield from page.sentences(one.problem, indent="    ")
    for name, said in (("handshake", one.handshake), ("header", one.header), ("log", one.log)):
        if said:
            yield from page.sentences(f"{name:<9}  {said}", indent="    ")


def _probes(page: Page, recorded: Recorded) -> Iterator[str]:
    names = ("service", "outcome", "probes", "mean")
    yield page.header(*zip(names, _PROBE_WIDTHS, strict=True))
    for key, number in recorded.probes.most_common(_MOST):
        service, outcome = key
        mean = recorded.milliseconds[key] / number / 1000 if number else 0
        cells = (service or "-", outcome, f"{number:,}", f"{mean:.2f} s" if mean else "-")
        yield page.row(*zip(cells, _PROBE_WIDTHS, strict=True))
    yield from page.rest(len(recorded.probes) - _MOST, "kinds")


def _messages(page: Page, messages: Counted) -> Iterator[str]:
    whole = messages.total()
    yield page.header(*zip(("came to your hosts", "messages", "share"), _WIDTHS, strict=True))
    for (word,), number in messages.most_common(_MOST):
        verdict = _verdict(word)
        name = IN_A_WORD[verdict] if verdict else word or "not known: no line of your hosts"
        cells = (name, f"{number:,}", percent(number, whole))
        drawn = bar(number / whole if whole else 0, _BAR, blocks=page.blocks)
        style = STYLES[verdict] if verdict else "warning"
        yield page.row(*zip(cells, _WIDTHS, strict=True), last=drawn, style=style)


def _verdict(word: str) -> Verdict | None:
    return next((one for one in Verdict if one.value == word), None)


def _hops(page: Page, hops: Counted) -> Iterator[str]:
    whole = hops.total()
    names = ("believed", "how", "with", "server", "hops", "share")
    yield page.header(*zip(names, _HOP_WIDTHS, strict=True))
    for (believed, word, protocol, mta), number in hops.most_common(_MOST):
        verdict = _verdict(word)
        how = IN_A_WORD[verdict] if verdict else word
        share = percent(number, whole)
        cells = (believed, how, protocol or "-", mta or "-", f"{number:,}", share)
        style = STYLES[verdict] if verdict and believed == "yes" else "dim"
        yield page.row(*zip(cells, _HOP_WIDTHS, strict=True), style=style)
    yield from page.rest(len(hops) - _MOST, "kinds")


def document(recorded: Recorded) -> Data:
    """For a program. Its keys are contracts."""
    return {
        "history": recorded.place,
        "days": recorded.days,
        "last_probes": [_last_data(one) for one in recorded.last],
        "probes": [
            {
                "service": service,
                "outcome": outcome,
                "probes": number,
                "milliseconds": recorded.milliseconds[service, outcome],
            }
            for (service, outcome), number in sorted(recorded.probes.items())
        ],
        "sampled": [
            {"verdict": verdict, "messages": number}
            for (verdict,), number in sorted(recorded.messages.items())
        ],
        "hops": [
            {
                "believed": believed == "yes",
                "verdict": verdict,
                "protocol": protocol,
                "mta": mta,
                "hops": number,
            }
            for (believed, verdict, protocol, mta), number in sorted(recorded.hops.items())
        ],
    }


def _last_data(last: LastProbe) -> Data:
    return {
        "config_directory": last.instance,
        "time": stamp(last.time),
        "seconds": last.seconds,
        "ok": last.ok,
        "problem": last.problem,
        "late": list(last.late),
        "others": last.others,
        "left": last.left,
        "targets": [
            {
                "target": one.target,
                "ok": one.ok,
                "outcome": one.outcome,
                "stage": one.stage,
                "problem": one.problem,
                "seconds": one.seconds,
                "handshake": one.handshake,
                "header": one.header,
                "log": one.log,
            }
            for one in last.targets
        ],
    }
