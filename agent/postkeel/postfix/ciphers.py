"""From grades and exclusions to the OpenSSL cipher string, and what a suite is.

Postfix takes the list of the grade and appends ":!X" for each excluded X. The
suites of such a string are known from OpenSSL (`Instance.suites`); what one
more exclusion would leave is worked out here, because ":!X" only ever takes
suites away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from postkeel.core.model import Absent
from postkeel.postfix.cipher_keywords import in_class
from postkeel.postfix.instance import Instance, Role, Service, Suite, parse_version
from postkeel.postfix.levels import security_level, switched_on
from postkeel.postfix.tokens import tls_words

GRADES: Final = ("null", "export", "low", "medium", "high")
"""Weakest first, as Postfix names them."""

_SERVERS: Final = (Role.MX, Role.SUBMISSION, Role.SUBMISSIONS, Role.OTHER_SMTPD)
_CLIENT_ROLES: Final = {Role.SMTP_CLIENT: "smtp", Role.LMTP_CLIENT: "lmtp"}
_UNITED_GRADES_SINCE: Final = (3, 8)
_AUTHENTICATED: Final = ("fingerprint", "dane", "dane-only", "verify", "secure")


def resulting_grade(text: str, instance: Instance) -> str | None:
    """The grade that counts; None when Postfix does not know it and refuses TLS."""
    grade = text.lower()
    if grade in ("export", "low") and parse_version(instance.version) >= _UNITED_GRADES_SINCE:
        return "medium"
    return grade if grade in GRADES else None


def cipher_string(
    instance: Instance, family: str, service: Service | None, level: str
) -> str | None:
    """What Postfix hands to OpenSSL at this level; None when it refuses instead.

    family: "smtpd", "smtp", "lmtp" or "tlsproxy" (which serves postscreen).
    """
    start = "tlsproxy_tls" if family == "tlsproxy" else f"{family}_tls"
    mandatory = "mandatory_" if level != "may" else ""
    grade = instance.effective(f"{start}_{mandatory}ciphers", service).value
    known = resulting_grade(grade, instance)
    if known is None:
        return None
    words = list(tls_words(instance.effective(f"{start}_exclude_ciphers", service).value))
    if mandatory:
        more = instance.effective(f"{start}_mandatory_exclude_ciphers", service).value
        words += tls_words(more)
    words += _implied(instance, family, service, level)
    if any(word[0] in "!+-@" for word in words):
        return None
    base = instance.effective(f"tls_{known}_cipherlist", service).value
    return base + "".join(f":!{word}" for word in words)


def _implied(
    instance: Instance, family: str, service: Service | None, level: str
) -> tuple[str, ...]:
    """What Postfix excludes by itself."""
    if family in _CLIENT_ROLES.values():
        if level == "may":
            return ()
        return ("aNULL",) if level in _AUTHENTICATED else ("eNULL",)
    start = "tlsproxy_tls" if family == "tlsproxy" else f"{family}_tls"
    asks = switched_on(instance, f"{start}_ask_ccert", service) or (
        level != "may" and switched_on(instance, f"{start}_req_ccert", service)
    )
    return ("aNULL",) if asks else ()


def levels_in_use(instance: Instance, family: str, service: Service | None) -> tuple[str, ...]:
    """The levels at which a family may meet a peer.

    A server has one. A client's may differ by destination, so all count; so do
    main.cf's own, which are there for any service.
    """
    if family in _CLIENT_ROLES.values():
        return ("may", "encrypt", "verify")
    if service is None:
        return ("may", "encrypt")
    level = security_level(instance, family, service)
    return (level,) if level in ("may", "encrypt") else ()


def strings_in_use(instance: Instance, family: str, service: Service | None) -> tuple[str, ...]:
    """The cipher strings of one family for one service, or for main.cf as a whole.

    A service without TLS has those that it would have with it.
    """
    levels = levels_in_use(instance, family, service) or ("may",)
    found = (cipher_string(instance, family, service, level) for level in levels)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def all_cipher_strings(instance: Instance) -> tuple[str, ...]:
    """Every cipher string whose suites a judgement of this instance may ask for."""
    return tuple(dict.fromkeys(one for one in _all(instance) if one))


def _all(instance: Instance) -> Iterator[str]:
    for family in ("smtpd", "smtp", "lmtp", "tlsproxy"):
        yield from strings_in_use(instance, family, None)
    yield from _base_lists(instance, None)
    yield from (instance.defaults.get(f"tls_{grade}_cipherlist", "") for grade in GRADES)
    for service in instance.services:
        if not service.overrides:
            continue
        yield from _base_lists(instance, service)
        reads = family_of_service(service)
        if reads is not None:
            yield from strings_in_use(instance, reads, service)


def _base_lists(instance: Instance, service: Service | None) -> Iterator[str]:
    yield from (instance.effective(f"tls_{grade}_cipherlist", service).value for grade in GRADES)


def family_of_service(service: Service) -> str | None:
    """Whose cipher parameters a service reads; None for one that has none of its own."""
    if service.role in _SERVERS:
        return "smtpd"
    if service.role is Role.TLSPROXY:
        return "tlsproxy"
    return _CLIENT_ROLES.get(service.role)


def resulting_suites(instance: Instance, string: str) -> tuple[Suite, ...] | Absent:
    """The suites of a cipher string: from OpenSSL, or from its shorter form less the rest."""
    taken: list[str] = []
    known = instance.suites.get(string)
    shorter = string
    while known is None:
        shorter, separator, word = shorter.rpartition(":!")
        if not separator:
            return Absent(reason=f"OpenSSL was not asked for the cipher list {string!r}")
        taken.append(word)
        known = instance.suites.get(shorter)
    if isinstance(known, Absent):
        return known
    return _without(known, taken)


def _without(suites: Iterable[Suite], words: list[str]) -> tuple[Suite, ...] | Absent:
    left = []
    for suite in suites:
        verdicts = [in_class(suite, word) for word in words]
        if None in verdicts:
            unknown = words[verdicts.index(None)]
            return Absent(reason=f"what {unknown!r} excludes is known to OpenSSL only")
        if not any(verdicts):
            left.append(suite)
    return tuple(left)
