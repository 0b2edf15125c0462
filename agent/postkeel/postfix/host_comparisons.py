"""Comparisons about the host: files, tables, names that this Postfix knows."""

from __future__ import annotations

from typing import Final

from postkeel.core.model import Absent
from postkeel.postfix.instance import FileState, Instance, parse_version
from postkeel.postfix.levels import RANKS, has_certificate, security_level
from postkeel.postfix.protocols import oldest, rank, resulting_protocols
from postkeel.postfix.question import Question, Verdict
from postkeel.postfix.tokens import list_words

_OTHERS_READ: Final = 0o004
_OTHERS_WRITE: Final = 0o002
_GROUP_WRITE: Final = 0o020
_SHOWN: Final = 3
_QUIET_OPENSSL: Final = (3, 0)


def private_file(question: Question) -> Verdict:
    """Each file named holds a private key: no reading or writing by others.

    Reading by a group is left to the administrator; Debian has one for keys.
    """
    for path in list_words(question.value):
        state = question.instance.references.get(path)
        problem = "" if state is None else _file_problem(path, state)
        if problem:
            return problem
    return None


def _file_problem(path: str, state: FileState) -> str:
    if state.problem:
        return f"{path}: {state.problem}"
    if state.mode & _OTHERS_READ:
        return f"everybody on this host may read the key in {path}; run: chmod o-rwx {path}"
    if state.mode & (_OTHERS_WRITE | _GROUP_WRITE):
        return f"others may replace the key in {path}; run: chmod go-w {path}"
    return ""


def certificate_set(question: Question) -> Verdict:
    """Where TLS is on, smtpd needs a certificate and key to do it with."""
    if has_certificate(question.instance, question.service):
        return None
    if security_level(question.instance, "smtpd", question.service) == "none":
        return (
            "no certificate is set, so this server cannot offer TLS; set smtpd_tls_chain_files to"
            " a file with the key, the certificate and its chain"
        )
    return (
        "no certificate is set, so Postfix answers STARTTLS with an error; set"
        " smtpd_tls_chain_files to a file with the key, the certificate and its chain"
    )


def no_weak_policy(question: Question) -> Verdict:
    """wanted: the lowest level, then the oldest protocol, that an entry may ask for."""
    if not question.value:
        return None
    tables = {
        name: entries
        for name, entries in question.instance.policies.items()
        if name in question.value
    }
    if not tables:
        return Absent(reason=f"the entries of {question.value} were not read")
    weak = []
    for name, entries in tables.items():
        if isinstance(entries, Absent):
            return Absent(reason=f"{name}: {entries.reason}")
        for key, policy in entries.items():
            reason = _weakness(policy, question)
            if reason:
                weak.append(f"{key} ({reason})")
    if not weak:
        return None
    more = f" and {len(weak) - _SHOWN} more" if len(weak) > _SHOWN else ""
    return f"weak entries: {', '.join(weak[:_SHOWN])}{more}"


def _weakness(policy: str, question: Question) -> str:
    level, *attributes = list_words(policy) or ("",)
    if level.lower() not in RANKS:
        return f"unknown level {level!r}"
    if RANKS[level.lower()] < RANKS[question.wanted[0]]:
        return level
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        if name.lower() == "protocols" and len(question.wanted) > 1:
            lowest = oldest(resulting_protocols(value, question.version) or frozenset())
            if lowest is None or rank(lowest) < rank(question.wanted[1]):
                return attribute
    return ""


def parameter_known(question: Question) -> Verdict:
    """A misspelt name has no effect; Postfix only warns where somebody looks."""
    instance = question.instance
    if question.parameter in instance.defaults or _is_mentioned(instance, question.parameter):
        return None
    # Heavy, and needed only here.
    from difflib import get_close_matches

    near = get_close_matches(question.parameter, [*instance.defaults], n=1, cutoff=0.8)
    guess = f"; is {near[0]} meant?" if near else ""
    return f"Postfix {instance.version} knows no parameter of this name{guess}"


def _is_mentioned(instance: Instance, name: str) -> bool:
    """Whether some value looks it up, which makes it a parameter of the administrator's own."""
    values = [*instance.defaults.values()]
    values += [one.value for one in instance.parameters.values()]
    for service in instance.services:
        values += [one.value for one in service.overrides.values()]
    return any(name in value and _looks_up(value, name) for value in values)


def _looks_up(value: str, name: str) -> bool:
    """Whether a value holds $name, ${name or $(name, and not merely a longer name."""
    for start in ("$", "${", "$("):
        for rest in value.split(start + name)[1:]:
            if not (rest[:1].isalnum() or rest[:1] == "_"):
                return True
    return False


def renegotiation_off(question: Question) -> Verdict:
    """OpenSSL 3 refuses renegotiation that a client starts; before it, Postfix must be told."""
    words = question.instance.openssl.split()
    number = next((word for word in words if word[:1].isdigit()), "")
    held = [one.upper() for one in list_words(question.value)]
    if "NO_RENEGOTIATION" in held or parse_version(number) >= _QUIET_OPENSSL:
        return None
    return "a client may make the server renegotiate at will"
