"""Which numbers of a spool have arrived: kept by ranges, so that memory grows with gaps only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from postkeel.core.frozen import frozen

MOST_RANGES: Final = 10_000
"""Of one spool: more gaps than that are no longer told apart."""


@frozen
class Gap:
    """Numbers that are missing, first and last included.

    reported: how many of them the host itself has reported as dropped.
    """

    first: int
    last: int
    reported: int = 0

    @property
    def missing(self) -> int:
        return self.last - self.first + 1

    @property
    def unexplained(self) -> int:
        return self.missing - self.reported


class Ledger:
    """How many ranges all spools together may still begin."""

    __slots__ = ("left",)

    def __init__(self, most: int) -> None:
        self.left = most


class Numbers:
    """A set of numbers that mostly arrive one after the other.

    untold: arrivals that no range was left for; of these doubles are not known.
    """

    __slots__ = ("_begins", "_dropped", "_ends", "_ledger", "doubles", "untold")

    def __init__(self, ledger: Ledger) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._dropped: list[tuple[int, int]] = []
        self._ledger = ledger
        self.doubles = 0
        self.untold = 0

    def add(self, number: int) -> bool:
        """Take a number; False when it is here already."""
        ends = self._ends
        if ends and number == ends[-1] + 1:
            ends[-1] = number
            return True
        begins = self._begins
        place = bisect_right(begins, number)
        if place and number <= ends[place - 1]:
            self.doubles += 1
            return False
        after_one = place > 0 and ends[place - 1] == number - 1
        before_one = place < len(begins) and begins[place] == number + 1
        if after_one and before_one:
            ends[place - 1] = ends.pop(place)
            del begins[place]
            self._ledger.left += 1
        elif after_one:
            ends[place - 1] = number
        elif before_one:
            begins[place] = number
        elif self._ledger.left > 0 and len(begins) < MOST_RANGES:
            begins.insert(place, number)
            ends.insert(place, number)
            self._ledger.left -= 1
        else:
            self.untold += 1
        return True

    def dropped(self, number: int, count: int) -> None:
        """The message of this number said that the spool has dropped so many."""
        if len(self._dropped) < MOST_RANGES:
            self._dropped.append((number, count))
        else:
            last, before = self._dropped[-1]
            self._dropped[-1] = (max(last, number), before + count)

    @property
    def first(self) -> int:
        """The lowest number, 0 without any."""
        return self._begins[0] if self._begins else 0

    @property
    def last(self) -> int:
        """The highest number, 0 without any."""
        return self._ends[-1] if self._ends else 0

    def gaps(self, *, from_one: bool) -> list[Gap]:
        """What is missing between the numbers, and before the first where it must begin with 1.

        A spool drops what was put before it says so. So what it says is held against the gaps
        below that message, those next to it first.
        """
        found = [[first, last, 0] for first, last in self._holes(from_one=from_one)]
        firsts = [first for first, _, _ in found]
        open_ones: list[list[int]] = []
        taken = 0
        for number, count in sorted(self._dropped):
            upto = bisect_right(firsts, number)
            open_ones += found[taken:upto]
            taken = max(taken, upto)
            left = count
            while left and open_ones:
                gap = open_ones[-1]
                told = min(left, gap[1] - gap[0] + 1 - gap[2])
                gap[2] += told
                left -= told
                if gap[2] == gap[1] - gap[0] + 1:
                    open_ones.pop()
        return [Gap(first=first, last=last, reported=told) for first, last, told in found]

    def _holes(self, *, from_one: bool) -> Iterator[tuple[int, int]]:
        if from_one and self.first > 1:
            yield 1, self.first - 1
        for end, begin in zip(self._ends, self._begins[1:], strict=False):
            yield end + 1, begin - 1
