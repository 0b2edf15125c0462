"""What tests of the shell share."""

import os
import sys

import pytest


@pytest.fixture(autouse=True)
def _programs_see_what_the_test_sees(monkeypatch):
    """Python programs that a test starts import the same tree and libraries as the test."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
