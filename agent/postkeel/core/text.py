"""Text that strangers wrote, made fit for one line of a log or a terminal."""

from __future__ import annotations

from collections.abc import Iterable

LINE_LIMIT = 2048
"""Octets of UTF-8 that every syslog receiver should take (RFC 5424, section 6.1)."""

_CUT = "[...]"
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    r"""The text as one printable line of at most `limit` octets of UTF-8.

    Whatever a terminal or a log would act on instead of showing it (controls,
    line ends, escapes, byte order marks, marks of writing direction, bytes that
    are no UTF-8) is shown as `\x1b` and the like. A text that is too long is
    cut between two characters and ends in `[...]`. Total; a second call changes
    nothing. Not reversible: a backslash stands for itself.
    """
    shown = text if text.isprintable() else "".join(map(_shown, text))
    octets = shown.encode()
    if len(octets) <= limit:
        return shown
    room = limit - len(_CUT)
    if room < 0:
        return _CUT[: max(limit, 0)]
    return octets[:room].decode(errors="ignore") + _CUT


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004  a byte that surrogateescape carries
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:  # noqa: PLR2004
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean smtpd-protocols?", or nothing when no known word is close."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
