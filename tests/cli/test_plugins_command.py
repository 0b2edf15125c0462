"""Plugins as an administrator gets them: installed packages, and single files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "example_plugin"
BROKEN = {
    "broken_import": ("import no_such_module\n", "ModuleNotFoundError"),
    "no_card": ("x = 1\n", "keel_card"),
    "leaves": ("raise SystemExit(3)\n", "SystemExit"),
}


@pytest.fixture
def directory(place):
    made = place.directory / "plugins"
    made.mkdir(mode=0o755)
    place.configure(f'plugin_directory = "{made}"\n')
    return made


def test_the_built_in_ones_with_their_options(place):
    document = place.json("plugins", status=0)
    known = {one["name"]: one for one in document["plugins"]}
    assert known.keys() >= {"config_enforcer", "syslog"}
    assert known["config_enforcer"]["options"]["check_interval"] == 900
    assert document["rejected"] == []
    assert "check_interval = 900: seconds between" in place.run("plugins").stdout


def test_tables_and_rules_are_told(place):
    place.configure('[plugins.tls_log_monitor]\nkept_days = 7\npeers = "none"\n')
    document = place.json("plugins", status=0)
    monitor = next(one for one in document["plugins"] if one["name"] == "tls_log_monitor")
    failures = next(one for one in monitor["tables"] if one["name"] == "failures")
    assert failures == {
        "name": "failures",
        "key": ["hour", "name", "direction", "reason", "peer"],
        "counters": ["count"],
        "folds": "peer",
        "kept_days": 7,
        "most_rows": 200_000,
    }
    assert "tls-disabled" in monitor["rules"]
    text = place.run("plugins").stdout
    assert '  peers = "none": how peers are kept' in text
    assert "  rules: clear-text-after-tls, " in text
    assert (
        "  table failures: count by hour, name, direction, reason, peer; kept 7 days,"
        " 200,000 rows at most; rare values of peer become (others)\n"
    ) in text
    assert "  table lines: lines by hour, source; kept 7 days, 200,000 rows at most\n" in text


def test_rejected_ones_are_listed_with_the_reason_and_the_rest_works(place, directory):
    for name, (text, _) in BROKEN.items():
        (directory / f"{name}.py").write_text(text)
    document = place.json("plugins", status=2)
    rejected = {one["name"]: one["reason"] for one in document["rejected"]}
    assert rejected.keys() == BROKEN.keys()
    for name, (_, reason) in BROKEN.items():
        assert reason in rejected[name]
    assert "rejected broken_import: ModuleNotFoundError" in place.run("plugins").stdout
    assert place.json("check", status=2)["instances"][0]["findings"]


def test_a_file_that_others_can_write_is_not_run(place, directory):
    (directory / "open.py").write_text("open('/tmp/should-not-be', 'w')\n")
    (directory / "open.py").chmod(0o666)
    (rejected,) = place.json("plugins", status=2)["rejected"]
    assert "must belong to root and be writable by nobody else" in rejected["reason"]


def test_a_directory_that_others_can_write_is_refused(place, directory):
    directory.chmod(0o777)
    assert "plugins: must belong to root" in place.error("check")


def test_a_plugin_that_raises_is_named_and_the_rest_goes_on(place, directory):
    (directory / "raises.py").write_text(
        "from postkeel.contract import Card, Side, hookimpl\n"
        "@hookimpl\ndef keel_card():\n"
        "    return Card(name='raises', summary='x', side=Side.ROOT)\n"
        "@hookimpl\ndef keel_observe(event):\n    raise ValueError('\\x1b[2Jno')\n"
    )
    done = place.run("check")
    assert done.returncode == 2
    assert "problem plugin raises: keel_observe: ValueError: \\x1b[2Jno" in done.stdout
    assert "smtpd-protocols" in done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The worked example built into a wheel and installed, its directory on the path."""
    target = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "banner_plugin.py"):
        (source / name).write_text((EXAMPLE / name).read_text())
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    if "No module named" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip("building a wheel needs pip and hatchling")
    assert done.returncode == 0, done.stderr
    return target


def test_the_worked_example_is_found_checks_and_corrects(place, installed):
    place.configure('[plugins.banner]\nbanner = "$myhostname ESMTP ours"\n')
    with (place.etc / "main.cf").open("a") as file:
        file.write("smtpd_banner = $myhostname ESMTP $mail_version\n")
    path = {"PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(installed)])}
    listed = place.run("plugins", env=path)
    assert listed.returncode == 0, listed.stdout
    assert "banner (root): the SMTP banner does not tell the Postfix version" in listed.stdout
    assert "banner-without-version" in place.run("check", env=path).stdout
    assert "tells a scanner" in place.run("explain", "banner-without-version", env=path).stdout
    assert place.run("enforce", env=path).returncode == 0
    written = (place.etc / "main.cf").read_text()
    assert "smtpd_banner = $myhostname ESMTP ours\n" in written
    assert "banner" not in place.run("plugins").stdout
