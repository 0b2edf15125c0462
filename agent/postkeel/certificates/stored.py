"""What was read of certificates, as it is kept and as it goes through a pipe.

`told` gives what JSON knows, `understood` the value again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime
from enum import Enum
from typing import Any

from postkeel.certificates.uses import Entries
from postkeel.certificates.values import (
    Certificate,
    Chain,
    Credential,
    Fault,
    FaultKind,
    FileSeen,
    Joined,
    Key,
    Kind,
    Loaded,
    Table,
    Trust,
)
from postkeel.core.frozen import frozen

Stamps = Mapping[str, tuple[int, ...]]
"""For each name what tells its file from others, and from itself after a change."""


@frozen
class Listing:
    """A table of tls_server_sni_maps and its entries. stamps: of the files it hangs on."""

    table: Table
    entries: Entries = ()
    stamps: Stamps = field(default_factory=dict)


@frozen
class Reading:
    """What the files of a credential hold. stamps: of all files that this hangs on.

    joined: of a file that postkeel joined, and of a pair that it may join.
    """

    loaded: Loaded
    joined: Joined | None = None
    stamps: Stamps = field(default_factory=dict)


@frozen
class Findings:
    """What one look at the files gave: tables and credentials that are new or have changed."""

    listings: Mapping[str, Listing] = field(default_factory=dict)
    readings: Mapping[Credential, Reading] = field(default_factory=dict)
    roots: int = 0
    roots_stamps: Stamps = field(default_factory=dict)


def told(value: object) -> Any:
    """A value as lists, texts and numbers: fields in their order, mappings as pairs."""
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, tuple):
        return [told(one) for one in value]
    if isinstance(value, Mapping):
        return [[told(key), told(one)] for key, one in value.items()]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return [told(getattr(value, one.name)) for one in fields(value)]  # type: ignore[arg-type]


def understood(data: Any) -> Findings:
    """The findings that were `told`. Errors: whatever comes of data that were not."""
    listings, readings, roots, stamps = data
    return Findings(
        listings={name: _listing(*one) for name, one in listings},
        readings={_credential(*which): _reading(*one) for which, one in readings},
        roots=roots,
        roots_stamps=_stamps(stamps),
    )


def _stamps(data: Any) -> Stamps:
    return {path: tuple(one) for path, one in data}


def _listing(table: Any, entries: Any, stamps: Any) -> Listing:
    name, indexed, source, held, problem = table
    return Listing(
        table=Table(
            name=name,
            indexed=indexed,
            source=source,
            held={one: tuple(leaves) for one, leaves in held},
            problem=problem,
        ),
        entries=tuple((one, tuple(files)) for one, files in entries),
        stamps=_stamps(stamps),
    )


def _credential(kind: str, files: list[str]) -> Credential:
    return Credential(kind=Kind(kind), files=tuple(files))


def _reading(loaded: Any, joined: Any, stamps: Any) -> Reading:
    chains, faults, files = loaded
    return Reading(
        loaded=Loaded(
            chains=tuple(_chain(*one) for one in chains),
            faults=tuple(_fault(*one) for one in faults),
            files=tuple(_file(*one) for one in files),
        ),
        joined=joined and Joined(**_named(Joined, joined)),
        stamps=_stamps(stamps),
    )


def _chain(certificates: Any, trust: str, missing: str) -> Chain:
    return Chain(
        certificates=tuple(_certificate(one) for one in certificates),
        trust=Trust(trust),
        missing=missing,
    )


def _certificate(data: Any) -> Certificate:
    given = _named(Certificate, data)
    purposes = given["purposes"]
    given |= {
        "begins": datetime.fromisoformat(given["begins"]),
        "ends": datetime.fromisoformat(given["ends"]),
        "key": Key(**_named(Key, given["key"])),
        "names": tuple(given["names"]),
        "purposes": None if purposes is None else tuple(purposes),
        "problems": tuple(given["problems"]),
    }
    return Certificate(**given)


def _fault(kind: str, *rest: Any) -> Fault:
    return Fault(**_named(Fault, (FaultKind(kind), *rest)))


def _file(*data: Any) -> FileSeen:
    given = _named(FileSeen, data)
    changed = given["changed"]
    return FileSeen(**given | {"changed": changed and datetime.fromisoformat(changed)})


def _named(kind: type, data: Any) -> dict[str, Any]:
    return dict(zip(kind.__dataclass_fields__, data, strict=True))  # type: ignore[attr-defined]
