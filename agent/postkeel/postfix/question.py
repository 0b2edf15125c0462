"""One effective value held against what a rule wants of it: the comparisons' terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Union

from postkeel.core.frozen import frozen
from postkeel.core.model import Absent
from postkeel.postfix.instance import Instance, Service, Version, parse_version


@frozen
class Question:
    """A parameter as one service gets it, or as main.cf gives it when service is None.

    `wanted` are the rule's words, `values` what the profile would have written
    for this Postfix, best first.
    """

    instance: Instance
    service: Service | None
    parameter: str
    wanted: tuple[str, ...]
    values: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        return self.instance.effective(self.parameter, self.service).value

    @property
    def version(self) -> Version:
        return parse_version(self.instance.version)

    @property
    def declared(self) -> bool:
        """Whether main.cf, or the service itself, sets it."""
        if self.service is not None and self.parameter in self.service.overrides:
            return True
        return self.parameter in self.instance.parameters


Verdict = Union[str, Absent, None]
"""None: as wanted. A sentence: what is wrong. Absent: why it cannot be judged."""

Assignment = Mapping[str, Union[str, None]]
"""What to write: parameter names and values; None takes the parameter out."""


def write_value(question: Question) -> Iterator[Assignment]:
    """The profile's values, best first."""
    for value in question.values:
        yield {question.parameter: value}


def no_strength(question: Question) -> int | None:
    """For comparisons that know no order."""
    del question
    return None


@frozen
class Comparison:
    """How one kind of value is judged, put right, and ordered.

    `judge` is total. `mend` gives candidates, best first; each must satisfy
    `judge` to be used. `strength` orders two values of one parameter, so that no
    correction weakens; None when there is no order. `also` names the other
    parameters, as {family} patterns, that the verdict hangs on. `states`: what is
    wanted, for rules that give no value. `inherits`: whether a service may be put
    right by falling back on main.cf's value.
    """

    judge: Callable[[Question], Verdict]
    mend: Callable[[Question], Iterator[Assignment]] = write_value
    strength: Callable[[Question], int | None] = no_strength
    also: tuple[str, ...] = ()
    states: str = ""
    inherits: bool = True
