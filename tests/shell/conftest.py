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
        user, group, groups = os.geteuid(), os.getegid(), os.getgroups()
        if user == 0:
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)
            if user == 0:
                os.setegid(group)
                os.setgroups(groups)

    return within()
