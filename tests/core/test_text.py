"""Strangers' text on one line: table of what must be visible, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.text import LINE_LIMIT, did_you_mean, one_line

SHOWN = {
    "plain": ("Postfix: größer als TLS 1.2 ✓", "Postfix: größer als TLS 1.2 ✓"),
    "escape sequence": ("\x1b[2J\x1b]0;x\x07", "\\x1b[2J\\x1b]0;x\\x07"),
    "line ends": ("a\nb\r\nc\td", "a\\nb\\r\\nc\\td"),
    "forged second line": ("x\npostkeel[1]: clean", "x\\npostkeel[1]: clean"),
    "NUL and DEL": ("\x00\x7f", "\\x00\\x7f"),
    "C1 (a one-character escape)": ("\x9b31m", "\\x9b31m"),
    "no-break space": ("may\xa0", "may\\xa0"),
    "line and paragraph separator": ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
    "writing direction": ("\u202eevil\u2066", "\\u202eevil\\u2066"),
    "byte order mark": ("\ufeffa", "\\ufeffa"),
    "zero width": ("a\u200bb", "a\\u200bb"),
    "bytes that are no UTF-8": (b"caf\xe9".decode(errors="surrogateescape"), "caf\\xe9"),
    "lone surrogate": ("\ud800", "\\ud800"),
    "tag characters": ("\U000e0041", "\\U000e0041"),
    "backslash stays": ("a\\nb", "a\\nb"),
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.values(), ids=SHOWN)
def test_shows_what_a_terminal_would_act_on(text, shown):
    assert one_line(text) == shown


CUT = {
    "fits exactly": ("a" * 10, 10, "a" * 10),
    "one too many": ("a" * 11, 10, "aaaaa[...]"),
    "never inside a character": ("ä" * 10, 10, "ää[...]"),
    "escapes count": ("\x00" * 3, 11, "\\x00\\x[...]"),
    "no room": ("abcdef", 3, "[.."),
    "none at all": ("abcdef", 0, ""),
}


@pytest.mark.parametrize(("text", "limit", "shown"), CUT.values(), ids=CUT)
def test_cuts_with_a_mark(text, limit, shown):
    assert one_line(text, limit) == shown


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("smtpd-protocol", ["smtpd-protocols", "key-file"], "; did you mean smtpd-protocols?"),
        ("pint", ["print", "point"], "; did you mean print or point?"),
        ("smtpd-protocols", ["key-file"], ""),
        ("x", [], ""),
    ],
)
def test_offers_the_words_that_are_close(word, known, hint):
    assert did_you_mean(word, known) == hint


@given(st.text(st.characters(), max_size=3000), st.integers(0, 3000))
def test_is_total_bounded_printable_and_settled(text, limit):
    line = one_line(text, limit)
    assert len(line.encode()) <= limit
    assert line.isprintable()
    assert one_line(line, limit) == line


@given(st.binary(max_size=200))
def test_takes_any_bytes_that_a_file_may_hold(raw):
    assert one_line(raw.decode(errors="surrogateescape"), LINE_LIMIT).isprintable()
