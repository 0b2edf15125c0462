"""The trace fields of a header: Received and Authentication-Results, unfolded.

Of anything that is given as a message; what else it holds is not kept.
"""

from __future__ import annotations

import re
from bisect import bisect
from typing import Final

from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

LONGEST_HEADER: Final = 16 << 20
LONGEST_FIELD: Final = 64 << 10
LONGEST_TRACE: Final = 1 << 20
"""Octets of all fields of one name that are read together: twice what 1,000 hops need."""
MOST_HOPS: Final = 1000
MOST_RESULTS: Final = 100

_END: Final = re.compile(rb"\n\r?\n")
_NEXT_FIELD: Final = re.compile(rb"\n(?![ \t])")


def _beginning(name: str) -> re.Pattern[bytes]:
    """Without the flag for either case the line end is searched for in a tenth of the time."""
    letters = (f"[{one}{one.lower()}]" if one.isalpha() else one for one in name.upper())
    return re.compile(rb"\n" + "".join(letters).encode() + rb"[ \t]*+:")


_RECEIVED: Final = _beginning("Received")
_RESULTS: Final = _beginning("Authentication-Results")
_NO_FIELD: Final = re.compile(rb"\n(?!(?:[!-9;-~]++[ \t]*+:|[ \t]))[^\n]")


@frozen
class Trace:
    """The values of the fields, newest first as they stand in a header, each one printable line.

    above: how many Received fields stand above each of the results. problems: what could not be
    read, a sentence each.
    """

    received: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    above: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()


def trace_of(octets: bytes) -> Trace:
    """Of a message or its header, with CRLF or LF, behind the "From " line of an mbox or not.

    Total; in time and memory bounded by what is given, which is looked at as far as the first
    empty line.
    """
    problems: list[str] = []
    header = _header_of(octets, problems)
    received = _fields(header, _RECEIVED, MOST_HOPS, "Received", problems)
    results = _fields(header, _RESULTS, MOST_RESULTS, "Authentication-Results", problems)
    if header[1:2] in (b" ", b"\t") or _NO_FIELD.search(header):
        problems.append("the header has lines that are no field")
    places = [start for start, _ in received]
    return Trace(
        received=tuple(_unfolded(value) for _, value in received),
        results=tuple(_unfolded(value) for _, value in results),
        above=tuple(bisect(places, start) for start, _ in results),
        problems=tuple(problems),
    )


def _header_of(octets: bytes, problems: list[str]) -> bytes:
    """The header with a line end before each field, the first too."""
    if octets.startswith((b"\n", b"\r\n")):
        return b""
    end = _END.search(octets, 0, LONGEST_HEADER)
    until = end.start() if end else LONGEST_HEADER
    if until < len(octets) and end is None:
        problems.append(f"the header is longer than {LONGEST_HEADER >> 20} MiB and is cut there")
    header = b"\n" + octets[:until]
    if header.startswith(b"\nFrom "):
        after = header.find(b"\n", 1)
        return header[after:] if after > 0 else b""
    return header


def _fields(
    header: bytes, wanted: re.Pattern[bytes], most: int, name: str, problems: list[str]
) -> list[tuple[int, bytes]]:
    """Where each begins, and its value as it stands there."""
    fields: list[tuple[int, bytes]] = []
    read = cut = 0
    for found in wanted.finditer(header):
        if len(fields) == most or read > LONGEST_TRACE:
            total = sum(1 for _ in wanted.finditer(header))
            problems.append(f"of {total} fields {name} only the first {len(fields)} are read")
            break
        end = _NEXT_FIELD.search(header, found.end())
        until = end.start() if end else len(header)
        kept = min(until, found.end() + LONGEST_FIELD)
        cut += kept < until
        read += kept - found.end()
        fields.append((found.start(), header[found.end() : kept]))
    if cut:
        problems.append(
            f"fields {name} that are longer than {LONGEST_FIELD >> 10} KiB and are cut: {cut}"
        )
    return fields


def _unfolded(field: bytes) -> str:
    """One printable line: folds and tabs are blanks, what a terminal would act on is shown."""
    text = field.decode("utf-8", "surrogateescape")
    plain = text.replace("\r\n", "").replace("\n", "").replace("\t", " ").strip()
    return one_line(plain, len(field) * 8)
