"""The fact "tlsa": asked for in a process of its own, and kept as long as it holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from postkeel.certificates.tlsa import disputed, questions
from postkeel.certificates.values import Certificates, Tlsa, TlsaRecord
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.resolver_address import PORT, resolver_address
from postkeel.core.text import one_line
from postkeel.postfix.instance import Instance
from postkeel.shell.forked import answer_of
from postkeel.shell.resolver import SECONDS, Server, ask
from postkeel.shell.resolver_replies import State

RESOLV_CONF: Final = "/etc/resolv.conf"

_LONGEST: Final = 3600.0
"""Seconds for which records are taken for what is published."""

_SHORTEST: Final = 300.0
"""Seconds until the next asking, however short records live, and after one that failed."""

_DISPUTED: Final = 10.0
"""Seconds until it when a certificate does not fit: its record may just have been published."""

_DISPUTED_IN_VAIN: Final = 60.0

_MORE_SECONDS: Final = 2.0
_MOST_NAMED: Final = 3
_RESOLV_CONF_LIMIT: Final = 65536

_NO_SERVER: Final = (
    f"no nameserver of {RESOLV_CONF} is on this host, and the word of another that an answer was "
    "validated proves nothing: apt install unbound, or name one as resolver in [certificates]"
)

_MEANT: Final = {"SERVFAIL": ": their signatures are wrong, or its name servers out of reach"}

Question = tuple[str, str]
"""Port and name."""


@frozen
class _Said:
    """What came of one question. detail: a code, where it was refused."""

    state: State
    seconds: int = 0
    records: tuple[TlsaRecord, ...] = ()
    detail: str = ""


@frozen
class _Answers:
    """What one resolver said, or why nothing could be had.

    validates: it does, so a zone of which it does not say so is not signed.
    """

    said: Mapping[Question, _Said]
    resolver: str
    problem: str
    validates: bool = False


@frozen
class _Asked:
    """The last asking. had: when the records of a question came; until: when to ask again;
    failed: whether there was no answer to some."""

    questions: tuple[Question, ...]
    at: float
    until: float
    failed: bool
    had: Mapping[Question, float]
    tlsa: Tlsa


class KeptTlsa:
    """What a validating resolver of this host says of the TLSA records of each instance.

    resolver: as in postkeel.toml. An answer is kept while its records live, within bounds. It is
    asked for anew when there are other questions, and soon when a certificate does not fit it.
    Security: a resolver that fails takes no records away, for those it named within the last
    hour stay, and a certificate that they speak against is no better for that.
    """

    def __init__(self, resolver: str, now: Callable[[], float] = time.monotonic) -> None:
        self._resolver = resolver
        self._now = now
        self._kept: dict[str, _Asked] = {}

    def of(self, instance: Instance, certificates: Certificates) -> Tlsa:
        """The fact. Without a resolver, or without an answer, its problem says why."""
        if not self._resolver:
            return Tlsa(problem="no resolver is asked: resolver is empty in [certificates]")
        asked = questions(instance, certificates)
        if not asked:
            return Tlsa()
        servers = _servers(self._resolver)
        if not servers:
            return Tlsa(problem=_NO_SERVER)
        known = self._kept.get(instance.config_directory)
        if known and known.questions == asked and self._holds(known, instance, certificates):
            return known.tlsa
        made = _made(_asked(servers, asked), asked, known, self._now())
        self._kept[instance.config_directory] = made
        return made.tlsa

    def _holds(self, known: _Asked, instance: Instance, certificates: Certificates) -> bool:
        now = self._now()
        soon = known.at + (_DISPUTED_IN_VAIN if known.failed else _DISPUTED)
        if now >= known.until:
            return False
        return now < soon or not disputed(known.tlsa, instance, certificates)


def _servers(resolver: str) -> tuple[Server, ...]:
    if resolver != "auto":
        named = resolver_address(resolver)
        return () if named is None else (named,)
    try:
        with open(RESOLV_CONF, encoding="ascii", errors="replace") as file:
            lines = file.read(_RESOLV_CONF_LIMIT).splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    found = (resolver_address(one[1]) for one in words if one[:1] == ["nameserver"] and one[1:])
    return tuple(one for one in found if one is not None)


def _asked(servers: tuple[Server, ...], wanted: tuple[Question, ...]) -> _Answers:
    try:
        told = answer_of(lambda: ask(servers, wanted), SECONDS + _MORE_SECONDS)
    except PostkeelError as error:
        return _Answers(said={}, resolver=_shown(servers[0]), problem=f"TLSA records: {error}")
    said = dict(zip(wanted, map(_understood, told["answers"]), strict=True))
    resolver = _shown(told["server"])
    problem = "; ".join(_problems(said, resolver, told))
    return _Answers(said=said, resolver=resolver, problem=problem, validates=told["validates"])


def _made(
    answers: _Answers, wanted: tuple[Question, ...], known: _Asked | None, at: float
) -> _Asked:
    """What is known now, with the records of before for what could not be had this time."""
    valid = {one: each for one, each in answers.said.items() if each.state is State.VALIDATED}
    records = {one: each.records for one, each in valid.items()}
    had = dict.fromkeys(records, at)
    plain = {one for one, each in answers.said.items() if each.state is State.PLAIN}
    unsigned = plain if answers.validates else set()
    lost = [one for one in wanted if one not in records and one not in unsigned]
    for one in lost:
        if known and at - known.had.get(one, at - _LONGEST) < _LONGEST:
            records[one], had[one] = known.tlsa.records[one], known.had[one]
    lives = min((each.seconds for each in valid.values()), default=0)
    return _Asked(
        questions=wanted,
        at=at,
        until=at + min(max(0 if lost else lives, _SHORTEST), _LONGEST),
        failed=bool(lost),
        had=had,
        tlsa=Tlsa(records=records, resolver=answers.resolver, problem=one_line(answers.problem)),
    )


def _understood(told: tuple[str, int, Any]) -> _Said:
    """What `resolver.ask` tells of one question."""
    state, seconds, found = told
    if isinstance(found, str):
        return _Said(state=State(state), detail=found)
    records = tuple(
        TlsaRecord(usage=usage, selector=selector, matching=matching, data=data)
        for usage, selector, matching, data in found
    )
    return _Said(state=State(state), seconds=seconds, records=records)


def _problems(
    said: Mapping[Question, _Said], resolver: str, told: Mapping[str, Any]
) -> Iterator[str]:
    """Why there are names whose records are not known, a sentence for each reason."""
    names: dict[tuple[State, str], list[str]] = {}
    for (_, name), each in said.items():
        names.setdefault((each.state, each.detail), []).append(name)
    silence = f": {told['silence']}" if told["silence"] else ""
    for (state, detail), some in names.items():
        about = f"the TLSA records of {_listed(some)}"
        if state is State.SILENT:
            yield f"the resolver {resolver} does not answer about {about}{silence}"
        elif state is State.REFUSED:
            yield f"the resolver {resolver} answers {detail} about {about}{_MEANT.get(detail, '')}"
        elif state is State.PLAIN and told["validates"]:
            yield f"{about} count for nobody, as their zone is not signed"
        elif state is State.PLAIN:
            yield f"the resolver {resolver} does not validate: its word on {about} does not count"


def _listed(names: Iterable[str]) -> str:
    different = list(dict.fromkeys(names))
    more = len(different) - _MOST_NAMED
    shown = ", ".join(different[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(server: Sequence[Any]) -> str:
    host, port = server
    if port == PORT:
        return str(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
