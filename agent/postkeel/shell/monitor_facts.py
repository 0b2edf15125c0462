"""What a plugin of side "monitor" is told: of the last round, of what it keeps, of its asking."""

from __future__ import annotations

import os
from collections.abc import Iterable

from postkeel.contract import Absent, Facts, Need, Table
from postkeel.core.errors import PostkeelError
from postkeel.registry import Loaded, Registry
from postkeel.shell.records import RecordStore
from postkeel.shell.whole_file import write_whole

_SECRET_OCTETS = 32


class MonitorFacts:
    """The facts of one plugin and instance.

    state: what the plugin's last `Records` said.
    """

    def __init__(
        self,
        registry: Registry,
        store: RecordStore,
        plugin: Loaded,
        tables: tuple[Table, ...],
        directory: str,
    ) -> None:
        self.state: object = None
        self._registry = registry
        self._store = store
        self._plugin = plugin
        self._tables = {one.name: one for one in tables}
        self._directory = directory
        self._brought: dict[Need, object] = {}
        self._asked: dict[Need, object] = {}

    @property
    def known(self) -> Facts:
        state = Need(kind="state", subject=self._directory)
        return {**self._asked, **self._brought, state: self.state}

    def learn(self, facts: Facts) -> None:
        """Take what a round knows of the instance.

        A round that could not read the instance says nothing about where it logs, so
        what was known stays.
        """
        for need, fact in facts.items():
            known = need in self._brought and isinstance(fact, Absent)
            if need.subject == self._directory and not known:
                self._brought[need] = fact

    def ask(self, needs: Iterable[Need], problems: list[str], *, anew: bool) -> None:
        """Get what no round brings; what is not asked for any more is forgotten.

        anew: also what an earlier asking has brought; it may have cost seconds.
        """
        found: dict[Need, object] = {}
        missing = []
        for need in needs:
            if need.kind == "records":
                found[need] = self._rows(need)
            elif need.kind == "secret":
                known = self._asked.get(need)
                found[need] = known if isinstance(known, bytes) else self._kept_secret()
            elif need in self._asked and not anew:
                found[need] = self._asked[need]
            elif need not in self._brought and need.kind != "state":
                missing.append(need)
        self._asked = found | self._registry.gather(missing, problems)

    def _rows(self, need: Need) -> object:
        """Rows of a table of the plugin: "TABLE VALUE"."""
        name, _, value = need.subject.partition(" ")
        if name not in self._tables:
            return Absent(reason=f"plugin {self._plugin.name} has no table {name!r}")
        rows = self._store.rows(
            self._plugin.name, self._tables[name], instance=self._directory, where=value
        )
        try:
            return tuple(rows)
        except PostkeelError as error:
            return Absent(reason=str(error))

    def secret(self) -> bytes:
        """32 octets that only this host knows. Errors: PostkeelError."""
        return host_secret(os.path.join(os.path.dirname(self._store.path), "secret"))

    def _kept_secret(self) -> object:
        try:
            return self.secret()
        except PostkeelError as error:
            return Absent(reason=str(error))


def host_secret(path: str) -> bytes:
    """32 octets that only this host knows, made at first need.

    Errors: PostkeelError when it can neither be read nor made.
    """
    try:
        with open(path, "rb") as file:
            found = file.read(_SECRET_OCTETS)
        if len(found) == _SECRET_OCTETS:
            return found
    except FileNotFoundError:
        pass
    except OSError as error:
        raise PostkeelError(f"{path}: {error.strerror}") from error
    made = os.urandom(_SECRET_OCTETS)
    write_whole(path, made, mode=0o600, durable=True)
    return made
