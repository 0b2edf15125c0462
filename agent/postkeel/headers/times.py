"""The time of a Received line, which a stranger may have written."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

# RFC 5322, section 3.3, and the older forms of section 4.3: "22 Nov 26 13:07 GMT".
# Read here and not by email.utils, which differs between releases in what it cannot stand.
_DATE: Final = re.compile(
    r"(?:[A-Za-z]{3,9}\s*+,?\s*+)?(?P<day>\d{1,2})(?:\s+|-)(?P<month>[A-Za-z]{3})[a-z]*(?:\s+|-)"
    r"(?P<year>\d{2,4})\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d{1,9})?)?"
    r"(?:\s*(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})|\s+(?P<zone>[A-Za-z]{1,5}))?"
    r"(?:\s*\(.*)?",
    re.DOTALL | re.ASCII,
)
_MONTHS: Final = "janfebmaraprmayjunjulaugsepoctnovdec"
_ZONES: Final = {
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
}
_LEAP: Final = 60
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
"""Within these a time can be brought to any offset and compared."""


def read_time(text: str) -> datetime | None:
    """Aware, in the offset that is given; None where it is no time. Total.

    A zone that RFC 5322 does not name stands for UTC, as it wants it.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    month, odd = divmod(_MONTHS.find(found["month"].lower()), 3)
    year = _year(found["year"])
    if odd or not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    second = int(found["second"] or 0)
    try:
        return datetime(
            year,
            month + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            59 if second == _LEAP else second,
            tzinfo=timezone(_offset(found)),
        )
    except ValueError:
        return None


def _year(digits: str) -> int:
    """Two and three digits as RFC 5322, section 4.3 reads them."""
    year = int(digits)
    if len(digits) == len("2026"):
        return year
    return year + (2000 if len(digits) == len("26") and year < 50 else 1900)  # noqa: PLR2004


def _offset(found: re.Match[str]) -> timedelta:
    """ValueError for minutes that there are not; `timezone` refuses a day and more."""
    if found["sign"] is None:
        return timedelta(hours=_ZONES.get((found["zone"] or "").upper(), 0))
    minutes = int(found["minutes"])
    if minutes >= 60:  # noqa: PLR2004
        raise ValueError(minutes)
    offset = timedelta(hours=int(found["hours"]), minutes=minutes)
    return -offset if found["sign"] == "-" else offset
