"""What every test may ask for."""

from __future__ import annotations

import contextlib
import os

import pytest

import private_postfix as bed


def _needs_postfix() -> None:
    """Skip where no private Postfix can run; in CI that is a failure."""
    reason = bed.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def start_postfix():
    """A function that starts a private Postfix for this test: see `private_postfix`."""
    _needs_postfix()
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(bed.private_postfix(**settings))


@pytest.fixture(scope="module")
def shared_postfix():
    """A private Postfix in Debian's default state for tests of a module that only look."""
    _needs_postfix()
    with bed.private_postfix() as postfix:
        yield postfix
