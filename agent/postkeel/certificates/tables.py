"""Which files the tables of tls_server_sni_maps hang on."""

from __future__ import annotations

from typing import Final

ENDINGS: Final = {
    "hash": ".db",
    "btree": ".db",
    "lmdb": ".lmdb",
    "cdb": ".cdb",
    "dbm": ".pag",
    "sdbm": ".pag",
}
"""Indexed types of tables, and what postmap adds to the name of one."""

PATTERNS: Final = ("regexp", "pcre", "cidr")


def split_table(table: str) -> tuple[str, str]:
    """(type, name) of a table, without the "proxy:" by which another process reads it."""
    kind, _, name = table.removeprefix("proxy:").partition(":")
    return kind, name


def files_of(table: str) -> tuple[str, ...]:
    """The files that a table hangs on, there or not: its source, and what was made of it."""
    kind, name = split_table(table)
    if kind in ENDINGS:
        return (name, name + ENDINGS[kind])
    return (name,) if kind in ("texthash", *PATTERNS) else ()


def is_remote(table: str) -> bool:
    """Whether nothing on this host tells that the table has changed."""
    return not files_of(table) and split_table(table)[0] not in ("inline", "static")
