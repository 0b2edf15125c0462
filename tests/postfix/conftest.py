"""The oracle: real postconf on a directory of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PLAIN_MASTER = b"smtp inet n - y - - smtpd\n"


class Postconf:
    """Asks the installed postconf about a main.cf and a master.cf given as bytes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rejection = ""

    def write(self, main_cf: bytes = b"", master_cf: bytes = PLAIN_MASTER) -> None:
        """Both files, dated back: Postfix waits for two seconds until a main.cf is cool."""
        for name, content in (("main.cf", main_cf), ("master.cf", master_cf)):
            (self.directory / name).write_bytes(content)
            os.utime(self.directory / name, (1, 1))

    def lines(self, *options: str) -> list[str] | None:
        """The lines that it prints, None when it is fatal."""
        done = subprocess.run(
            ["/usr/sbin/postconf", "-c", self.directory, *options],
            capture_output=True,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin"},
        )
        self.rejection = done.stderr.decode("utf-8", "surrogateescape")
        if done.returncode:
            return None
        return done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]

    def pairs(self, *options: str) -> dict[str, str] | None:
        """What it prints as `name = value`, None when it is fatal.

        Without the config_directory that 3.7 lists when it is asked with -c.
        """
        lines = self.lines(*options)
        if lines is None:
            return None
        found = dict(line.split(" = ", 1) if " = " in line else (line[:-2], "") for line in lines)
        if found.get("config_directory") == str(self.directory):
            del found["config_directory"]
        return found


@pytest.fixture(scope="session")
def postconf(tmp_path_factory) -> Postconf:
    return Postconf(tmp_path_factory.mktemp("postconf"))


@pytest.fixture(scope="session")
def built_in(postconf) -> frozenset[str]:
    """The names that this Postfix has defaults for."""
    postconf.write()
    return frozenset(postconf.pairs("-d"))


@pytest.fixture(scope="session")
def read_only(postconf, built_in) -> frozenset[str]:
    """The names that main.cf cannot set."""
    postconf.write("".join(f"{name} = x\n" for name in sorted(built_in)).encode())
    found = postconf.pairs("-n") or {}
    return frozenset(built_in - set(found))


class Fatal:
    """How many files that Postfix refuses a test has met: each costs postconf a second."""

    most = 5

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def fatal() -> Fatal:
    return Fatal()
