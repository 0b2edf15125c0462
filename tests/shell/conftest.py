"""What tests of the shell share."""

import contextlib
import os
import sys

import pytest


@pytest.fixture(autouse=True)
def _programs_see_what_the_test_sees(monkeypatch):
    """Python programs that a test starts import the same tree and libraries as the test."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


@pytest.fixture
def as_nobody():
    """Within it the test is nobody, where it was root."""

    @contextlib.contextmanager
    def within():
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(was)

    return within()
