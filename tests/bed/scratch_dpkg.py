"""A dpkg and an apt of their own, real ones, on a root directory that holds nothing, and
processes that hold dpkg's lock as dpkg does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from postkeel.shell.dpkg_files import DpkgFiles

_HOLD = """
import fcntl, sys
file = open(sys.argv[1], sys.argv[2])
fcntl.lockf(file, fcntl.LOCK_SH if sys.argv[2] == "r" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class HeldLock:
    """A process that holds the lock of a file, from the entry of the context to its end.

    shared: it only reads, as a stranger would.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        self.mode = "r" if shared else "r+"

    def __enter__(self) -> Self:
        path = str(self.path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, path, self.mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self.process.stdout is None or self.process.stdout.readline() != b"held\n":
            raise RuntimeError(f"{path} could not be locked")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class ScratchDpkg:
    """Installs packages made on the spot, without touching the host's. Needs root.

    directory: need not be there; its parent must.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory
        self.database = directory / "var/lib/dpkg"
        self.logs = directory / "var/log"
        for one in ("info", "triggers", "updates"):
            (self.database / one).mkdir(parents=True)
        for one in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/log/apt"):
            (directory / one).mkdir(parents=True)
        for one in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
            (directory / one).mkdir(parents=True)
        self.status.touch()
        self.log = self.logs / "dpkg.log"
        self._dpkg = [
            f"--root={directory}",
            f"--log={self.log}",
            "--force-script-chrootless",
            "--force-not-root",
        ]

    @property
    def status(self) -> Path:
        """dpkg's status file."""
        return self.database / "status"

    @property
    def files(self) -> DpkgFiles:
        """The files as postkeel reads them."""
        return DpkgFiles(str(self.status), str(self.logs))

    def package(self, name: str, version: str, postinst: str = "") -> str:
        """A package without content; the path of its file."""
        source = self.root / "source" / f"{name}_{version}"
        control = source / "DEBIAN"
        control.mkdir(parents=True)
        (control / "control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: A <a@example.test>\nDescription: made for a test\n"
        )
        if postinst:
            (control / "postinst").write_text(f"#!/bin/sh\n{postinst}\n")
            (control / "postinst").chmod(0o755)
        file = f"{source}.deb"
        _run("dpkg-deb", "--root-owner-group", "--build", str(source), file)
        return file

    def dpkg(self, *words: str) -> None:
        """One command of dpkg's."""
        _run("dpkg", *self._dpkg, *words)

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """One command of dpkg's, not waited for."""
        return subprocess.Popen(["dpkg", *self._dpkg, *words], stdout=subprocess.DEVNULL)

    def apt(self, *words: str) -> None:
        """One command of apt-get's, which calls dpkg."""
        places = {"Dir": self.root, "Dir::State::status": self.status}
        options = [f"{key}={value}" for key, value in places.items()]
        options += ["Dir::Bin::dpkg=/usr/bin/dpkg", "Dir::Bin::methods=/usr/lib/apt/methods"]
        options += [f"DPkg::Options::={one}" for one in self._dpkg]
        options += ["APT::Sandbox::User=root", "Dpkg::Use-Pty=false"]
        _run("apt-get", "-q", "-y", *(word for one in options for word in ("-o", one)), *words)


def _run(*words: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {done.stdout}{done.stderr}")
