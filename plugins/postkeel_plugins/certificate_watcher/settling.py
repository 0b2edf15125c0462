"""Whether a renewal is under way: its files are written one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from postkeel.contract import EventKind, LookAgain
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import listed

_CLOCKS_APART: Final = 1.0
"""Seconds that a file may be from the future; with more a clock was set back, and the file
could seem fresh for ever."""

_LATER: Final = 0.1


def under_way(
    scene: Scene, case: Case, complaints: Iterable[Complaint], settle: float
) -> LookAgain | None:
    """When to look again, for what is not right and may just not be whole yet."""
    wrong = [one for one in complaints if one.wrong]
    if not wrong:
        return None
    ages = [
        (scene.now - seen.changed).total_seconds()
        for seen in case.loaded.files
        if seen.changed is not None
    ]
    if _just_gone(scene, case):
        ages.append(0.0)
    age = min((one for one in ages if one >= -_CLOCKS_APART), default=settle)
    if age >= settle:
        return None
    return LookAgain(
        seconds=round(settle - age + _LATER, 3),
        reason=f"{listed(filter(None, case.credential.files))}: changed a moment ago and not"
        f" right yet: {wrong[0].says}",
    )


def _just_gone(scene: Scene, case: Case) -> bool:
    """Whether the event tells of a file that is not there: removed, and not yet replaced."""
    if scene.event.kind is not EventKind.PATHS_CHANGED:
        return False
    changed = {*scene.event.detail}
    return any(
        seen.problem and not changed.isdisjoint((seen.path, seen.real))
        for seen in case.loaded.files
    )
