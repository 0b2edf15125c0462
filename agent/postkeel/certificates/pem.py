"""PEM blocks as OpenSSL's PEM_read_bio finds them, with the lines where they stand.

What stands between the blocks counts for nothing. One block that is not well-formed ends the
reading: OpenSSL refuses the file for it, whatever else the file holds.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterator
from typing import Final

from postkeel.core.frozen import frozen
from postkeel.core.text import one_line

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "
_DASHES: Final = b"-----"
_WHITE: Final = bytes(range(33))
_WIDTH: Final = 64
_LABEL_LIMIT: Final = 60
_LONGEST_LINE: Final = 80
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@frozen
class Block:
    """One PEM block. line: of its BEGIN. encrypted: as the old style's header says.

    problem: what is wrong with the block; then it has no data, and is the last.
    """

    label: str
    line: int
    data: bytes = b""
    encrypted: bool = False
    problem: str = ""


def blocks(text: bytes) -> Iterator[Block]:
    """The blocks of a file, in order. Total: takes any octets."""
    label, begins, lines = b"", 0, list[bytes]()
    for number, line in enumerate(_lines(text), 1):
        if not begins:
            if line.startswith(_BEGIN) and line.endswith(_DASHES):
                label, begins, lines = line[len(_BEGIN) : -len(_DASHES)], number, []
        elif not line.startswith(_END):
            lines.append(line)
        elif line == _END + label + _DASHES:
            made = _block(label, begins, lines)
            yield made
            if made.problem:
                return
            begins = 0
        else:
            shown = one_line(line.decode("ascii", "replace"), _LONGEST_LINE)
            yield _broken(label, begins, f"ends as {shown!r}")
            return
    if begins:
        yield _broken(label, begins, "has no END line: the file is cut short")


def _lines(text: bytes) -> Iterator[bytes]:
    """The lines without the white space at their end; a NUL hides the rest of its line.

    OpenSSL takes a line that begins with a NUL for the end of the file.
    """
    for line in text.removeprefix(_BYTE_ORDER_MARK).split(b"\n"):
        if line.startswith(b"\0"):
            return
        yield line.partition(b"\0")[0].rstrip(_WHITE)


def _block(label: bytes, begins: int, lines: list[bytes]) -> Block:
    """A block of these lines. An empty line ends the header, if there is one."""
    headed = b"" in lines
    empty = lines.index(b"") if headed else 0
    header, body = lines[:empty], lines[empty + headed :]
    if b"" in body:
        return _broken(label, begins, "has empty lines in it")
    if headed and not all(len(one) == _WIDTH for one in body[:-1]):
        return _broken(label, begins, "has lines of other lengths than 64 behind its header")
    try:
        data = a2b_base64(b"".join(b"".join(body).split()), strict_mode=True)
    except ValueError as error:
        return _broken(label, begins, f"is not Base64: {error}")
    if not data:
        return _broken(label, begins, "is empty")
    encrypted = any(one.startswith(b"Proc-Type:") and b"ENCRYPTED" in one for one in header)
    return Block(label=_shown(label), line=begins, data=data, encrypted=encrypted)


def _broken(label: bytes, begins: int, problem: str) -> Block:
    return Block(label=_shown(label), line=begins, problem=problem)


def _shown(label: bytes) -> str:
    return one_line(label.decode("ascii", "replace"), _LABEL_LIMIT)
