"""How reporters stand, as `postkeel status` shows it."""

from __future__ import annotations

import os
import time

import pytest

REPORTER = """\
import os
import time
from postkeel.contract import Card, Side, Standing, hookimpl

@hookimpl
def keel_card():
    return Card(name="{name}", summary="reports to far away", side=Side.{side})

@hookimpl
def keel_status(options, place):
    {body}
"""
WAITS = 'return Standing(said=("12 wait\\x1b[2J: " + place.state,), waiting=12, dropped={dropped})'


@pytest.fixture
def directory(place):
    made = place.directory / "plugins"
    made.mkdir(mode=0o755)
    place.configure(f'plugin_directory = "{made}"\n')
    return made


def reporter(directory, name, body, side="MONITOR"):
    text = REPORTER.format(name=name, side=side, body=body)
    (directory / f"{name}.py").write_text(text)


def test_what_waits_is_shown_and_what_hides_nothing(place, directory):
    reporter(directory, "far", WAITS.format(dropped=0))
    reporter(directory, "root_side", WAITS.format(dropped=0), "ROOT")
    reporter(directory, "silent", "return None")
    reporter(directory, "broken", "raise OSError('no spool')")
    document = place.json("status", status=2)
    state = str(place.state / "monitor")
    assert document["reporters"] == [
        {"name": "far", "said": [f"12 wait\x1b[2J: {state}"], "waiting": 12, "dropped": 0}
    ]
    assert document["problems"] == ["plugin broken: keel_status: OSError: no spool"]
    assert document["instances"][0]["config_directory"] == str(place.etc)
    done = place.run("status")
    assert f"\nfar: 12 wait\\x1b[2J: {state}\n" in done.stdout
    assert "\nproblem: plugin broken: keel_status: OSError: no spool\n" in done.stdout
    assert "dropped" not in done.stdout


def test_what_was_dropped_is_said(place, directory):
    reporter(directory, "far", WAITS.format(dropped=7))
    assert "\nfar: 7 reports were dropped in all\n" in place.run("status").stdout


def test_one_that_hangs_does_not_keep_the_status_from_being_shown(place, directory):
    reporter(directory, "hangs", "time.sleep(60)")
    began = time.monotonic()
    document = place.json("status", status=2)
    assert time.monotonic() - began < 40
    (problem,) = document["problems"]
    assert "hangs: keel_status: TimeoutError" in problem


def test_a_bad_option_is_a_problem_and_no_end(place):
    place.configure("[plugins.tls_log_monitor]\nkept_days = 0\n")
    (problem,) = place.json("status", status=2)["problems"]
    assert "postkeel.toml:6: option 'kept_days' must be at least 1" in problem


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_files_of_the_monitor_are_read_as_its_user(place, directory):
    body = "return Standing(said=(str((os.getresuid(), os.getresgid(), os.getgroups())),))"
    reporter(directory, "who", body)
    monitor = place.state / "monitor"
    monitor.mkdir(parents=True)
    os.chown(monitor, 65533, 65532)
    (who,) = place.json("status")["reporters"]
    assert who["said"] == [f"({(65533,) * 3}, {(65532,) * 3}, [])"]
