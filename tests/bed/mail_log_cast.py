"""Who takes part in the conversations of a made-up mail log: processes, peers, queue ids."""

from __future__ import annotations

import random
from typing import Any

from mail_log_parties import SUITES, Party, Suite, parties

PROCESSES = 30


class Entry:
    """One line: who writes it, its text, what it says, the processes that are free after it."""

    __slots__ = ("frees", "says", "tag", "text")

    def __init__(self, tag: str, text: str, *says: tuple[Any, ...]) -> None:
        self.tag = tag
        self.text = text
        self.says = says
        self.frees: tuple[str, ...] = ()


class Cast:
    """Picks by these dice; a process is picked again when its conversation is over."""

    def __init__(self, dice: random.Random, peers: int) -> None:
        self.dice = dice
        self.parties = parties(dice, peers)
        self.free: dict[str, list[str]] = {}
        self.number = 0
        self.started = 0

    def over(self, last: Entry) -> None:
        """The processes of the conversation that ends so are free for another one."""
        for tag in last.frees:
            self.free[tag.partition("[")[0]].append(tag)

    def process(self, name: str) -> str:
        """A process of this name that does nothing else now; old ones give way to new ones."""
        idle = self.free.setdefault(name, [])
        if idle and (len(idle) > PROCESSES or self.dice.random() < 0.99):
            return idle.pop(int(self.dice.random() * len(idle)))
        self.started += 1
        return f"{name}[{self.started * 7919 % 99991}]"

    def party(self) -> Party:
        """Somebody; those in front of the list more often."""
        return self.parties[int(self.dice.random() ** 4 * len(self.parties))]

    def queue_id(self) -> str:
        self.number += 1
        if self.number % 3:
            return f"{self.dice.randrange(16**10):010X}{self.number % 16:X}"
        return f"4g{self.number:08d}zJ{self.number % 10}xyz"

    def suite(self, peer: Party) -> Suite:
        """Most speak the same TLS every day."""
        usual = SUITES[len(peer.text) * 31 % len(SUITES)]
        return usual if self.dice.random() < 0.9 else self.dice.choice(SUITES)
