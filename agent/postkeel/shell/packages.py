"""Which packages, and with them which defaults, changed since the last report that said so.

Kept in the state directory: so it tells of what happened while no agent ran, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Upgrade
from postkeel.core.packages import LogPart
from postkeel.core.upgrade import NO_LOG, Mark, tls_defaults, upgrade_between
from postkeel.postfix.instance import Instance
from postkeel.shell.dpkg_files import DpkgFiles
from postkeel.shell.whole_file import read_whole, write_whole

_VERSION: Final = 1


class Packages:
    """What changed under each instance, and the mark up to which it has been told.

    Diagnostics: PostkeelError. A file of marks that cannot be understood is begun anew
    when the next report is kept.
    """

    def __init__(self, state_directory: str, files: DpkgFiles | None = None) -> None:
        self.path = os.path.join(state_directory, "packages.json")
        self._files = files or DpkgFiles()
        self._next: dict[str, Mark] = {}

    def upgrade(self, directory: str, instance: Instance | None) -> Upgrade | None:
        """What changed since the mark; None when there is none yet to compare with.

        Without an instance, which may be why it is asked, the defaults are as they were.
        dpkg's files are read only when dpkg has done something.
        """
        self._next.pop(directory, None)
        damage: PostkeelError | None = None
        try:
            before = self._marks().get(directory)
        except PostkeelError as error:
            before, damage = None, error
        if before is None and instance is None:
            return None
        now, log = self._now(before, instance)
        if now != before:
            self._next[directory] = now
        if damage:
            raise damage
        if before is None:
            return None
        touched = now.versions != before.versions or log.done
        runs = self._files.runs() if touched else ()
        return _zoned(upgrade_between(before, now, log, runs))

    def told(self, directory: str) -> None:
        """Move the mark to what `upgrade` saw: a report that names it has been kept."""
        mark = self._next.pop(directory, None)
        if mark is None:
            return
        try:
            marks = self._marks()
        except PostkeelError:  # `upgrade` has said so
            marks = {}
        self._write({**marks, directory: mark})

    def _now(self, before: Mark | None, instance: Instance | None) -> tuple[Mark, LogPart]:
        state, log = self._files.state(), NO_LOG
        if before is not None and state in (before.status, ()):
            versions, last = before.versions, before.log
        else:
            versions = self._files.versions() if state else {}
            log = self._files.done_since(before.log if before else "")
            last = log.last
        known = before.defaults if before else {}
        warnings = before.warnings if before else ()
        mark = Mark(
            status=state,
            versions=versions,
            log=last,
            defaults=tls_defaults(instance.defaults) if instance else known,
            warnings=instance.warnings if instance else warnings,
        )
        return mark, log

    def _marks(self) -> dict[str, Mark]:
        import json

        content = read_whole(self.path)
        if content is None:
            return {}
        try:
            return _marks(json.loads(content))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise PostkeelError(
                f"{self.path}: cannot be understood ({error}); it is begun anew,"
                " and what changed before is not known"
            ) from error

    def _write(self, marks: Mapping[str, Mark]) -> None:
        import json

        data = {"version": _VERSION, "marks": {name: _data(one) for name, one in marks.items()}}
        write_whole(self.path, json.dumps(data).encode(), mode=0o600, durable=True)


def _zoned(upgrade: Upgrade) -> Upgrade:
    """dpkg writes this host's time without a zone."""
    if upgrade.time is None:
        return upgrade
    try:
        return replace(upgrade, time=datetime.astimezone(upgrade.time))
    except (ValueError, OverflowError, OSError):  # a year that the system's calendar lacks
        return replace(upgrade, time=None)


def _data(mark: Mark) -> dict[str, object]:
    return {
        "status": list(mark.status),
        "versions": dict(mark.versions),
        "log": mark.log,
        "defaults": dict(mark.defaults),
        "warnings": list(mark.warnings),
    }


def _marks(data: Mapping[str, object]) -> dict[str, Mark]:
    if data["version"] != _VERSION:
        raise ValueError(f"version {data['version']!r}")
    marks = data["marks"]
    if not isinstance(marks, dict):
        raise TypeError("marks")
    return {name: _mark(one) for name, one in marks.items()}


def _mark(data: Mapping[str, list[object] | dict[str, object] | str]) -> Mark:
    status, versions, log = data["status"], data["versions"], data["log"]
    defaults, warnings = data["defaults"], data["warnings"]
    if not (
        isinstance(status, list)
        and isinstance(versions, dict)
        and isinstance(log, str)
        and isinstance(defaults, dict)
        and isinstance(warnings, list)
    ):
        raise TypeError("a mark")
    return Mark(
        status=tuple(int(str(one)) for one in status),
        versions={name: str(one) for name, one in versions.items()},
        log=log,
        defaults={name: str(one) for name, one in defaults.items()},
        warnings=tuple(map(str, warnings)),
    )
