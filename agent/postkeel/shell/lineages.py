"""Finds what a renewer keeps for this host: directories with fullchain.pem and privkey.pem.

Security: only what root owns counts, directory and files, for Postfix would show it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from postkeel.certificates.names import covers
from postkeel.certificates.values import Credential, Kind, Loaded

MOST = 100
"""Directories of one renewer that are looked at for a certificate that covers the name."""

_FILES = ("fullchain.pem", "privkey.pem")


def named(lineages: Iterable[str], names: Iterable[str]) -> tuple[Credential, ...]:
    """For each name of the server the pair that a renewer would keep for it, there or not."""
    wanted = [one for one in names if "/" not in one and not one.startswith(".")]
    return tuple(_pair(os.path.join(place, one)) for place in lineages for one in wanted)


def candidates(lineages: Iterable[str], names: Iterable[str]) -> tuple[Credential, ...]:
    """The pairs that may be of use to a server with these names: those named like it first."""
    places = tuple(lineages)
    first = [one for one in named(places, names) if _is_there(one)]
    others = (_pair(directory) for place in places for directory in _directories(place))
    return tuple(dict.fromkeys((*first, *(one for one in others if _is_there(one)))))


def places_of(lineages: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """The files that would be offered, there or not, and the directories that say of more."""
    places = tuple(lineages)
    pairs = (*named(places, names), *candidates(places, names))
    files = [file for pair in pairs for file in pair.files]
    return tuple(dict.fromkeys((*places, *map(os.path.dirname, files), *files)))


def is_offered(loaded: Loaded, name: str) -> bool:
    """Whether Postfix could use it at once: whole, root's, and for this name."""
    owned = all(one.owner == 0 and not one.problem for one in loaded.files)
    if not owned or any(one.breaks for one in loaded.faults) or not loaded.chains:
        return False
    return covers(loaded.chains[0].leaf.names, name)


def _directories(place: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(place))
    except OSError:  # no such renewer here
        return
    yield from (os.path.join(place, one) for one in names[:MOST])


def _pair(directory: str) -> Credential:
    certificate, key = (os.path.join(directory, one) for one in _FILES)
    return Credential(kind=Kind.PAIR, files=(certificate, key))


def _is_there(pair: Credential) -> bool:
    try:
        owner = os.stat(os.path.dirname(pair.files[0])).st_uid
    except OSError:
        return False
    return owner == 0 and all(os.path.exists(one) for one in pair.files)
