"""`postkeel certificates` for people: a row for each, then in full what needs somebody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from postkeel.certificates.values import Table
from postkeel.cli.certificates_seen import Entry, Look, entries, general, is_open
from postkeel.cli.certificates_wording import (
    details,
    key_of,
    known_as,
    left,
    listed,
    names_of,
    served_in_a_word,
    share_left,
    used_by,
)
from postkeel.cli.charts import bar, columns_of, cut, fitted
from postkeel.cli.text_page import WIDTH, Page
from postkeel.cli.wording import counted
from postkeel.contract import Judged, Outcome, Severity
from postkeel.core.text import one_line

_FEW: Final = 4
_BAR: Final = 10
_CERTIFICATE: Final = 26
_LABEL: Final = 9
_WELL: Final = "all as wanted"
_UNJUDGED: Final = "not judged"
_STAPLING: Final = (
    "OCSP stapling: Postfix has none, and needs none: mail servers do not ask for it, and Let's"
    " Encrypt ended OCSP in 2025."
)


def lines(page: Page, look: Look, *, verbose: bool) -> Iterator[str]:
    """The page of one instance, line by line, none wider than it."""
    shown = entries(look)
    yield from _headline(page, look, shown)
    if shown:
        yield ""
        yield _header(page)
        yield from (_row(page, one, look) for one in shown)
    others = known_as(list(look.certificates.loaded.values()))
    in_full = [one for one in shown if verbose or len(shown) <= _FEW or one.worst]
    for one in in_full:
        yield from _in_full(page, one, look, others, verbose=verbose)
    apart = general(look, shown)
    if apart:
        yield ""
        for judged in apart:
            yield from _finding(page, judged)
    yield from _foot(page, look, shown)
    if not verbose and (len(in_full) < len(shown) or any(map(_is_cut, shown))):
        yield from _folded(page, "`postkeel certificates --verbose` shows everything of each.")


def _is_cut(entry: Entry) -> bool:
    return len(names_of(entry)) > 6  # noqa: PLR2004  as many as are listed


def _headline(page: Page, look: Look, shown: Sequence[Entry]) -> Iterator[str]:
    """How many there are, and how it stands."""
    offered = sum(one.offered for one in shown)
    used = len(shown) - offered
    word = "certificate"
    number = counted(used, word) if used else f"no {word} is {'given' if look.given else 'used'}"
    more = f", {counted(offered, 'other')} could be" if offered else ""
    verdict = _verdict(look, shown)
    *before, last = _folded(page, f"{look.directory}:")
    told = f"{number}{more}; {verdict}"
    yield from before
    if columns_of(last) + 1 + columns_of(told) > WIDTH:
        yield last
    else:
        told = f"{last} {told}"
    style = {_WELL: "good", _UNJUDGED: "warning"}.get(verdict, "error")
    yield told.removesuffix(verdict) + page.paint(style, verdict)


def _verdict(look: Look, shown: Sequence[Entry]) -> str:
    needing = sum(one.worst is not None for one in shown)
    apart = sum(map(is_open, general(look, shown)))
    said = []
    if needing:
        said.append(f"{needing:,} need{'s' if needing == 1 else ''} attention")
    if apart:
        said.append(counted(apart, "finding") + (" besides" if needing else ""))
    return ", ".join(said) or (_UNJUDGED if look.unjudged else _WELL)


def _header(page: Page) -> str:
    cells = (("left of its lifetime", _BAR + 10), ("certificate", _CERTIFICATE), ("key", 8))
    return page.header(*cells, ("used by", 14), ("served", 6))


def _row(page: Page, entry: Entry, look: Look) -> str:
    leaf, blocks, worst = entry.leaf, page.blocks, entry.worst
    share = share_left(leaf, look.at) if leaf else 0.0
    drawn = fitted(bar(share, _BAR, blocks=blocks), _BAR, blocks=blocks)
    length = fitted(left(leaf, look.at), 8, blocks=blocks, right=True)
    served = served_in_a_word(entry, look)
    cells = (
        fitted(_short_names(page, names_of(entry), _CERTIFICATE), _CERTIFICATE, blocks=blocks),
        fitted(key_of(leaf), 8, blocks=blocks),
        fitted(used_by(entry, look), 14, blocks=blocks),
        page.paint("error", served) if served == "no" else served,
    )
    mark = page.paint(worst.value, "!") if worst else " "
    return f"{mark} {page.paint(_style(entry), f'{drawn} {length}')}  {' '.join(cells)}"


def _style(entry: Entry) -> str:
    """By what was found about its lifetime: the thresholds are those of the one who judges."""
    found = {
        one.finding.severity
        for one in entry.judged
        if one.finding.rule == "certificate-lifetime" and one.outcome is not Outcome.WAIVED
    }
    return next((one.value for one in Severity if one in found), "good")


def _short_names(page: Page, names: Sequence[str], width: int) -> str:
    """ "mx.example.org and 3 more", or less of it."""
    if len(names) == 1:
        name = names[0]
        if name.startswith("/") and len(name) > width:  # of a path the end tells the most
            name = "/".join(name.split("/")[-2:])
        return cut(name, width, blocks=page.blocks)
    tail = f" and {len(names) - 1} more"
    if len(names[0]) + len(tail) > width:
        tail = f" +{len(names) - 1}"
    return cut(names[0], width - len(tail), blocks=page.blocks) + tail


def _in_full(
    page: Page, entry: Entry, look: Look, others: Mapping[str, str], *, verbose: bool
) -> Iterator[str]:
    yield ""
    style = entry.worst.value if entry.worst else "good"
    yield page.paint(style, _short_names(page, names_of(entry), WIDTH))
    told = details(entry, look, others, None) if verbose else details(entry, look, others)
    before = ""
    for label, text in told:
        yield from _field(page, "" if label == before else label, text)
        before = label
    for judged in entry.judged:
        yield from _finding(page, judged)
    for fault in entry.untold:
        place = f"{fault.file}:{fault.line}" if fault.line else fault.file
        help_ = f"; {fault.help}" if fault.help else ""
        yield from _field(page, "fault", f"{place}: {fault.what}{help_}", style="warning")


def _finding(page: Page, judged: Judged) -> Iterator[str]:
    """What is wrong and where, what is wanted, why, and what corrects it."""
    finding = judged.finding
    waived = judged.outcome is Outcome.WAIVED
    style = "dim" if waived else finding.severity.value
    note = f", waived: {judged.reason}" if waived else ""
    yield from _field(page, finding.severity.value, f"{finding.rule}{note}", style=style)
    where = "" if finding.where in ("", "default") else f" at {finding.where}"
    service = f"{finding.service.removesuffix('/inet')}: " if finding.service else ""
    named = f" ({finding.parameter}{where})" if finding.parameter else ""
    yield from _field(page, "", f"{service}{finding.effective}{named}")
    if finding.wanted:
        yield from _field(page, "", f"wanted: {finding.wanted}")
    yield from _field(page, "", finding.why, style="dim")
    if finding.remedy and not waived:
        yield from _field(page, "", "`postkeel enforce` corrects it, as the agent does.")


def _foot(page: Page, look: Look, shown: Sequence[Entry]) -> Iterator[str]:
    told = list(_notes(look, shown))
    if told:
        yield ""
    for one in told:
        yield from _folded(page, one)


def _notes(look: Look, shown: Sequence[Entry]) -> Iterator[str]:
    """What is to be known of all of them together."""
    for table in look.certificates.tables.values():
        yield _table_text(table)
    file, number = look.certificates.roots
    if shown and file:
        yield f"Trusted roots: {number:,} of {file}" if number else f"No trusted roots in {file}"
    if look.tlsa and look.tlsa.resolver:
        yield f"TLSA records as {look.tlsa.resolver} says"
    if look.tlsa and look.tlsa.problem:
        yield f"TLSA records that are not known: {look.tlsa.problem}"
    if shown and not look.tlsa:
        yield "Handshakes and DNS were left out (--offline)."
    if look.served and look.served.problem and shown:
        yield f"Served: {look.served.problem}"
    if look.closed:
        yield f"Not readable for you, so run this as root: {listed(sorted(look.closed))}"
    if look.unjudged:
        yield f"Nothing is judged: {look.unjudged}"
    if shown and not look.given:
        yield _STAPLING
    yield from (f"Problem: {one}" for one in look.problems)


def _table_text(table: Table) -> str:
    kind = f", indexed, made of {table.source or 'an unknown source'}" if table.indexed else ""
    problem = f": {table.problem}" if table.problem else ""
    return f"SNI table {table.name}{kind}{problem}"


def _field(page: Page, label: str, text: str, style: str = "") -> Iterator[str]:
    """A label of at most eight letters, and the sentence beside it."""
    first = fitted(label, _LABEL, blocks=page.blocks)
    for line in _folded(page, text, WIDTH - _LABEL - 2):
        shown = page.paint(style, line) if style == "dim" else line
        yield f"  {page.paint(style, first) if style and label else first}{shown}".rstrip()
        first = " " * _LABEL


def _folded(page: Page, text: str, width: int = WIDTH) -> Iterator[str]:
    """Any text as lines of this width; what is longer than a line is broken, never cut."""
    line = ""
    for word in _words(page, text, width):
        if line and columns_of(line) + 1 + columns_of(word) > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield line


def _words(page: Page, text: str, width: int) -> Iterator[str]:
    for word in one_line(text, 4096).split():
        shown = word if page.blocks else word.encode("ascii", "backslashreplace").decode()
        while columns_of(shown) > width:
            piece = shown[:width]
            while columns_of(piece) > width:
                piece = piece[:-1]
            yield piece
            shown = shown[len(piece) :]
        if shown:
            yield shown
