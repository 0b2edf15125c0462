"""Which entries of smtp_tls_policy_maps history supports: suggested, never written.

What Postfix's TLS_README lets a log say. *Untrusted* and *Anonymous*: encrypted with
somebody. *Trusted*: the chain is good, but below `verify` no name is compared, so a
matching one is not known. These support `encrypt`. *Verified* is said only where a policy
that authenticates is in force already; an entry can make it last. Where a domain is
Verified at times, `encrypt` would be less than what is there (dane, mostly): nothing is
suggested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest
from typing import Final

from postkeel.maillog.forecast_values import PolicySuggestion
from postkeel.maillog.values import (
    OTHERS,
    DestinationCount,
    Direction,
    NoticeKind,
    Session,
    Statistics,
)
from postkeel.postfix.levels import RANKS

LEAST_MAILS: Final = 20
LEAST_DAYS: Final = 3
MOST_SUGGESTIONS: Final = 1000
_MOST_RELAYS: Final = 3
_DOMAINS_OF_A_RELAYHOST: Final = 3
_DAY: Final = 86_400
_NAME: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]+"
)
_NEXT_HOP: Final = "The key is the next hop: use it where no transport or relayhost says otherwise."
_ENCRYPT: Final = (
    "Every mail went over TLS. Certificates were not compared with a name, so history"
    " supports encrypt, and no more."
)
_TRUSTED: Final = (
    "Every mail went over TLS and every chain was good. At this level Postfix compares no"
    " name, so history supports encrypt, and no more."
)
_SECURE: Final = (
    "Every mail went to a server that was Verified, so a policy that authenticates is in force;"
    " this entry makes it last."
)
_CAUTION: Final = (
    "Verified may come from dane: then leave it, for this entry asks certificate authorities"
    " instead of DNSSEC. Make sure that the names it matches are theirs alone."
)
_RELAYHOST: Final = (
    "All mail went by one relay, most likely a relayhost. Policy table entries would have that"
    " next hop as their key, not the recipients' domains: none is suggested."
)
_FOLDED: Final = (
    "Failures of peers that came seldom are not kept by name, so no destination is known to be"
    " without failure: no policy table entry is suggested."
)
_UNTIMED: Final = (
    "So many destinations are in the log that their days were not kept apart: no policy table"
    " entry is suggested. Ask the agent's history, or fewer days."
)
# A content filter, which sees the mail before its destination does.
_LOOPBACK: Final = ("localhost", "[127.", "[::1]")


class _History:
    """What is known of one recipient's domain."""

    def __init__(self) -> None:
        self.mails = 0
        self.days: set[int] = set()
        self.relays: set[str] = set()
        self.trusts: set[str] = set()
        self.holds = True

    def add(self, count: DestinationCount, *, holds: bool) -> None:
        self.mails += count.mails
        self.days.add(count.hour // _DAY)
        self.relays.add(count.relay)
        self.trusts.add(count.session.trust)
        self.holds = self.holds and holds


def suggest(
    statistics: Statistics, level: str, holds: Callable[[Session], bool]
) -> tuple[tuple[PolicySuggestion, ...], str]:
    """Entries, most mails first, and what stands against suggesting any, or "".

    level: that the profile demands of every destination; no entry repeats it. holds: whether a
    session would have come about where TLS is mandatory. A domain needs `LEAST_MAILS`
    mails on `LEAST_DAYS` days, all over TLS that holds, and no failure of its servers.
    """
    histories: dict[str, _History] = {}
    for count in statistics.destinations:
        if not count.relay.startswith(_LOOPBACK):
            history = histories.setdefault(count.domain, _History())
            history.add(count, holds=not count.session.clear and holds(count.session))
    relays = {one for history in histories.values() for one in history.relays}
    failing = set(_failing(statistics))
    if len(relays) == 1 and len(histories) >= _DOMAINS_OF_A_RELAYHOST:
        return (), _RELAYHOST
    if OTHERS in failing:
        return (), _FOLDED
    if _days_were_folded(statistics):
        return (), _UNTIMED
    found = (
        _suggestion(domain, history)
        for domain, history in histories.items()
        if _is_steady(history) and _NAME.fullmatch(domain) and not history.relays & failing
    )
    fitting = (one for one in found if one is not None and RANKS[one.level] > RANKS[level])
    return tuple(nsmallest(MOST_SUGGESTIONS, fitting, key=lambda one: (-one.mails, one.domain))), ""


def _failing(statistics: Statistics) -> Iterator[str]:
    """Relays that failed once, or did not offer TLS where it is demanded."""
    for failure in statistics.failures:
        if failure.direction is Direction.OUTBOUND:
            yield failure.peer
    for notice in statistics.notices:
        if notice.kind is NoticeKind.TLS_REQUIRED:
            yield notice.peer


def _days_were_folded(statistics: Statistics) -> bool:
    """Whether the counts of a long log are those of one moment: a tally folds when it is full."""
    first, last = statistics.first, statistics.last
    if first is None or last is None or (last - first).days < LEAST_DAYS:
        return False
    return len({one.hour for one in statistics.destinations}) == 1


def _is_steady(history: _History) -> bool:
    return (
        history.holds
        and history.mails >= LEAST_MAILS
        and len(history.days) >= LEAST_DAYS
        and OTHERS not in history.relays
    )


def _suggestion(domain: str, history: _History) -> PolicySuggestion | None:
    relays = tuple(sorted(history.relays))
    if "Verified" not in history.trusts:
        why = _TRUSTED if history.trusts == {"Trusted"} else _ENCRYPT
        level, entry, caution = "encrypt", f"{domain} encrypt", _NEXT_HOP
    elif history.trusts == {"Verified"} and _are_few_names(relays):
        level, entry = "secure", _secure(domain, relays)
        why, caution = _SECURE, f"{_CAUTION} {_NEXT_HOP}"
    else:
        return None
    return PolicySuggestion(
        domain=domain,
        level=level,
        entry=entry,
        why=why,
        caution=caution,
        mails=history.mails,
        days=len(history.days),
        relays=relays,
    )


def _are_few_names(relays: tuple[str, ...]) -> bool:
    return len(relays) <= _MOST_RELAYS and all(_NAME.fullmatch(one) for one in relays)


def _secure(domain: str, relays: Iterable[str]) -> str:
    """By default the certificate must be for the domain or a name below it."""
    if tuple(relays) == (domain,):
        return f"{domain} secure"
    return f"{domain} secure match={':'.join(f'{one}:.{one}' for one in relays)}"
