"""Reads Prometheus's text format as its grammar says, for tests."""

from __future__ import annotations

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (.+)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (gauge|counter)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')

Labels = tuple[tuple[str, str], ...]


def exposition(text: str) -> dict[str, dict[Labels, float]]:
    """The samples of each metric by their labels.

    Errors: ValueError for what is no such text: a metric without HELP and TYPE, or in two
    places, a sample given twice, a time behind a sample, no newline at the end.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    found: dict[str, dict[Labels, float]] = {}
    helped = typed = current = ""
    for line in text[:-1].split("\n"):
        if match := _HELP.fullmatch(line):
            helped = match[1]
        elif match := _TYPE.fullmatch(line):
            typed = current = match[1]
            if typed != helped or typed in found:
                raise ValueError(f"{line!r} stands in the wrong place, or twice")
            found[current] = {}
        elif match := _SAMPLE.fullmatch(line):
            if match[1] != current:
                raise ValueError(f"{line!r} stands below another metric")
            labels = _labels(match[2] or "")
            if labels in found[current]:
                raise ValueError(f"{line!r} is given twice")
            found[current][labels] = float(match[3])
        else:
            raise ValueError(f"{line!r} is no line of the format")
    return found


def _labels(text: str) -> Labels:
    labels = []
    while text:
        match = _LABEL.match(text)
        if match is None:
            raise ValueError(f"{text!r} are no labels")
        value = re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], match[2])
        labels.append((match[1], value))
        text = text[match.end() :]
    return tuple(labels)
