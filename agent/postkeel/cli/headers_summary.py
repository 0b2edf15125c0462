"""What the messages that `postkeel headers` reads come to, in memory that does not grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from postkeel.cli.wording import counted
from postkeel.core.frozen import frozen
from postkeel.headers.counting import Counts
from postkeel.headers.values import Verdict, Way
from postkeel.shell.stored_mail import Stored

MOST_EXAMPLES: Final = 10
_MOST_COMPLAINTS: Final = 20
_KNOWN: Final = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@frozen
class Seen:
    """A message, and its way."""

    stored: Stored
    way: Way

    @property
    def name(self) -> str:
        """ "inbox, message 3"."""
        source = "standard input" if self.stored.source == "-" else self.stored.source
        return f"{source}, message {self.stored.number}" if self.stored.number else source

    @property
    def problems(self) -> tuple[str, ...]:
        own = (self.stored.problem,) if self.stored.problem else ()
        return (*own, *self.way.problems)

    @property
    def weakest(self) -> Verdict | None:
        """The worst that can be believed of it: CLEAR, WEAKLY, or None."""
        found = {one.verdict for one in self.way.hops[: self.way.believed]}
        return next((one for one in (Verdict.CLEAR, Verdict.WEAKLY) if one in found), None)


class Summary:
    """counts: see `Counts`. protocols: hops by whether they are to be believed and by version of
    TLS, where one is told. faulty: messages that came in clear or weakly over a hop that is to be
    believed; examples: the first of them. damaged: messages with problems. slowest_of: whose
    way `counts.slowest` is of.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.protocols: Counter[tuple[bool, str]] = Counter()
        self.faulty = 0
        self.examples: list[tuple[str, Verdict]] = []
        self.damaged = 0
        self.slowest_of = ""

    def counted(self, messages: Iterable[Seen]) -> Iterator[Seen]:
        """The same messages, each counted before it is handed on."""
        for one in messages:
            self._add(one)
            yield one

    def _add(self, seen: Seen) -> None:
        before = self.counts.slowest
        self.counts.add(seen.way)
        if self.counts.slowest is not before:
            self.slowest_of = seen.name
        for place, hop in enumerate(seen.way.hops):
            if hop.tls is not None:
                version = hop.tls.protocol if hop.tls.protocol in _KNOWN else "TLS"
                self.protocols[place < seen.way.believed, version] += 1
        self.damaged += bool(seen.problems)
        weakest = seen.weakest
        if weakest is not None:
            self.faulty += 1
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.append((seen.name, weakest))


class Complaints:
    """Sentences on what could not be read: the first ones, and how many there were."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._number = 0

    def add(self, sentence: str) -> None:
        self._number += 1
        if len(self._first) < _MOST_COMPLAINTS:
            self._first.append(sentence)

    def text(self) -> str:
        """A line each; "" without any."""
        more = self._number - len(self._first)
        rest = [f"and {counted(more, 'more file')} could not be read"] if more else []
        return "\n".join([*self._first, *rest])
