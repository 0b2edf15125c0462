"""The defaults that the rule cases are judged by are those of the real releases."""

import os

import pytest

from postkeel.postfix.instance import parse_version
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.command import find_program

STORED = {(3, 7), (3, 10), (3, 11)}


@pytest.fixture
def installed(tmp_path):
    """What the installed Postfix says of itself."""
    for name in ("main.cf", "master.cf"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    answers = DefaultsCache()
    answers.begin(find_program("postconf"), str(tmp_path))
    return answers.get()


def test_the_stored_defaults_are_those_of_this_postfix(installed, stored_defaults):
    version = installed.defaults["mail_version"]
    if parse_version(version)[:2] not in STORED:
        pytest.skip(f"no defaults of Postfix {version} are stored")
    stored = stored_defaults(version)
    assert {name: value for name, value in installed.defaults.items() if "tls" in name} == {
        name: value for name, value in stored.items() if "tls" in name
    }
