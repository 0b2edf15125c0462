"""What a profile's rules demand of a connection, and whether a session meets it.

Rules are read by comparison and parameter, never by the profile's name. Of protocol
floors and levels what is *wanted* counts: the value is only written where less is
set. Exclusions count with what would be written too, for the harm of a missing
suite is "at most" anyway.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from postkeel.core.frozen import frozen
from postkeel.core.profile import Profile, ProfileRule
from postkeel.maillog.messages import group_name
from postkeel.maillog.values import NOT_LOGGED, Direction, Session
from postkeel.postfix.cipher_keywords import in_class
from postkeel.postfix.ciphers import GRADES
from postkeel.postfix.instance import Role, Suite, Version
from postkeel.postfix.levels import RANKS
from postkeel.postfix.protocols import PROTOCOLS, rank, resulting_protocols
from postkeel.postfix.tokens import tls_words

_ENCRYPT: Final = RANKS["encrypt"]
VERIFIED: Final = "Verified"
# What the cipher lists of these grades leave out; on OpenSSL 3 nothing but eNULL is left to take.
_BELOW_MEDIUM: Final = ("eNULL", "DES", "RC2")
_BELOW: Final[Mapping[str, tuple[str, ...]]] = {
    "medium": _BELOW_MEDIUM,
    "high": (*_BELOW_MEDIUM, "3DES", "RC4", "SEED", "IDEA"),
}
_GROUPS: Final = frozenset(("tls_eecdh_auto_curves", "tls_ffdhe_auto_groups"))
_DECISIVE: Final = re.compile(
    r"[a-z]+_tls_(?:security_level|(?:mandatory_)?(?:protocols|(?:exclude_)?ciphers))"
    r"|tls_eecdh_auto_curves|tls_ffdhe_auto_groups"
)
_KNOWN: Final[Mapping[str, Collection[str]]] = {
    "protocol-floor": PROTOCOLS,
    "level-at-least": RANKS,
    "grade-at-least": GRADES,
}
# dane is as strong as what the peer publishes in DNS, which no log shows.
STRENGTH: Final = RANKS | {"dane": RANKS["may"]}


@frozen
class Place:
    """Where TLS was spoken. families: whose parameters decide there. roles: whose rules.

    mandatory: TLS is a must there already, whatever the profile says, so a handshake
    that fails is the end of it.
    """

    families: tuple[str, ...]
    roles: frozenset[Role]
    mandatory: bool = False


_MX: Final = Place(families=("smtpd",), roles=frozenset({Role.MX}))
_SUBMISSION: Final = Place(families=("smtpd",), roles=frozenset({Role.SUBMISSION}), mandatory=True)
_SUBMISSIONS: Final = Place(
    families=("smtpd",), roles=frozenset({Role.SUBMISSIONS}), mandatory=True
)
# What tlsproxy and postscreen are not told, they take from smtpd's parameters.
_POSTSCREEN: Final = Place(
    families=("tlsproxy", "postscreen", "smtpd"),
    roles=frozenset({Role.TLSPROXY, Role.POSTSCREEN, Role.MX}),
)
_CLIENTS: Final = {
    (family, mandatory): Place(families=(family,), roles=frozenset({role}), mandatory=mandatory)
    for family, role in (("smtp", Role.SMTP_CLIENT), ("lmtp", Role.LMTP_CLIENT))
    for mandatory in (False, True)
}
CLIENT: Final = _CLIENTS["smtp", False]
CLIENT_WITH_POLICY: Final = _CLIENTS["smtp", True]


def place_of(name: str, session: Session) -> Place:
    """The place by the name that wrote the line ("postfix/submission/smtpd").

    Towards a server that was Verified a policy demands TLS already: Postfix says so of
    no other. An smtpd without a telling name is taken for that of port 25.
    """
    program = name.rpartition("/")[2]
    if session.direction is Direction.OUTBOUND:
        family = "lmtp" if program == "lmtp" else "smtp"
        return _CLIENTS[family, session.trust == VERIFIED]
    if program in ("tlsproxy", "postscreen"):
        return _POSTSCREEN
    if "submissions" in name or "smtps" in name:
        return _SUBMISSIONS
    return _SUBMISSION if "submission" in name else _MX


@frozen
class Bound:
    """One thing demanded, in the comparison's word, and the rule that demands it."""

    word: str
    rule: str = ""


@frozen
class Demand:
    """What a profile demands in one place; the weakest of all where it says nothing.

    mandatory: whether a handshake that fails is the end of it. excluded and below:
    OpenSSL keywords, taken out by name and by grade. dropped: newer protocols that the
    profile's own list switches off.
    """

    mandatory: bool
    level: Bound
    floor: Bound
    excluded: tuple[Bound, ...] = ()
    below: tuple[Bound, ...] = ()
    groups: tuple[Bound, ...] = ()
    dropped: frozenset[str] = frozenset()


def demand_on(place: Place, profile: Profile, version: Version) -> Demand:
    """All that the profile says about this place, for this version of Postfix."""
    rules = [one for one in profile.rules if one.postfix.includes(version) and _is_read(one)]
    nothing = Bound(word="none")
    level = max(_levels(rules, place), key=lambda one: STRENGTH[one.word], default=nothing)
    mandatory = place.mandatory or STRENGTH[level.word] >= _ENCRYPT
    kind = "tls_mandatory" if mandatory else "tls"
    floors = tuple(_about(rules, place, (f"{kind}_protocols",), "protocol-floor"))
    return Demand(
        mandatory=mandatory,
        level=level,
        floor=max(
            (Bound(word=one.wanted[0], rule=one.id) for one in floors),
            key=lambda one: rank(one.word),
            default=Bound(word=PROTOCOLS[0]),
        ),
        excluded=tuple(_excluded(rules, place, {"tls", kind}, version)),
        below=tuple(_below(rules, place, kind)),
        groups=tuple(_groups(rules)),
        dropped=frozenset(name for one in floors for name in _dropped(one, version)),
    )


def rules_not_read(profile: Profile, version: Version) -> Iterator[str]:
    """What the profile demands and no history answers, one sentence a rule."""
    for rule in profile.rules:
        decisive = [one for one in rule.parameters if _DECISIVE.fullmatch(one)]
        if not decisive or not rule.postfix.includes(version):
            continue
        if rule.comparison == "equals" or not _is_read(rule):
            yield f"What the rule {rule.id} demands ({', '.join(decisive)}) is not forecast."
        elif rule.comparison == "level-at-least" and rule.wanted[0].startswith("dane"):
            yield f"{rule.id} demands {rule.wanted[0]}: what peers publish in DNS is in no log."


def _is_read(rule: ProfileRule) -> bool:
    """A profile may hold a rule with a word that means nothing to its comparison."""
    known = _KNOWN.get(rule.comparison)
    return known is None or (bool(rule.wanted) and rule.wanted[0] in known)


def _about(
    rules: Iterable[ProfileRule], place: Place, endings: Iterable[str], *comparisons: str
) -> Iterator[ProfileRule]:
    """Rules on a parameter of this place. A rule on main.cf reaches every service that reads it."""
    names = {f"{family}_{ending}" for family in place.families for ending in endings}
    for rule in rules:
        reaches = rule.scope == "main.cf" or place.roles & set(rule.services)
        if rule.comparison in comparisons and reaches and names & set(rule.parameters):
            yield rule


def _levels(rules: list[ProfileRule], place: Place) -> Iterator[Bound]:
    for rule in _about(rules, place, ("tls_security_level",), "level-at-least"):
        yield Bound(word=rule.wanted[0], rule=rule.id)
    for rule in _about(rules, place, ("tls_wrappermode",), "yes"):
        yield Bound(word="encrypt", rule=rule.id)


def _excluded(
    rules: list[ProfileRule], place: Place, kinds: Iterable[str], version: Version
) -> Iterator[Bound]:
    endings = [f"{kind}_exclude_ciphers" for kind in kinds]
    for rule in _about(rules, place, endings, "suites-exclude", "includes"):
        for word in dict.fromkeys((*rule.wanted, *tls_words(rule.value(version) or ""))):
            yield Bound(word=word, rule=rule.id)


def _below(rules: list[ProfileRule], place: Place, kind: str) -> Iterator[Bound]:
    for rule in _about(rules, place, (f"{kind}_ciphers",), "grade-at-least"):
        for word in _BELOW.get(rule.wanted[0], ()):
            yield Bound(word=word, rule=rule.id)


def _groups(rules: Iterable[ProfileRule]) -> Iterator[Bound]:
    for rule in rules:
        if rule.comparison == "excludes" and not _GROUPS.isdisjoint(rule.parameters):
            for word in rule.wanted:
                yield Bound(word=_group(word), rule=rule.id)


def _group(name: str) -> str:
    return group_name(name, "").lower()


def _dropped(rule: ProfileRule, version: Version) -> Iterator[str]:
    text = rule.value(version)
    through = None if text is None else resulting_protocols(text, version)
    if through is not None:
        yield from (one for one in PROTOCOLS[rank(rule.wanted[0]) :] if one not in through)


@frozen
class Verdict:
    """Why a session would not have come about, by which rule, and how it would have ended.

    refused: with no mail at all, else most likely in clear text. certain: TLS would
    surely have failed; else the peer may have had something better to agree upon.
    """

    refused: bool
    reason: str
    rule: str
    certain: bool


@frozen
class Undecided:
    """A session that cannot be judged: why, as the beginning of a sentence."""

    about: str


def judge(
    demand: Demand, session: Session, suites: Mapping[str, Suite], newest: str
) -> Verdict | Undecided | None:
    """None when the session would have come about as it did.

    newest: the newest protocol that anybody spoke in this direction, which is proof that
    it is on offer: who spoke an older one can do no better.
    """
    demanded = STRENGTH[demand.level.word] >= _ENCRYPT
    if session.clear:
        why = "clear text where TLS is demanded"
        return _verdict(demand, why, demand.level.rule, certain=True) if demanded else None
    if session.protocol == NOT_LOGGED:
        return Undecided(about="TLS without a summary line counts as unaffected")
    if session.protocol not in PROTOCOLS:
        return Undecided(about=_not_known("protocol", session.protocol))
    floor = demand.floor
    if rank(session.protocol) < rank(floor.word):
        why = f"{session.protocol} is older than {floor.word}"
        return _verdict(demand, why, floor.rule, certain=rank(newest) >= rank(floor.word))
    if _authenticates(demand) and session.trust != VERIFIED and _outbound(session):
        why = f"{session.trust or 'no certificate seen'}, where {demand.level.word} is demanded"
        return _verdict(demand, why, demand.level.rule)
    return _by_cipher(demand, session, suites) or _by_group(demand, session)


def _not_known(kind: str, name: str) -> str:
    return f"The {kind} {name} is not known here, and its sessions count as unaffected"


def _verdict(demand: Demand, reason: str, rule: str, *, certain: bool = False) -> Verdict:
    return Verdict(refused=demand.mandatory, reason=reason, rule=rule, certain=certain)


def _authenticates(demand: Demand) -> bool:
    return STRENGTH[demand.level.word] > _ENCRYPT


def _outbound(session: Session) -> bool:
    return session.direction is Direction.OUTBOUND


def _by_cipher(
    demand: Demand, session: Session, suites: Mapping[str, Suite]
) -> Verdict | Undecided | None:
    """Cipher lists have no say over TLS 1.3."""
    if session.protocol == PROTOCOLS[-1] or not (demand.excluded or demand.below):
        return None
    suite = suites.get(session.cipher)
    if suite is None:
        return Undecided(about=_not_known("cipher", session.cipher))
    for bound in demand.excluded:
        if in_class(suite, bound.word):
            why = f"{session.cipher} is excluded ({bound.word})"
            return _verdict(demand, why, bound.rule)
    for bound in demand.below:
        if in_class(suite, bound.word):
            why = f"{session.cipher} is below the demanded grade ({bound.word})"
            return _verdict(demand, why, bound.rule)
    return None


def _by_group(demand: Demand, session: Session) -> Verdict | None:
    for bound in demand.groups:
        if session.key_exchange and _group(session.key_exchange) == bound.word:
            why = f"the key exchange {session.key_exchange} is excluded"
            return _verdict(demand, why, bound.rule)
    return None
