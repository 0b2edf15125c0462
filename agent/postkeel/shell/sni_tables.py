"""Reads the tables of tls_server_sni_maps: which names they have, and which certificates.

An indexed table holds keys and certificates as they were when `postmap -F` made it; in the file
that it was made from, and in tables that Postfix reads as they are, stand names of files. Tables
in a network are only asked for the server's own names.
"""

from __future__ import annotations

import binascii
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from postkeel.certificates.pem import blocks
from postkeel.certificates.stored import Listing
from postkeel.certificates.tables import (
    ENDINGS,
    PATTERNS,
    files_of,
    is_remote,
    split_table,
)
from postkeel.certificates.uses import Entries
from postkeel.certificates.values import Table
from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.core.text import one_line
from postkeel.postfix.logical_lines import logical_lines
from postkeel.postfix.references import split_list
from postkeel.shell.certificate_files import stamp
from postkeel.shell.command import find_program, run

DEADLINE = 5.0
MOST_ENTRIES = 10_000
_LARGEST = 64 << 20
_MOST_NAMES = 20
_LONGEST_NAME = 255
_HEAD = 2048
"""Octets of a cdb file before its first record; the first four of them say where these end."""

Held = Mapping[str, bytes]
"""The PEM text that a table holds for each name."""


class SniTables:
    """Reads tables, all of them within DEADLINE.

    readable: a configuration directory that postmap reads without waiting. names: the
    server's own.
    """

    def __init__(
        self,
        readable: str,
        names: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._readable = readable
        self._names = names
        self._clock = clock
        self._ends = clock() + DEADLINE

    def read(self, table: str) -> tuple[Listing, Held]:
        """The table with its entries, and what it holds for those that are without files.

        Total: what could not be read or looked at is told in the table's `problem`.
        """
        kind, name = split_table(table)
        stamps = {one: stamp(one) for one in files_of(table)}
        try:
            if kind in ENDINGS:
                listing, held = self._indexed(table, kind, name)
            elif is_remote(table):
                listing, held = self._asked(table, kind, name)
            else:
                listing, held = _plain(table, name, self._plain_entries(kind, name)), {}
        except (PostkeelError, OSError, ValueError) as error:
            problem = one_line(f"{table}: {error}", 400)
            unread = Table(name=table, indexed=kind in ENDINGS, problem=problem)
            listing, held = Listing(table=unread), {}
        return replace(listing, stamps=stamps), held

    def _indexed(self, table: str, kind: str, name: str) -> tuple[Listing, Held]:
        held = self._held(kind, name)
        has_source = os.path.isfile(name)
        entries = _source(name) if has_source else tuple((one, ()) for one in held)
        listing = Listing(
            table=Table(
                name=table,
                indexed=True,
                source=name if has_source else "",
                held={one: leaves(pem) for one, pem in held.items()},
                problem=_limit(table, len(entries)) or _not_made_for_it(table, held),
            ),
            entries=entries[:MOST_ENTRIES],
        )
        return listing, {} if has_source else held

    def _held(self, kind: str, name: str) -> Held:
        """What the table holds; a cdb file is read here, for postmap cannot list one."""
        pairs = _records(name + ENDINGS[kind]) if kind == "cdb" else self._pairs(f"{kind}:{name}")
        return {one: _decoded(value) for one, value in pairs}

    def _plain_entries(self, kind: str, name: str) -> Entries:
        """Those of a table that Postfix reads as it is."""
        if kind == "static":
            return (("", _files(name)),)
        if kind == "inline":
            return tuple((one, _files(value)) for one, value in self._pairs(f"inline:{name}"))
        return _patterns(name) if kind in PATTERNS else _source(name)

    def _pairs(self, table: str) -> Iterator[tuple[str, str]]:
        """Each key with its value, as Postfix reads them."""
        for line in self._postmap("-s", table).split("\n")[:-1]:
            name, _, value = line.partition("\t")
            yield one_line(name, _LONGEST_NAME), value

    def _asked(self, table: str, kind: str, name: str) -> tuple[Listing, Held]:
        held: dict[str, bytes] = {}
        for one in self._names[:_MOST_NAMES]:
            answer = self._postmap("-F", "-q", one, f"{kind}:{name}", missing=True)
            if answer:
                held[one] = answer.encode("utf-8", "surrogateescape")
        asked = ", ".join(self._names[:_MOST_NAMES])
        problem = f"{table}: a table of this type cannot be listed; looked at was: {asked}"
        listing = Listing(
            table=Table(name=table, problem=one_line(problem, 400)),
            entries=tuple((one, ()) for one in held),
        )
        return listing, held

    def _postmap(self, *words: str, missing: bool = False) -> str:
        """What postmap says. missing: status 1 without a word is a name that is not there."""
        left = self._ends - self._clock()
        if left <= 0:
            raise PostfixError(f"not looked at: {DEADLINE:g} s for all tables were over")
        answer = run([find_program("postmap"), "-c", self._readable, *words], left)
        if answer.status != 0 and not (missing and not answer.stderr.strip()):
            raise PostfixError(answer.stderr.strip().rpartition("\n")[2] or "cannot be read")
        return answer.stdout


def leaves(pem: bytes) -> tuple[str, ...]:
    """The sha256 of each certificate that comes right after a private key."""
    from hashlib import sha256

    found, after_key = [], False
    for block in blocks(pem):
        if block.label == "CERTIFICATE" and after_key:
            found.append(sha256(block.data).hexdigest())
        after_key = block.label.endswith("PRIVATE KEY")
    return tuple(found)


def _plain(table: str, name: str, entries: Entries) -> Listing:
    source = name if name in files_of(table) else ""
    return Listing(
        table=Table(name=table, source=source, problem=_limit(table, len(entries))),
        entries=entries[:MOST_ENTRIES],
    )


def _limit(table: str, entries: int) -> str:
    if entries <= MOST_ENTRIES:
        return ""
    return one_line(f"{table}: of {entries} entries the first {MOST_ENTRIES} were looked at", 400)


def _not_made_for_it(table: str, held: Held) -> str:
    if all(held.values()):
        return ""
    direct = table.removeprefix("proxy:")
    return one_line(f"{table}: it does not hold certificates; run `postmap -F {direct}`", 400)


def _decoded(value: str) -> bytes:
    """What `postmap -F` has put into a table; nothing where it did not make it."""
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return b""


def _files(value: str) -> tuple[str, ...]:
    text = value.strip()
    braced = text.startswith("{") and text.endswith("}")
    return tuple(split_list(text[1:-1] if braced else text))


def _source(path: str) -> Entries:
    """The entries of a text file, of names that are there twice the first one.

    postmap and smtpd would say the same, but wait until the file is two seconds old.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in _lines(path):
        name, *value = line.split(None, 1)
        if value:
            found.setdefault(one_line(name.lower(), _LONGEST_NAME), _files(value[0]))
    return tuple(found.items())


def _patterns(path: str) -> Entries:
    """The values of a table of patterns: what follows a pattern and its flags."""
    values = map(_after_pattern, _lines(path))
    return tuple(("", _files(one)) for one in values if one)


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        text = file.read(_LARGEST)
    return [one.text for one in logical_lines(text) if not one.ignored and one.text.strip()]


def _after_pattern(line: str) -> str:
    """The value of a line such as "!/pattern/flags value"; "" of one that has none."""
    words = line.lstrip("!").split(None, 1)
    if words[0].lower() in ("if", "endif"):
        return ""
    text = line.lstrip("!").lstrip()
    begins, end = 0, text[0]
    if not end.isalnum() and end not in ":[":
        begins = 1
        while begins < len(text) and text[begins] != end:
            begins += 2 if text[begins] == "\\" else 1
    return "".join(text[begins:].split(None, 1)[1:])


def _records(path: str) -> Iterator[tuple[str, str]]:
    """Each key with its value of a cdb file (https://cr.yp.to/cdb/cdb.txt)."""
    with open(path, "rb") as file:
        content = file.read(_LARGEST)
    ends = int.from_bytes(content[:4], "little")
    at = _HEAD
    while at + 8 <= ends:
        middle = at + 8 + int.from_bytes(content[at : at + 4], "little")
        end = middle + int.from_bytes(content[at + 4 : at + 8], "little")
        if end > len(content):
            raise PostfixError("the file is cut short or damaged")
        key = content[at + 8 : middle].rstrip(b"\0")
        value = content[middle:end].rstrip(b"\0").decode("ascii", "replace")
        yield one_line(key.decode("utf-8", "surrogateescape"), _LONGEST_NAME), value
        at = end
