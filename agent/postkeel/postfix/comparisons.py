"""The comparisons that a profile's rules name: judged by meaning, not by text.

A value that is stricter than wanted is as wanted. Each judge takes a `Question`
and says nothing when all is well, else one sentence for an administrator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from postkeel.postfix.cipher_comparisons import (
    add_exclusions,
    cipher_names_known,
    suites_exclude,
    suites_not_weaker_than_default,
)
from postkeel.postfix.ciphers import GRADES, resulting_grade
from postkeel.postfix.expansion import expand
from postkeel.postfix.host_comparisons import (
    certificate_set,
    no_weak_policy,
    parameter_known,
    private_file,
    renegotiation_off,
)
from postkeel.postfix.levels import (
    RANKS,
    family_of,
    has_certificate,
    level_parameter,
    level_without_parameter,
    security_level,
)
from postkeel.postfix.protocols import (
    PROTOCOLS,
    list_from,
    oldest,
    rank,
    resulting_protocols,
)
from postkeel.postfix.question import Assignment, Comparison, Question, Verdict, write_value
from postkeel.postfix.tokens import tls_words

_LOG_NAMES: Final = {
    "none": 0,
    "routine": 1,
    "summary": 1,
    "untrusted": 1,
    "peercert": 1,
    "certmatch": 1,
    "cache": 1,
    "dane": 1,
}
_NOISY: Final = 2


def protocol_floor(question: Question) -> Verdict:
    """wanted: the oldest protocol to let through, then those that must not be dropped."""
    floor, *needed = question.wanted
    found = resulting_protocols(question.value, question.version)
    if found is None:
        return (
            f"Postfix {question.instance.version} rejects this protocol list and goes without TLS"
        )
    if not found:
        return "this list lets no protocol through"
    lowest = oldest(found)
    if lowest is not None and rank(lowest) < rank(floor):
        old = [one for one in PROTOCOLS[: rank(floor)] if one in found]
        return f"this lets {' and '.join(old)} through, older than {floor}"
    dropped = [one for one in needed if one not in found]
    if dropped:
        return f"this list drops {' and '.join(dropped)}"
    return None


def write_protocols(question: Question) -> Iterator[Assignment]:
    """Never lower than the floor that is there."""
    found = resulting_protocols(question.value, question.version) or frozenset()
    lowest = oldest(found)
    if lowest is not None and rank(lowest) > rank(question.wanted[0]):
        if question.values:
            yield {question.parameter: list_from(lowest, question.version)}
        return
    yield from write_value(question)


def protocol_strength(question: Question) -> int | None:
    lowest = oldest(resulting_protocols(question.value, question.version) or frozenset())
    return None if lowest is None else rank(lowest)


def level_at_least(question: Question) -> Verdict:
    """wanted: the lowest level that will do."""
    level = _level(question)
    if level is None:
        return f"{family_of(question.parameter)} does not start with this value"
    if RANKS[level] >= RANKS[question.wanted[0]]:
        return None
    sentence = f"the security level comes to {level!r}"
    if not _can_offer_tls(question):
        sentence += ", and there is no certificate to offer TLS with"
    return sentence


def level_at_most(question: Question) -> Verdict:
    """wanted: the highest level that will do."""
    level = _level(question)
    if level is None or RANKS[level] <= RANKS[question.wanted[0]]:
        return None
    return f"the security level comes to {level!r}, which turns clients without TLS away"


def write_level(question: Question) -> Iterator[Assignment]:
    """A server without certificate is left alone: it would offer a TLS that it cannot do."""
    if _can_offer_tls(question):
        yield from write_value(question)


def level_strength(question: Question) -> int | None:
    level = _level(question)
    return None if level is None else RANKS[level]


def _level(question: Question) -> str | None:
    return security_level(question.instance, family_of(question.parameter), question.service)


def _can_offer_tls(question: Question) -> bool:
    server = family_of(question.parameter) not in ("smtp", "lmtp")
    return not server or has_certificate(question.instance, question.service)


def auth_over_tls(question: Question) -> Verdict:
    """smtpd implies yes where it demands TLS anyhow."""
    level = security_level(question.instance, "smtpd", question.service)
    if question.value.lower() == "yes" or (level is not None and RANKS[level] >= RANKS["encrypt"]):
        return None
    return "a client may log in before the connection is encrypted"


def grade_at_least(question: Question) -> Verdict:
    """wanted: the lowest cipher grade that will do."""
    grade = resulting_grade(question.value, question.instance)
    if grade is None:
        return "this is no cipher grade, and Postfix refuses TLS with it"
    if GRADES.index(grade) >= GRADES.index(question.wanted[0]):
        return None
    return f"the cipher grade {grade!r} is below {question.wanted[0]!r}"


def grade_strength(question: Question) -> int | None:
    grade = resulting_grade(question.value, question.instance)
    return None if grade is None else GRADES.index(grade)


def includes(question: Question) -> Verdict:
    """wanted: words that the list must hold."""
    held = tls_words(question.value)
    missing = [one for one in question.wanted if one not in held]
    return f"{', '.join(missing)} not in the list" if missing else None


def excludes(question: Question) -> Verdict:
    """wanted: words that the list must not hold."""
    found = [one for one in tls_words(question.value) if one.lower() in question.wanted]
    return f"{', '.join(found)} in the list" if found else None


def take_words_out(question: Question) -> Iterator[Assignment]:
    """The administrator's other words stay."""
    left = [one for one in tls_words(question.value) if one.lower() not in question.wanted]
    if question.values:
        yield {question.parameter: ", ".join(left) or None}
        yield {question.parameter: ", ".join(left)}


def equals(question: Question) -> Verdict:
    """wanted: the text, blanks apart; its `$name` is what it is in the value."""
    wanted = " ".join(question.wanted)
    meant = expand(wanted, lambda name: question.instance.effective(name, question.service).value)
    return None if question.value.split() == meant.split() else f"this is not {wanted!r}"


def unset(question: Question) -> Verdict:
    """Not set, or set to what it is by default."""
    default = question.instance.defaults.get(question.parameter, "")
    if not question.declared or question.value in ("", default):
        return None
    return "this is better left unset"


def take_out(question: Question) -> Iterator[Assignment]:
    """Removed where the profile gives a value at all; without one the rule only reports."""
    if question.values:
        yield {question.parameter: None}
        yield {question.parameter: question.values[0]}


def obsolete(question: Question) -> Verdict:
    """Set at all, whatever the value: newer Postfix warns of the mere name."""
    if not question.declared:
        return None
    return "this parameter is outdated; Postfix warns of it since 3.9 and will drop it"


def succeed(question: Question) -> Iterator[Assignment]:
    """Out with the old name; the level that it stood for is kept under the new one."""
    if not question.values:
        return
    family = family_of(question.parameter)
    successor = level_parameter(family)
    old_way = question.parameter.endswith(("_use_tls", "_enforce_tls", "_tls_enforce_peername"))
    level = level_without_parameter(question.instance, family, question.service)
    modern = question.instance.effective(successor, question.service).value
    if old_way and not modern and level != "none":
        yield {question.parameter: None, successor: level}
    yield {question.parameter: None}


def is_set(question: Question) -> Verdict:
    """Not empty; a table must be of a type that this Postfix has."""
    if not question.value:
        return "this is not set"
    kind = question.value.split(":", 1)[0]
    types = question.instance.map_types
    if ":" in question.value and types and kind not in types:
        return f"this Postfix has no table type {kind!r}"
    return None


def yes(question: Question) -> Verdict:
    return None if question.value.lower() == "yes" else "this is not 'yes'"


def no(question: Question) -> Verdict:
    return None if question.value.lower() == "no" else "this is not 'no'"


def log_level(question: Question) -> Verdict:
    """wanted: the level; less hides TLS from the log, more floods it."""
    known = [_log_number(word) for word in tls_words(question.value)]
    wanted = int(question.wanted[0])
    if max(known, default=0) >= _NOISY > wanted:
        return "this logs more than Postfix advises for other than debugging"
    if max(known, default=0) < wanted:
        return "TLS connections are not logged"
    return None


def _log_number(word: str) -> int:
    if word.isascii() and word.isdigit():
        return int(word)
    return _LOG_NAMES.get(word.lower(), _NOISY)


_INGREDIENTS: Final = (
    "{family}_tls_ciphers",
    "{family}_tls_mandatory_ciphers",
    "{family}_tls_mandatory_exclude_ciphers",
    "{family}_tls_security_level",
    "tls_high_cipherlist",
    "tls_medium_cipherlist",
    "tls_low_cipherlist",
    "tls_export_cipherlist",
    "tls_null_cipherlist",
)
_LEVEL_INGREDIENTS: Final = ("{family}_use_tls", "{family}_enforce_tls", "smtpd_tls_wrappermode")

COMPARISONS: Final[Mapping[str, Comparison]] = {
    "protocol-floor": Comparison(
        judge=protocol_floor, mend=write_protocols, strength=protocol_strength
    ),
    "level-at-least": Comparison(
        judge=level_at_least, mend=write_level, strength=level_strength, also=_LEVEL_INGREDIENTS
    ),
    "level-at-most": Comparison(judge=level_at_most, also=_LEVEL_INGREDIENTS),
    "auth-over-tls": Comparison(judge=auth_over_tls),
    "grade-at-least": Comparison(judge=grade_at_least, strength=grade_strength),
    "suites-exclude": Comparison(judge=suites_exclude, mend=add_exclusions, also=_INGREDIENTS),
    "not-weaker-than-default": Comparison(
        judge=suites_not_weaker_than_default,
        mend=take_out,
        states="no weaker than Postfix's own list",
    ),
    "known-cipher-names": Comparison(judge=cipher_names_known, states="names that OpenSSL knows"),
    "includes": Comparison(judge=includes, mend=add_exclusions),
    "excludes": Comparison(
        judge=excludes, mend=take_words_out, states="a list without these words"
    ),
    "equals": Comparison(judge=equals),
    "set": Comparison(judge=is_set),
    "unset": Comparison(judge=unset, mend=take_out, states="unset"),
    "obsolete": Comparison(
        judge=obsolete, mend=succeed, strength=level_strength, states="unset", inherits=False
    ),
    "yes": Comparison(judge=yes),
    "no": Comparison(judge=no),
    "log-level": Comparison(judge=log_level),
    "renegotiation-off": Comparison(judge=renegotiation_off, mend=add_exclusions),
    "certificate-set": Comparison(judge=certificate_set, states="a file with key and certificate"),
    "private-file": Comparison(
        judge=private_file, states="a file that only its owner can change and others cannot read"
    ),
    "no-weak-policy": Comparison(judge=no_weak_policy, states="no entry weaker than the rest"),
    "known-parameter": Comparison(judge=parameter_known, states="a name that Postfix knows"),
}
"""Every comparison by the name that profiles give it."""
