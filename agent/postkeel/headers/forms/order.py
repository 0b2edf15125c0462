"""The forms, the most frequent and the cheapest to tell apart first."""

from __future__ import annotations

from typing import Final

from postkeel.headers.forms import (
    exchange,
    exim,
    generic,
    gmail,
    haraka,
    mox,
    opensmtpd,
    postfix,
    qmail,
    sendmail,
    stalwart,
)
from postkeel.headers.parts import Reader

FORMS: Final[tuple[Reader, ...]] = (
    postfix.read,
    exchange.read,
    gmail.read,
    exim.read,
    sendmail.read,
    opensmtpd.read,
    haraka.read,
    stalwart.read,
    mox.read,
    qmail.read,
    generic.read,  # takes every line, so it is the last
)
