"""Lengths of time: what is understood, and what is refused with a hint."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.duration import parse_duration
from postkeel.core.errors import PostkeelError

UNDERSTOOD = {
    "30m": timedelta(minutes=30),
    "2h": timedelta(hours=2),
    "1d": timedelta(days=1),
    "1h30m": timedelta(minutes=90),
    "90s": timedelta(seconds=90),
    " 1w ": timedelta(weeks=1),
    "3650d": timedelta(days=3650),
}


@pytest.mark.parametrize(("text", "length"), UNDERSTOOD.items(), ids=UNDERSTOOD)
def test_understands(text, length):
    assert parse_duration(text) == length


REFUSED = ["", "0m", "2", "h", "2 h", "-1h", "1.5h", "2H", "2hours", "h2", "²h", "1h30", "9" * 40]


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_with_a_hint(text):
    with pytest.raises(PostkeelError, match="write one like 30m"):
        parse_duration(text)


def test_refuses_what_nobody_means():
    with pytest.raises(PostkeelError, match="longer than ten years"):
        parse_duration("3651d")


@given(st.text(alphabet="0123456789smhdw x", max_size=12))
def test_gives_a_length_or_an_error_of_its_own(text):
    with suppress(PostkeelError):
        assert parse_duration(text) > timedelta()
