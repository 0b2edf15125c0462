"""Holds: who is held until when, and what a damaged file means."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell.holds import Holds

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def holds(tmp_path):
    return Holds(str(tmp_path / "state"))


def test_binds_its_instance_until_its_end(holds):
    holds.hold("/etc/postfix", NOW + HOUR, "migration", NOW)
    held = holds.current("/etc/postfix", NOW + HOUR - timedelta(seconds=1))
    assert (held.reason, held.since, held.until) == ("migration", NOW, NOW + HOUR)
    assert holds.current("/etc/postfix", NOW + HOUR) is None
    assert holds.current("/etc/postfix-out", NOW) is None


def test_without_an_end_it_binds_until_released(holds):
    holds.hold("/etc/postfix", None, "tests", NOW)
    assert holds.current("/etc/postfix", NOW + 10_000 * HOUR)
    assert holds.release("/etc/postfix")
    assert holds.current("/etc/postfix", NOW) is None
    before = os.stat(holds.path).st_ino
    assert not holds.release("/etc/postfix")
    assert os.stat(holds.path).st_ino != before, "an agent that watches the file was not woken"


def test_a_new_hold_replaces_the_old_and_leaves_the_others(holds):
    holds.hold("/a", None, "first", NOW)
    holds.hold("/b", None, "other", NOW)
    holds.hold("/a", NOW + HOUR, "second", NOW)
    assert holds.current("/a", NOW).reason == "second"
    assert holds.current("/b", NOW).reason == "other"
    assert os.stat(holds.path).st_mode & 0o777 == 0o600


REFUSED = {
    "no reason": (NOW + HOUR, " ", "needs a reason"),
    "over": (NOW - HOUR, "x", "2026-11-23T00:00:00\\+00:00 is over"),
}


@pytest.mark.parametrize(("until", "reason", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_cannot_be_meant(holds, until, reason, message):
    with pytest.raises(PostkeelError, match=message):
        holds.hold("/a", until, reason, NOW)


DAMAGE = {
    "empty": b"",
    "no JSON": b"\x00\xff",
    "cut": b'{"version": 1, "holds": [{"instance": "/a"',
    "another version": b'{"version": 2, "holds": []}',
    "key missing": b'{"version": 1, "holds": [{"instance": "/a"}]}',
    "no list": b'{"version": 1, "holds": 7}',
    "no table": b"[]",
    "time without zone": b'{"version": 1, "holds": [{"instance": "/a", "reason": "r",'
    b' "since": "2026-11-23T01:00:00", "until": null}]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_holds_every_instance_until_released(holds, content):
    os.makedirs(os.path.dirname(holds.path))
    with open(holds.path, "wb") as file:
        file.write(content)
    held = holds.current("/etc/postfix", NOW)
    assert "holds.json" in held.reason
    assert "postkeel release" in held.reason
    with pytest.raises(PostkeelError, match="not a list of holds"):
        holds.hold("/a", None, "x", NOW)
    assert holds.release("/etc/postfix")
    assert holds.current("/etc/postfix", NOW) is None


def test_a_state_directory_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(PostkeelError, match="cannot be used"):
        Holds(str(tmp_path / "state")).hold("/a", None, "x", NOW)


HOLDER = """
import sys
from datetime import UTC, datetime
from postkeel.shell.holds import Holds
for number in range(10):
    Holds(sys.argv[1]).hold(f"/{sys.argv[2]}{number}", None, "x", datetime.now(UTC))
"""


def test_commands_at_the_same_time_lose_nobodys_hold(tmp_path):
    state = str(tmp_path)
    running = [subprocess.Popen([sys.executable, "-c", HOLDER, state, name]) for name in "abc"]
    assert [one.wait() for one in running] == [0, 0, 0]
    holds = Holds(state)
    missing = [f"/{a}{n}" for a in "abc" for n in range(10) if not holds.current(f"/{a}{n}", NOW)]
    assert missing == []
