"""How much of a certificate's lifetime must be left: fractions of its own lifetime, with floors.

So one setting is right for certificates of a year, of 90, 47 and 6 days.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from postkeel.certificates.names import covers
from postkeel.contract import frozen

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_WHOLE: Final = 100
_MOST_DIGITS: Final = 6
_HOW: Final = 'must be like "20% 1d": percent of the lifetime, and the least time'
_HOW_EACH: Final = 'write them like "/etc/ssl/mx.pem: 30% 5d, 15% 2d"'


@frozen
class Limit:
    """share: of the lifetime. floor: seconds, of which at most half the lifetime counts."""

    share: float
    floor: float

    def of(self, lifetime: float) -> float:
        """The seconds that must be left of a lifetime of so many seconds."""
        return max(self.share * lifetime, min(self.floor, lifetime / 2))


@frozen
class Limits:
    warning: Limit
    error: Limit


@frozen
class Threshold:
    """The limits of the certificates in one file, or for one DNS name."""

    subject: str
    limits: Limits


def parse_limit(text: str) -> Limit | None:
    """ "20% 1d"; either half may be left out. None for anything else."""
    words = text.split()
    share = words.pop(0) if words and words[0].endswith("%") else ""
    if len(words) > 1 or not (share or words):
        return None
    percent = _number(share.removesuffix("%")) if share else 0
    floor = _seconds(words[0]) if words else 0
    if percent is None or percent > _WHOLE or floor is None:
        return None
    return Limit(share=percent / _WHOLE, floor=float(floor))


def _number(digits: str) -> int | None:
    right = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
    return int(digits) if right else None


def _seconds(word: str) -> int | None:
    """Of "1d" or "1h30m", as lengths of time are written everywhere in the configuration."""
    total, digits = 0, ""
    for character in word:
        if character not in _UNITS:
            digits += character
            continue
        number = _number(digits)
        if number is None:
            return None
        total, digits = total + number * _UNITS[character], ""
    return None if digits else total


def limit_fault(text: str) -> str:
    """What is wrong with a limit; "" where it is right."""
    return "" if parse_limit(text) is not None else f"{_HOW}; not {text!r}"


def parse_threshold(entry: str) -> Threshold | None:
    """ "/etc/ssl/mx.pem: 30% 5d, 15% 2d"; None where it is not like that."""
    subject, _, rest = entry.rpartition(":")
    warning, comma, error = rest.partition(",")
    limits = parse_limit(warning), parse_limit(error)
    if not subject.strip() or not comma or limits[0] is None or limits[1] is None:
        return None
    return Threshold(subject=subject.strip(), limits=Limits(warning=limits[0], error=limits[1]))


def thresholds_fault(entries: Iterable[str]) -> str:
    """What is wrong with the first that is wrong; "" where all are right."""
    for entry in entries:
        found = parse_threshold(entry)
        if found is None:
            return f"has {entry!r}, which is no threshold; {_HOW_EACH}"
        if found.limits.error.share > found.limits.warning.share:
            return f"has {entry!r}, whose error comes before its warning; {_HOW_EACH}"
    return ""


class Thresholds:
    """Which limits count for which certificate."""

    def __init__(self, warning: str, error: str, entries: Iterable[str]) -> None:
        nothing = Limit(share=0.0, floor=0.0)
        self._all = Limits(
            warning=parse_limit(warning) or nothing, error=parse_limit(error) or nothing
        )
        found = [one for one in map(parse_threshold, entries) if one is not None]
        self._files = {one.subject: one.limits for one in found}
        self._names = [one for one in found if not one.subject.startswith("/")]

    def of(self, files: Iterable[str], names: tuple[str, ...]) -> Limits:
        """The limits by file come first, then those by name, then those of all."""
        by_file = (self._files[one] for one in files if one in self._files)
        by_name = (one.limits for one in self._names if covers(names, one.subject))
        return next(by_file, None) or next(by_name, None) or self._all
