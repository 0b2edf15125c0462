"""Since when each certificate is served: a file that outlives the agent.

It says so for as many certificates as have been seen; the oldest are forgotten first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from datetime import datetime

from postkeel.core.errors import PostkeelError
from postkeel.shell.whole_file import read_whole, write_whole

MOST_CERTIFICATES = 2000
_MOST_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def served_path(state_directory: str) -> str:
    """Where it is written down."""
    return os.path.join(state_directory, "served.json")


class ServedSince:
    """Moments by the sha256 of certificates, in `served.json` of the state directory.

    state_directory: None keeps nothing between processes. write: False only reads.
    """

    def __init__(self, state_directory: str | None, *, write: bool = True) -> None:
        self._path = served_path(state_directory) if state_directory else ""
        self._write = write

    def seen(self, served: Collection[str], now: datetime) -> tuple[Mapping[str, datetime], str]:
        """Since when each of these is served, and what is wrong with the file, or "".

        Those that the file does not know are served since now, and are written down; who only
        reads does not know since when.
        """
        problem = ""
        try:
            known = self._known()
        except PostkeelError as error:
            known, problem = {}, str(error)
        since = {one: known.get(one, now) for one in served if self._write or one in known}
        if self._path and self._write and not since.keys() <= known.keys():
            try:
                self._keep(since, known)
            except PostkeelError as error:
                problem = str(error)
        return since, problem

    def _known(self) -> dict[str, datetime]:
        import json

        content = read_whole(self._path, limit=_MOST_BYTES) if self._path else None
        if content is None:
            return {}
        try:
            told = json.loads(content)
            return {_digest(one): _moment(at) for one, at in told["since"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise PostkeelError(
                f"{self._path}: cannot be understood ({error}); it is begun anew, and since when"
                " certificates are served is counted from now"
            ) from error

    def _keep(self, since: Mapping[str, datetime], known: Mapping[str, datetime]) -> None:
        import json

        others = [one for one in known.items() if one[0] not in since]
        # The sort is stable and the earlier come first, so that those kept once stay.
        current = sorted(since.items(), key=lambda one: one[1])[:MOST_CERTIFICATES]
        newest = sorted(others, key=lambda one: one[1], reverse=True)
        kept = (current + newest)[:MOST_CERTIFICATES]
        data = {"version": 1, "since": {one: at.isoformat() for one, at in kept}}
        write_whole(self._path, json.dumps(data).encode(), mode=0o600, durable=False)


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("not a sha256")
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment
