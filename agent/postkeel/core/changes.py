"""What a correction may do: edits of main.cf and master.cf, files to join, tables, a reload."""

from __future__ import annotations

from typing import assert_never

from postkeel.core.frozen import frozen


@frozen
class SetParameter:
    """Give a main.cf parameter this value."""

    name: str
    value: str


@frozen
class RemoveParameter:
    """Take every line that sets this parameter out of main.cf."""

    name: str


@frozen
class SetOverride:
    """Give a master.cf service ("submission/inet") this `-o name=value`."""

    service: str
    name: str
    value: str


@frozen
class RemoveOverride:
    """Take every `-o name=...` of this parameter out of a master.cf service."""

    service: str
    name: str


@frozen
class JoinFiles:
    """Write a key's file and a certificate's one after the other into `path`: 0600, root's, whole.

    contents: the sha256 of what was judged; when the two hold something else by now, nothing is
    written.
    """

    path: str
    certificate: str
    key: str
    contents: str


@frozen
class BuildTable:
    """Make an indexed table ("hash:/etc/postfix/sni") anew from its source: `postmap -F`."""

    table: str


@frozen
class Reload:
    """Have Postfix read its files again. Every other change brings one with it."""


Edit = SetParameter | RemoveParameter | SetOverride | RemoveOverride
"""A change of main.cf or master.cf."""

Change = Edit | JoinFiles | BuildTable | Reload


@frozen
class PlannedChange:
    """One edit and the rules that ask for it."""

    change: Change
    rules: tuple[str, ...]


@frozen
class Plan:
    """Edits in order, no two of them to the same place."""

    changes: tuple[PlannedChange, ...] = ()

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What changes main.cf or master.cf."""
        return tuple(one.change for one in self.changes if isinstance(one.change, Edit))


def done(change: Change) -> str:
    """What is done by a change that is no edit, in words; "" for an edit, which a diff shows."""
    match change:
        case JoinFiles(path=path, certificate=certificate, key=key):
            return f"join {key} and {certificate} into {path}"
        case BuildTable(table=table):
            return f"make {table} anew: postmap -F {table}"
        case Reload():
            return "have Postfix read its certificates again: postfix reload"
        case SetParameter() | RemoveParameter() | SetOverride() | RemoveOverride():
            return ""
        case _:
            assert_never(change)
