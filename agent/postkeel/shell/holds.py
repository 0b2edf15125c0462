"""Holds: an administrator's "do not correct until then", kept in the state directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Hold
from postkeel.shell.whole_file import read_whole, write_whole

_VERSION = 1
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Holds:
    """The holds of all instances. `now` is always aware, in UTC.

    A file that cannot be understood holds every instance, with the file's
    trouble as its reason: somebody may have asked not to be overruled, and a
    correction that comes late and is reported as held in every round is the
    smaller harm. `release` ends it by writing the file anew.
    """

    def __init__(self, state_directory: str) -> None:
        self._directory = state_directory
        self.path = os.path.join(state_directory, "holds.json")

    def current(self, instance: str, now: datetime) -> Hold | None:
        """The hold that binds this instance at this moment, or None."""
        try:
            holds = self._read()
        except PostkeelError as error:
            reason = f"{error}; 'postkeel release' starts it anew"
            return Hold(instance=instance, reason=reason, since=_LONG_AGO)
        return next((one for one in holds if one.instance == instance and _binds(one, now)), None)

    def hold(self, instance: str, until: datetime | None, reason: str, now: datetime) -> Hold:
        """Hold the instance; replaces the hold that it has.

        Errors: PostkeelError for no reason, an end that is past, a file that
        cannot be understood or written.
        """
        if not reason.strip():
            raise PostkeelError("a hold needs a reason, for those who find it later")
        if until is not None and until <= now:
            raise PostkeelError(f"a hold until {until.isoformat(timespec='seconds')} is over")
        new = Hold(instance=instance, reason=reason.strip(), since=now, until=until)
        with self._only_writer():
            others = [one for one in self._read() if one.instance != instance and _binds(one, now)]
            self._write([*others, new])
        return new

    def release(self, instance: str) -> bool:
        """End the hold of this instance; whether there was one.

        A file that cannot be understood is started anew and counts as a hold.
        The file is written in any case, so that an agent that watches it wakes.
        """
        with self._only_writer():
            try:
                holds = self._read()
            except PostkeelError:
                self._write([])
                return True
            others = [one for one in holds if one.instance != instance]
            self._write(others)
            return len(others) < len(holds)

    def _read(self) -> list[Hold]:
        content = read_whole(self.path)
        if content is None:
            return []
        import json

        try:
            return _holds(json.loads(content))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise PostkeelError(
                f"{self.path}: not a list of holds as postkeel writes it"
            ) from error

    def _write(self, holds: list[Hold]) -> None:
        import json

        data = {"version": _VERSION, "holds": [_hold_data(one) for one in holds]}
        write_whole(self.path, json.dumps(data, indent=1).encode(), mode=0o600, durable=True)

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        """Two commands at once must not lose one's hold: one after the other."""
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PostkeelError(f"{self._directory}: cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _binds(hold: Hold, now: datetime) -> bool:
    return hold.until is None or now < hold.until


def _hold_data(hold: Hold) -> dict[str, str | None]:
    return {
        "instance": hold.instance,
        "reason": hold.reason,
        "since": hold.since.isoformat(),
        "until": hold.until.isoformat() if hold.until else None,
    }


def _holds(data: object) -> list[Hold]:
    if not isinstance(data, dict) or data["version"] != _VERSION:
        raise ValueError("version")
    return [
        Hold(
            instance=_text(one["instance"]),
            reason=_text(one["reason"]),
            since=_moment(one["since"]),
            until=None if one["until"] is None else _moment(one["until"]),
        )
        for one in data["holds"]
    ]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError("time without zone")
    return moment
