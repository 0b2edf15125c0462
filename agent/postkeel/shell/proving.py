"""Many handshakes at once, each service in a line of its own; run by `proof` in its process."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel.shell.handshake import is_possible, made

Blanks = Mapping[int, Handshake]
"""Handshakes by their place: not yet made, or as they came out."""

WRONG_SECONDS = 3.0
"""How long answers that are wrong are taken for those of an smtpd from before the reload."""

_LEAST_TRIES = 3
"""Tries, also where the first took long: the one that made us wait may be an old one."""

_PAUSE = (0.005, 0.05)
"""Between tries: soon at first, for an old smtpd leaves within milliseconds, then seldom."""

_AT_ONCE = 8
"""Connections beside each other: more are no faster, and anvil(8) lets 50 of one address in."""

_HOLD_SECONDS = 0.3
"""So long a connection waits for others, of which each may wait for an smtpd to start."""


def make_all(blanks: Blanks, deadline: float) -> dict[int, Handshake]:
    """Each handshake as it came out, by its place, within `deadline` seconds in all.

    Left out are those for which no time was left, and what else was to be asked of a
    service that does not answer: so silence costs one connection, not one for each name.
    """
    possible = {place: one for place, one in blanks.items() if is_possible(one)}
    of_each: dict[Endpoint, list[int]] = {}
    for place, one in possible.items():
        of_each.setdefault(one.endpoint, []).append(place)
    share = max(_AT_ONCE // max(len(of_each), 1), 1)
    lines = [_Line(possible, places, deadline, share) for places in of_each.values()]
    _all_at_once([line.run for line in lines])
    found = {place: one for line in lines for place, one in line.found.items()}
    return dict(sorted(found.items()))


def make_until(
    blanks: Blanks, accept: Callable[[tuple[Handshake, ...]], bool], deadline: float
) -> dict[int, Handshake]:
    """What `make_all` gives once `accept` takes it, or at last.

    For use after a reload: an smtpd that was about to leave may answer once more with the old
    configuration. Wrong answers are tried again for WRONG_SECONDS, silence is waited out until
    the deadline; what was right is not asked again, unless all was, and was not accepted.
    """
    start = time.monotonic()
    pause = _PAUSE[0]
    found: dict[int, Handshake] = {}
    for tries in itertools.count(1):
        left = {place: one for place, one in blanks.items() if not _is_right(found.get(place))}
        found |= make_all(left or blanks, max(start + deadline - time.monotonic(), 0))
        proof = tuple(found[place] for place in sorted(found))
        late = time.monotonic() + pause - start
        if accept(proof) or late >= deadline or (late >= WRONG_SECONDS and tries >= _LEAST_TRIES):
            break
        time.sleep(pause)
        pause = min(pause * 2, _PAUSE[1])
    return dict(sorted(found.items()))


def doubted(blanks: Blanks, deadline: float) -> dict[int, Handshake]:
    """Which of these handshakes come out wrong with another process of the service, and how.

    For use when a file was replaced and its new certificate is shown already: each smtpd that
    starts shows the new one, and those that run the old one. Of each endpoint one handshake is
    made, the first, with as many connections beside each other as are let in: they reach as
    many processes, idle ones before any is started.
    """
    end = time.monotonic() + deadline
    found: dict[int, Handshake] = {}
    asked: set[Endpoint] = set()
    for place, blank in blanks.items():
        if blank.endpoint not in asked and is_possible(blank):
            asked.add(blank.endpoint)
            wrong = _wrong_beside_others(blank, end)
            found |= {place: wrong} if wrong else {}
    return found


def _wrong_beside_others(blank: Handshake, end: float) -> Handshake | None:
    shown: list[Handshake] = []
    together = threading.Barrier(_AT_ONCE)

    def hold() -> None:
        # In vain where the service has fewer processes: then nobody waits any more.
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(min(_HOLD_SECONDS, max(end - time.monotonic(), 0)))

    def work() -> None:
        shown.append(made(blank, end - time.monotonic(), hold))

    _all_at_once([work] * _AT_ONCE)
    return next((one for one in shown if one.protocol and not one.ok), None)


def _is_right(shown: Handshake | None) -> bool:
    return shown is not None and shown.ok


class _Line:
    """What is asked of one endpoint, by `share` threads at most. `found` is what came of it."""

    def __init__(self, blanks: Blanks, places: list[int], deadline: float, share: int) -> None:
        self.found: dict[int, Handshake] = {}
        self._blanks = blanks
        self._end = time.monotonic() + deadline
        self._share = share
        plain = [place for place in places if not (blanks[place].name or blanks[place].algorithm)]
        self._first = plain or places[:1]
        self._others = [place for place in places if place not in frozenset(self._first)]

    def run(self) -> None:
        # One after the other: the second finds the smtpd that the first has started.
        for place in self._first:
            self._make(place)
        if any(one.protocol or one.refused for one in self.found.values()):
            turns = iter(self._others)  # that its next element is given out once, CPython sees to
            _all_at_once([lambda: self._make_in(turns)] * min(self._share, len(self._others)))

    def _make_in(self, turns: Iterator[int]) -> None:
        for place in turns:
            if time.monotonic() >= self._end:
                return
            self._make(place)

    def _make(self, place: int) -> None:
        self.found[place] = made(self._blanks[place], self._end - time.monotonic())


def _all_at_once(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
