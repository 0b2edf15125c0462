"""The oracle: real postconf on a directory of its own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PLAIN_MASTER = b"smtp inet n - y - - smtpd\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What postconf said; `lines` is None when it was fatal."""

    directory: str
    lines: list[str] | None
    said: str

    def pairs(self) -> dict[str, str] | None:
        """What it printed as `name = value`, None when it was fatal.

        Without the config_directory that 3.7 lists when it is asked with -c.
        """
        if self.lines is None:
            return None
        found = dict(
            line.split(" = ", 1) if " = " in line else (line[:-2], "") for line in self.lines
        )
        if found.get("config_directory") == self.directory:
            del found["config_directory"]
        return found


class Postconf:
    """Asks the installed postconf about a main.cf and a master.cf given as bytes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def ask(self, *options: str, main_cf: bytes = b"", master_cf: bytes = PLAIN_MASTER) -> Answer:
        return self.ask_all([(main_cf, master_cf)], *options)[0]

    def ask_all(self, files: list[tuple[bytes, bytes]], *options: str) -> list[Answer]:
        """The answers about many pairs of files, asked for at once: a fatal one takes a second."""
        asked = []
        for number, (main_cf, master_cf) in enumerate(files):
            place = self.directory / str(number)
            place.mkdir(exist_ok=True)
            for name, content in (("main.cf", main_cf), ("master.cf", master_cf)):
                (place / name).write_bytes(content)
                # Postfix waits until a main.cf is two seconds old.
                os.utime(place / name, (1, 1))
            command = ["/usr/sbin/postconf", "-c", place, *options]
            environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin"}
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            asked.append((str(place), subprocess.Popen(command, env=environment, **pipes)))
        return [self._answer(*one) for one in asked]

    @staticmethod
    def _answer(directory: str, process: subprocess.Popen) -> Answer:
        out, aside = (one.decode("utf-8", "surrogateescape") for one in process.communicate())
        lines = None if process.returncode else out.split("\n")[:-1]
        return Answer(directory=directory, lines=lines, said=aside)


class Names(frozenset):
    """Many names, shown as their number: Hypothesis writes out what a failing test was given."""

    def __repr__(self) -> str:
        return f"<{len(self)} names>"


@pytest.fixture(scope="session")
def postconf(tmp_path_factory) -> Postconf:
    return Postconf(tmp_path_factory.mktemp("postconf"))


@pytest.fixture(scope="session")
def built_in(postconf) -> Names:
    """The names that this Postfix has defaults for."""
    return Names(postconf.ask("-d").pairs())


@pytest.fixture(scope="session")
def read_only(postconf, built_in) -> Names:
    """The names that main.cf cannot set."""
    text = "".join(f"{name} = x\n" for name in sorted(built_in))
    return Names(built_in - set(postconf.ask("-n", main_cf=text.encode()).pairs()))


class Fatal:
    """How many files that Postfix refuses a test has met: each costs postconf a second."""

    most = 2

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def fatal() -> Fatal:
    return Fatal()
