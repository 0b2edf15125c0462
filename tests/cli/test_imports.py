"""What a command does not need is not imported: it would cost every run of it."""

import pytest

HEAVY = (
    "asyncio",
    "ctypes",
    "email",
    "hashlib",
    "postkeel.maillog.reader",
    "postkeel.maillog.stored",
    "postkeel.maillog.tally",
    "postkeel.maillog.values",
    "postkeel.shell.agent",
    "postkeel.database",
    "postkeel.shell.log_",
    "postkeel.shell.journal_",
    "postkeel.shell.monitor",
    "postkeel.shell.records",
    "postkeel_plugins.tls_log_monitor.observing",
    "shutil",
    "sqlite3",
    "subprocess",
    "systemd",
)


def imported(run, *words):
    """The modules that import statements brought in, one after the other."""
    told = run(*words, env={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
    lines = [one for one in told.splitlines() if one.startswith("import time:")]
    return [one.rpartition("|")[2].strip() for one in lines]


@pytest.mark.parametrize("command", ["check", "diff"])
def test_looking_imports_neither_the_agent_nor_the_log_monitor(shared_place, command):
    names = imported(shared_place.run, command)
    assert "postkeel_plugins.tls_log_monitor.rules" in names  # of the card, which is read
    assert [one for one in names if one.startswith(HEAVY)] == []


def test_the_version_needs_next_to_nothing(postkeel):
    names = imported(postkeel, "--version")
    assert [one for one in names if one.startswith("postkeel")] == ["postkeel", "postkeel.cli"]
