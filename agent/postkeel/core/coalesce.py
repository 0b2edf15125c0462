"""Many changes of files in a moment are one event.

An edit is a handful of file events. Acting on the first would read a file that
is half written, and act again on each of the others.
"""

from __future__ import annotations

from postkeel.core.frozen import frozen

QUIET = 0.002
"""Seconds without a further event after which an edit counts as over: a rename or
close is an editor's last act; what follows it within 2 ms belongs to it."""

LONGEST = 0.050
"""Seconds after the first event when complete edits that never pause are acted on."""

UNFINISHED_QUIET = 2.0
"""The same pause for a file that was written and not closed yet: correcting it between
its writer's truncation and its last write would lose that writer's edit. Postfix itself
waits as long for a main.cf that has just been written."""

UNFINISHED_LONGEST = 5.0
"""Seconds after the first event when a file that is never closed is acted on."""


@frozen
class Burst:
    """The paths that changed since `first`; `unfinished` are those still being written."""

    first: float
    last: float
    paths: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()

    @property
    def due(self) -> float:
        """The moment to act, if nothing else happens."""
        if self.unfinished:
            return min(self.last + UNFINISHED_QUIET, self.first + UNFINISHED_LONGEST)
        return min(self.last + QUIET, self.first + LONGEST)


def joined(burst: Burst | None, paths: frozenset[str], *, finished: bool, now: float) -> Burst:
    """The burst with one more event; a burst of its own when there was none."""
    known = burst or Burst(first=now, last=now)
    return Burst(
        first=known.first,
        last=now,
        paths=known.paths | paths,
        unfinished=known.unfinished - paths if finished else known.unfinished | paths,
    )
