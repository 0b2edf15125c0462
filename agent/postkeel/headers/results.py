"""Authentication-Results: what a host of one's own found out about a message (RFC 8601)."""

from __future__ import annotations

import re
from typing import Final

from postkeel.core.text import one_line
from postkeel.headers.tokens import words_of
from postkeel.headers.values import Results

MOST_METHODS: Final = 50

_METHOD: Final = re.compile(
    r"([A-Za-z0-9-]{1,40})(?: ?/ ?\d{1,9})? ?= ?([A-Za-z]{1,40})(?:[ ;].*)?", re.DOTALL
)
_LONGEST_HOST: Final = 300


def read_results(value: str) -> Results:
    """Of the field's unfolded value, without properties: which domain, which address.

    Total. `by` is "" where there is none.
    """
    by, *segments = _segments(value)
    host = by.partition(" ")[0].strip('"')
    found = (_METHOD.fullmatch(one) for one in segments[:MOST_METHODS])
    methods = tuple((one[1].lower(), one[2].lower()) for one in found if one)
    return Results(by=one_line(host, _LONGEST_HOST), methods=methods)


def _segments(value: str) -> list[str]:
    """What stands between the semicolons, without comments."""
    segments: list[list[str]] = [[]]
    for word in words_of(value):
        if word == ";":
            segments.append([])
        elif word[0] != "(":
            segments[-1].append(word)
    return [" ".join(words) for words in segments]
