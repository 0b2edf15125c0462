"""What the running agent guards and did last, for `postkeel status`; gone when it ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from typing import cast

from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.shell.owner import as_owner
from postkeel.shell.whole_file import read_whole, write_whole

_VERSION = 1
_LIMIT = 4_194_304
"""Octets: the monitor's may be written by who has taken it over."""
_COUNTS = ("open_errors", "open_warnings", "open_infos")
_ADDED = (*_COUNTS, "held", "postfix", "openssl")
"""Not in the status of a postkeel that is about to be upgraded."""


@frozen
class InstanceStatus:
    """One instance. Times are ISO 8601 in UTC; `timers` says when each is due next.

    findings: all but the corrected; `open_...` are those of them that nobody waived.
    followed, alarms: which logs are followed and what stands of them, one sentence each.
    postfix, openssl: their versions; "" where they are not known.
    """

    config_directory: str
    mode: str
    profile: str
    event: str = ""
    outcome: str = ""
    time: str = ""
    findings: int = 0
    timers: Mapping[str, str]
    watched: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    open_errors: int = 0
    open_warnings: int = 0
    open_infos: int = 0
    held: bool = False
    postfix: str = ""
    openssl: str = ""


@frozen
class AgentStatus:
    """The agent: its process, its version, since when it runs, and what it guards."""

    pid: int
    postkeel: str
    since: str
    instances: tuple[InstanceStatus, ...] = ()


def status_path(runtime_directory: str) -> str:
    return os.path.join(runtime_directory, "status.json")


def write_status(runtime_directory: str, status: AgentStatus) -> None:
    """Replace the status; readers see the old one or the new. PostkeelError when it cannot be."""
    import json

    data = {"version": _VERSION, **asdict(status)}
    path = status_path(runtime_directory)
    write_whole(path, json.dumps(data, indent=1).encode(), mode=0o644, durable=False)


def read_status(runtime_directory: str) -> AgentStatus | None:
    """What the agent last wrote; None when it wrote nothing.

    The file outlives an agent that was killed: `instance_lock.guarded_by` knows
    whether one runs. PostkeelError when it is unreadable or another version's.
    """
    path = status_path(runtime_directory)
    with as_owner(runtime_directory):
        content = read_whole(path, limit=_LIMIT)
    if content is None:
        return None
    import json

    try:
        return _status(json.loads(content))
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise PostkeelError(f"{path}: not a status of this version of postkeel") from error


def remove_status(runtime_directory: str) -> None:
    """Take the status away at the agent's end; no error when it is gone."""
    with suppress(OSError):  # nothing to take away, or no file system to take it from by now
        os.unlink(status_path(runtime_directory))


def _status(data: dict[str, object]) -> AgentStatus:
    if data["version"] != _VERSION:
        raise ValueError("version")
    instances = cast("list[dict[str, object]]", data["instances"])
    return AgentStatus(
        pid=int(cast("int", data["pid"])),
        postkeel=str(data["postkeel"]),
        since=str(data["since"]),
        instances=tuple(_instance(one) for one in instances),
    )


def _instance(data: dict[str, object]) -> InstanceStatus:
    """Every value of its type, whoever wrote the file."""
    known = {
        one.name: str(data[one.name])
        for one in fields(InstanceStatus)
        if one.name in data or one.name not in _ADDED
    }
    lists = {
        name: tuple(str(one) for one in cast("list[object]", data[name]))
        for name in ("watched", "followed", "alarms", "problems")
    }
    counts = ("findings", *(name for name in _COUNTS if name in data))
    timers = cast("dict[str, object]", data["timers"])
    return InstanceStatus(
        **known
        | lists
        | {
            **{name: int(cast("int", data[name])) for name in counts},
            "held": data.get("held") is True,
            "timers": {str(name): str(due) for name, due in timers.items()},
        }  # type: ignore[arg-type]
    )
