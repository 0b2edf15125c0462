"""Reads the local tables of smtp_tls_policy_maps and lmtp_tls_policy_maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from postkeel.core.errors import PostfixError
from postkeel.core.model import Absent
from postkeel.core.text import one_line
from postkeel.postfix.instance import Instance
from postkeel.postfix.references import split_list

DEADLINE = 5.0
MOST_ENTRIES = 10_000
_PARAMETERS = ("smtp_tls_policy_maps", "lmtp_tls_policy_maps")
_LISTED = ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "inline")


def policies_of(instance: Instance, readable: str) -> dict[str, Mapping[str, str] | Absent]:
    """The entries of each table, by its name as the configuration has it.

    readable: a configuration directory that postmap reads without waiting.
    """
    tables = dict.fromkeys(_tables(instance))
    return {table: _entries(readable, table) for table in tables}


def _tables(instance: Instance) -> Iterator[str]:
    for service in (None, *instance.services):
        for name in _PARAMETERS:
            if service is None or name in service.overrides:
                yield from split_list(instance.effective(name, service).value)


def _entries(readable: str, table: str) -> Mapping[str, str] | Absent:
    from postkeel.shell.command import find_program, run

    direct = table.removeprefix("proxy:")
    kind, _, name = direct.partition(":")
    if kind == "static":
        return {"*": name}
    if kind not in _LISTED:
        return Absent(reason=f"the entries of a table of type {kind} cannot be listed")
    try:
        argv = [find_program("postmap"), "-c", readable, "-s", direct]
        answer = run(argv, DEADLINE)
    except PostfixError as error:
        return Absent(reason=str(error))
    if answer.status != 0:
        return Absent(reason=one_line(answer.stderr.strip() or f"{table}: cannot be read", 400))
    lines = answer.stdout.splitlines()[:MOST_ENTRIES]
    pairs = (line.partition("\t") for line in lines)
    return {key: value for key, _, value in pairs}
