"""What the running agent has proved and counted: its last probe, and headers of sampled mail."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from postkeel.cli.headers_own import PLUGIN
from postkeel.cli.opening import Opened, instances, open_all
from postkeel.cli.tls_log_sources import DAYS_OF_HISTORY, days_before
from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.model import Table
from postkeel.core.text import one_line

if TYPE_CHECKING:
    from postkeel.shell.records import RecordStore

_WORD: Final = 200
_SENTENCE: Final = 800
_MOST_TARGETS: Final = 100

Counted = Counter[tuple[str, ...]]


@frozen
class SeenTarget:
    """What came of the last probe through one target; the witnesses in the plugin's words."""

    target: str
    ok: bool
    outcome: str
    stage: str
    problem: str
    seconds: float
    handshake: str
    header: str
    log: str


@frozen
class LastProbe:
    """The last round of probes of an instance. late: seconds of earlier ones that came only now.

    others: messages in the mailbox that are no probes; left: probes that could not be removed.
    """

    instance: str
    time: datetime
    seconds: float
    targets: tuple[SeenTarget, ...]
    late: tuple[float, ...] = ()
    others: int = 0
    left: int = 0
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem and all(one.ok for one in self.targets)


@frozen
class Recorded:
    """place: the history's file. Counts are of so many days, by the key columns of the tables."""

    place: str
    days: int
    last: tuple[LastProbe, ...]
    probes: Counted
    milliseconds: Counted
    hops: Counted
    messages: Counted


def main(arguments: Namespace) -> int:
    """Exit status 2 when the last probe found something. Errors: PostkeelError without any."""
    recorded = _recorded(arguments)
    if not (recorded.last or recorded.messages or recorded.probes):
        raise PostkeelError(
            f"{one_line(recorded.place, _WORD)}: the agent has made no probe and sampled no mail;"
            " give files, `postkeel headers message.eml`, or set probe_every or mailboxes in"
            f" [plugins.{PLUGIN}]"
        )
    if arguments.format == "json":
        from postkeel.cli.headers_records_shown import document
        from postkeel.cli.render import print_json

        print_json(**document(recorded))
    else:
        from postkeel.cli.headers_records_shown import lines
        from postkeel.cli.text_page import Page

        for line in lines(Page(arguments), recorded):
            print(line)
    return 0 if all(one.ok for one in recorded.last) else 2


def _recorded(arguments: Namespace) -> Recorded:
    import json  # noqa: F401  the owner may not read where Python is
    import sqlite3  # noqa: F401

    from postkeel.shell.owner import as_owner
    from postkeel.shell.records import RecordStore

    opened = open_all(arguments)
    tables = tables_of(opened)
    directory = opened.configuration.monitor_state_directory
    given = arguments.config_directory
    only = os.path.abspath(given) if given else None
    known = _instances(arguments)
    begin = days_before(datetime.now(UTC), DAYS_OF_HISTORY)
    with as_owner(directory), RecordStore(directory, read_only=True) as store:
        states = [(one, store.kept(PLUGIN, one).state) for one in known]
        sums = {name: _sums(store, table, only, begin) for name, table in tables.items()}
        place = store.path
    read = [read_last_probe(one, state) for one, state in states]
    return Recorded(
        place=place,
        days=DAYS_OF_HISTORY,
        last=tuple(one for one in read if one is not None),
        probes=sums["probes"][0],
        milliseconds=sums["probes"][1],
        hops=sums["hops"][0],
        messages=sums["messages"][0],
    )


def tables_of(opened: Opened) -> dict[str, Table]:
    """As the plugin's card has them. Errors: PostkeelError when it is not loaded."""
    for one in opened.registry.plugins:
        if one.name == PLUGIN:
            return {table.name: table for table in one.card.tables}
    rejected = {one.name: one.reason for one in opened.registry.rejected}
    raise PostkeelError(f"plugin {PLUGIN}: {rejected.get(PLUGIN, 'not loaded')}")


def _instances(arguments: Namespace) -> tuple[str, ...]:
    try:
        return instances(arguments)
    except PostfixError:
        if arguments.config_directory is not None:
            raise
        return ()


def _sums(
    store: RecordStore, table: Table, instance: str | None, begin: int
) -> tuple[Counted, ...]:
    """Each counter of the table, added up over the hours."""
    sums: tuple[Counted, ...] = tuple(Counter() for _ in table.counters)
    keys = len(table.key)
    for _, *row in store.rows(PLUGIN, table, instance=instance, since_hour=begin):
        key = tuple(one_line(str(one), _WORD) for one in row[:keys])
        for total, value in zip(sums, row[keys:], strict=True):
            total[key] += value if isinstance(value, int) else 0
    return sums


def read_last_probe(instance: str, state: Any) -> LastProbe | None:
    """Of the plugin's state; None where it has none, or one that this version cannot read.

    Security: whoever has taken over the monitor may have written it.
    """
    try:
        probe = state["probe"]
        targets = tuple(_target(one) for one in probe["targets"][:_MOST_TARGETS])
        return LastProbe(
            instance=instance,
            time=datetime.fromtimestamp(probe["time"], UTC),
            seconds=float(probe["seconds"]),
            targets=targets,
            late=_numbers(probe["late"], float),
            others=int(probe["others"]),
            left=int(probe["left"]),
            problem=_text(probe["problem"], _SENTENCE),
        )
    except (TypeError, ValueError, KeyError, OverflowError, OSError):
        return None


def _numbers(values: Iterable[Any], kind: Callable[[Any], float]) -> tuple[float, ...]:
    return tuple(kind(one) for one in list(values)[:_MOST_TARGETS])


def _target(one: Any) -> SeenTarget:
    return SeenTarget(
        target=_text(one["target"]),
        ok=one["ok"] is True,
        outcome=_text(one["outcome"]),
        stage=_text(one["stage"]),
        problem=_text(one["problem"], _SENTENCE),
        seconds=float(one["seconds"]),
        handshake=_text(one["handshake"]),
        header=_text(one["header"]),
        log=_text(one["log"]),
    )


def _text(value: object, limit: int = _WORD) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return one_line(value, limit)
