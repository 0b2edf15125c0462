"""The package's own autopkgtest, so that it does not fail for the first time at Debian's."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.system

TESTS = Path(__file__).resolve().parents[2] / "packaging/debian/tests"


def test_it_passes(boot_server, package):
    # One release is enough: what it looks at is looked at on each of them beside it.
    with boot_server("trixie") as server:
        server.debian.install(package)
        for one in (TESTS / "control").read_text().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in one.strip().splitlines())
            if "Tests" in fields:
                server.debian.take(TESTS / fields["Tests"], "/root/test")
            command = fields.get("Test-Command", "/root/test")
            server.debian.run("bash", "-euc", command, seconds=400)
