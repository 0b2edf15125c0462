"""Comparisons about cipher suites: what results, not what is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.core.model import Absent
from postkeel.postfix.cipher_keywords import KEYWORDS, in_class
from postkeel.postfix.ciphers import resulting_suites, strings_in_use
from postkeel.postfix.instance import Suite
from postkeel.postfix.levels import family_of
from postkeel.postfix.question import Assignment, Question, Verdict
from postkeel.postfix.tokens import tls_words

_SHOWN: Final = 3
_NOTHING: Final = "OpenSSL finds no cipher in what results, and every handshake fails"


def suites_exclude(question: Question) -> Verdict:
    """wanted: OpenSSL keywords; no suite of any of them may be offered."""
    held = tls_words(question.value)
    needed = [word for word in question.wanted if word not in held]
    family = family_of(question.parameter)
    for string in strings_in_use(question.instance, family, question.service):
        suites = resulting_suites(question.instance, string)
        if isinstance(suites, Absent):
            return suites if needed else None
        if not suites:
            return _NOTHING
        for word in needed:
            found = [suite.name for suite in suites if in_class(suite, word)]
            if found:
                return f"this offers {_some(found)}, which {word} stands for"
    return None


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def add_exclusions(question: Question) -> Iterator[Assignment]:
    """What the list lacks is added; what the administrator wrote stays."""
    if not question.values:
        return
    held = tls_words(question.value)
    more = [one for one in tls_words(question.values[0]) if one not in held]
    yield {question.parameter: ", ".join((*held, *more))}


def suites_not_weaker_than_default(question: Question) -> Verdict:
    """A redefined cipher list may leave suites out, but not the best; and add none."""
    default = question.instance.defaults.get(question.parameter, "")
    # Since 3.8 the lists low and export have no default, and no grade uses them.
    if not question.declared or not default or question.value == default:
        return None
    base = resulting_suites(question.instance, default)
    found = resulting_suites(question.instance, question.value)
    if isinstance(found, Absent):
        return found
    if isinstance(base, Absent):
        return base
    return _weaker(found, base)


def _weaker(found: tuple[Suite, ...], base: tuple[Suite, ...]) -> str | None:
    if not found:
        return _NOTHING
    names = {suite.name for suite in base}
    added = [suite.name for suite in found if suite.name not in names]
    if added:
        return f"this adds {_some(added)} to Postfix's own list"
    if any(map(_is_modern, base)) and not any(map(_is_modern, found)):
        return "this leaves none of the suites with forward secrecy and AEAD"
    return None


def _is_modern(suite: Suite) -> bool:
    """Before TLS 1.3, which no list can take away."""
    return (
        suite.key_exchange in ("ECDH", "DH")
        and suite.authentication != "None"
        and suite.mac == "AEAD"
    )


def cipher_names_known(question: Question) -> Verdict:
    """A misspelt word in an exclude list excludes nothing, and nothing says so."""
    suites = {suite.name for one in question.instance.suites.values() for suite in _found(one)}
    unknown = [
        part
        for word in tls_words(question.value)
        for part in word.split("+")
        if part not in KEYWORDS and part not in suites and not _looks_like_a_suite(part)
    ]
    if not unknown:
        return None
    # Heavy, and needed only here.
    from difflib import get_close_matches

    near = get_close_matches(unknown[0], sorted(KEYWORDS), n=1)
    guess = f"; is {near[0]} meant?" if near else ""
    return f"OpenSSL knows no ciphers by the name of {', '.join(unknown)}{guess}"


def _found(answer: tuple[Suite, ...] | Absent) -> tuple[Suite, ...]:
    return () if isinstance(answer, Absent) else answer


def _looks_like_a_suite(word: str) -> bool:
    return "-" in word or word.startswith("TLS_")
