"""What is wrong with a credential, and how complaints become findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from postkeel.certificates.values import Use
from postkeel.contract import (
    Change,
    Depth,
    Finding,
    Reload,
    Rule,
    Severity,
    frozen,
)
from postkeel_plugins.certificate_watcher.wording import parameter_file

_ORDER: Final = tuple(Severity)
_MOST_SAID: Final = 4


@frozen
class Complaint:
    """One thing that is wrong.

    says: a sentence without its full stop. wrong: it must not go live in the place of something
    right. breaks: Postfix cannot load it. forbids: see `Finding.forbids_reload`.
    """

    rule: Rule
    use: Use
    severity: Severity
    says: str
    effective: str
    wanted: str
    file: str
    depth: Depth = Depth.EFFECTIVE
    remedy: tuple[Change, ...] = ()
    wrong: bool = False
    breaks: bool = False
    forbids: bool = False


def findings(complaints: Iterable[Complaint]) -> Iterator[Finding]:
    """One finding for each subject: the worst of what is said of it, and all of it in words."""
    groups: dict[tuple[str, str | None, str, str], list[Complaint]] = {}
    for one in complaints:
        file = parameter_file(one.file)
        subject = (one.rule.id, _service(one.use), one.use.parameter, file)
        groups.setdefault(subject, []).append(one)
    for (_, service, _, file), group in groups.items():
        yield _finding(sorted(group, key=lambda one: _ORDER.index(one.severity)), service, file)


def _finding(group: Sequence[Complaint], service: str | None, file: str) -> Finding:
    worst = group[0]
    return Finding(
        rule=worst.rule.id,
        severity=worst.severity,
        depth=worst.depth,
        parameter=worst.use.parameter,
        where=worst.use.where,
        effective=worst.effective,
        wanted=worst.wanted,
        why=f"{_said(group)}. {worst.rule.why}",
        service=service,
        remedy=_remedy(group),
        file=file,
        forbids_reload=any(one.forbids for one in group),
    )


def _said(group: Sequence[Complaint]) -> str:
    said = [*dict.fromkeys(one.says for one in group)]
    more = f". And {len(said) - _MOST_SAID} more of this kind" if len(said) > _MOST_SAID else ""
    return ". ".join(said[:_MOST_SAID]) + more


def _remedy(group: Sequence[Complaint]) -> tuple[Change, ...]:
    """All changes, each once, and one reload after them."""
    changes = dict.fromkeys(change for one in group for change in one.remedy)
    reload = [one for one in changes if isinstance(one, Reload)]
    return (*(one for one in changes if one not in reload), *reload)


def _service(use: Use) -> str | None:
    """The one service that master.cf gives it to; None for main.cf as a whole."""
    own = use.where.startswith("master.cf:") and len(use.services) == 1
    return use.services[0] if own else None
