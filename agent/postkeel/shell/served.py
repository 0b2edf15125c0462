"""What the running Postfix serves, asked for no more often than need be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from postkeel.certificates.asking import Ask, asks_of
from postkeel.certificates.values import Certificates, Served
from postkeel.core.errors import PostkeelError
from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel.postfix.instance import Instance
from postkeel.shell.proof import SILENCE, answers
from postkeel.shell.served_since import ServedSince

LOOK_SECONDS = 8.0
"""Within the ten that gathering a fact may take."""

KEPT_SECONDS = 300.0
"""Between the rounds of a timer (900) and longer than a burst of events."""

SILENT_SECONDS = 60.0
"""So long who did not answer is not waited for again."""

MOST_NAMES = 64
"""With more names in SNI tables a look asks one service for each, and not all of them."""


class KeptServed:
    """The fact "served", kept while the files hold the same and all is as they say.

    Made anew is only what changed, what was not as it should be, and everything after
    KEPT_SECONDS by the steady `clock`. state_directory: where it is written down since when
    certificates are served; None for nowhere, and write=False only reads it.
    """

    def __init__(
        self,
        state_directory: str | None,
        *,
        write: bool = True,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._since = ServedSince(state_directory, write=write)
        self._clock = clock
        self._now = now
        self._looks: dict[str, _Look] = {}

    def of(self, instance: Instance, certificates: Certificates) -> Served:
        """What is served now.

        Diagnostics: whatever goes wrong is told in `Served.problem` and in the handshakes.
        """
        if not instance.running:
            self._looks.pop(instance.config_directory, None)
            return Served(problem="Postfix is not running")
        look = self._look(instance)
        asks = asks_of(instance, certificates)
        now = self._clock()
        whole = now - look.whole >= KEPT_SECONDS
        due = look.due(asks, whole=whole, silent=look.silent_at(now))
        try:
            made = answers(due, LOOK_SECONDS, look.doubts(due))
        except PostkeelError as error:
            return replace(self._served(look), problem=f"no handshake was made: {error}")
        look.take(asks, due, made, now)
        if whole:
            look.whole = now
            look.turn += 1
        return self._served(look)

    def due(self, instance: Instance, certificates: Certificates) -> tuple[Ask, ...]:
        """What a proof after a reload has to show: each endpoint, and what is to be made anew."""
        asks = asks_of(instance, certificates)
        anew = frozenset(self._look(instance).due(asks))
        return tuple(one for one in asks if one in anew or not (one.name or one.algorithm))

    def note(
        self, instance: Instance, certificates: Certificates, handshakes: Iterable[Handshake]
    ) -> Served:
        """What is served, with what a proof after a correction has just shown."""
        look = self._look(instance)
        asks = asks_of(instance, certificates)
        due = self.due(instance, certificates)
        shown = {_ask_of(one): one for one in handshakes if not one.below}
        made = {one: shown[one] for one in due if one in shown}
        look.take(asks, due, made, self._clock())
        return self._served(look)

    def _look(self, instance: Instance) -> _Look:
        return self._looks.setdefault(instance.config_directory, _Look())

    def _served(self, look: _Look) -> Served:
        shown = tuple(one for one in look.known.values() if one is not None)
        served = {one.certificate_sha256 for one in shown if one.certificate_sha256}
        problem = ""
        if not served <= look.since.keys():
            look.since, problem = self._since.seen(served, self._now())
        since = {one: look.since[one] for one in served if one in look.since}
        return Served(handshakes=shown, since=since, problem=problem or look.problem)


@dataclass(slots=True)
class _Look:
    """What is known of one instance.

    known: what came of each ask; None where another service was asked for the name. silent: who
    did not answer, and when. whole: the moment at which everything was asked last. Both moments
    are by the steady clock. turn: how often everything was asked; it says which service is asked
    for a name, where not all are.
    """

    known: dict[Ask, Handshake | None] = field(default_factory=dict)
    silent: dict[Endpoint, float] = field(default_factory=dict)
    whole: float = float("-inf")
    turn: int = 0
    since: Mapping[str, datetime] = field(default_factory=dict)
    problem: str = ""

    def silent_at(self, now: float) -> frozenset[Endpoint]:
        """Who is not waited for again yet."""
        return frozenset(one for one, at in self.silent.items() if now - at < SILENT_SECONDS)

    def due(
        self, asks: Sequence[Ask], *, whole: bool = False, silent: frozenset[Endpoint] = frozenset()
    ) -> tuple[Ask, ...]:
        """What is to be made anew, but for who is `silent`.

        whole: not only what is new, changed, or was not right.
        """
        known = self._known(asks)
        anew = set(_in_turn(asks, self.turn)) if whole else set()
        return tuple(
            one
            for one in asks
            if one.endpoint not in silent and (one in anew or not _stands(one, known))
        )

    def doubts(self, due: Sequence[Ask]) -> frozenset[Ask]:
        """Those for which another certificate was seen last than is to be served now.

        Who shows the right one may be an smtpd that has just started, beside others that go
        on to show the other one.
        """
        last = {_place(one): shown.certificate_sha256 for one, shown in self.known.items() if shown}
        return frozenset(
            one
            for one in due
            if one.expected and last.get(_place(one), "") not in ("", *one.expected)
        )

    def _known(self, asks: Sequence[Ask]) -> Mapping[Ask, Handshake | None]:
        """At first nothing counts as changed."""
        return self.known if self.turn else dict.fromkeys(asks)

    def take(
        self, asks: Sequence[Ask], due: Sequence[Ask], made: Mapping[Ask, Handshake], now: float
    ) -> None:
        """Remember what came of those that were due; what is not asked for any more is gone."""
        for answer in made.values():
            if answer.problem == SILENCE:
                self.silent[answer.endpoint] = now
            else:
                self.silent.pop(answer.endpoint, None)
        unmade = frozenset(due) - made.keys()
        stands = {one: shown for one, shown in self._known(asks).items() if one not in unmade}
        waited_for = self.silent_at(now)
        known: dict[Ask, Handshake | None] = {}
        for one in asks:
            if one in made:
                known[one] = made[one]
            elif one.endpoint not in waited_for:
                known |= {one: stands[one]} if one in stands else {}
            elif not (one.name or one.algorithm):
                known[one] = replace(one.blank(), problem=SILENCE)
        self.known = known
        self.problem = _unmade(len(unmade), len(due))


def _place(ask: Ask) -> tuple[Endpoint, str, str]:
    return (ask.endpoint, ask.name, ask.algorithm)


def _stands(ask: Ask, known: Mapping[Ask, Handshake | None]) -> bool:
    """Whether what is known of it need not be made anew."""
    shown = known.get(ask)
    return ask in known if shown is None else shown.ok


def _unmade(count: int, of: int) -> str:
    if not count:
        return ""
    return (
        f"{count} of {of} handshakes could not be made, for want of an answer of the service"
        f" or of time ({LOOK_SECONDS:g} s)"
    )


def _in_turn(asks: Sequence[Ask], turn: int) -> Iterator[Ask]:
    """All of them; with many names, each name at one of its services only."""
    of_names: dict[str, dict[Endpoint, list[Ask]]] = {}
    for one in asks:
        if not one.name:
            yield one
            continue
        of_names.setdefault(one.name, {}).setdefault(one.endpoint, []).append(one)
    for place, of_each in enumerate(of_names.values()):
        lists = list(of_each.values())
        chosen = [lists[(place + turn) % len(lists)]] if len(of_names) > MOST_NAMES else lists
        for those in chosen:
            yield from those


def _ask_of(shown: Handshake) -> Ask:
    return Ask(
        endpoint=shown.endpoint,
        name=shown.name,
        algorithm=shown.algorithm,
        expected=shown.expected,
    )
