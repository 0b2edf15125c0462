"""What the side that corrects says of itself, as the process of the other side sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.shell.instance_lock import guarded_by
from postkeel.shell.status_file import InstanceStatus, read_status

_LOCKS = "/proc/locks"


@frozen
class Correcting:
    """The instances by name, and whether the process that spoke of them still runs."""

    instances: Mapping[str, InstanceStatus]
    guarded: frozenset[str]
    problems: tuple[str, ...] = ()


def correcting_side(
    configuration: Configuration, instances: Iterable[str], locks: str = _LOCKS
) -> Correcting:
    """What its status, which everybody may read, says of these instances.

    Diagnostics: what cannot be had is a problem, never an error.

    The file outlives a process that was killed. Where /proc/locks is to be seen, the lock on
    the instance says whether somebody guards it; else it counts that the process lives.
    """
    try:
        status = read_status(configuration.runtime_directory)
    except PostkeelError as error:
        return Correcting(instances={}, guarded=frozenset(), problems=(str(error),))
    if status is None:
        return Correcting(instances={}, guarded=frozenset())
    wanted = frozenset(instances)
    known = {
        one.config_directory: one for one in status.instances if one.config_directory in wanted
    }
    if os.path.exists(locks):
        guarded = [name for name in known if guarded_by(name, claimed=status.pid) is not None]
    else:
        guarded = [*known] if _lives(status.pid) else []
    return Correcting(instances=known, guarded=frozenset(guarded))


def _lives(process: int) -> bool:
    """Whether there is such a process; it may be one of another user, and one that is not shown."""
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
