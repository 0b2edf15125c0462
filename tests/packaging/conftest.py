"""The Debian package, built once from the tree as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("dpkg-buildpackage", "dh", "pybuild", "git")


class Package:
    """A package and the source package beside it, as packaging/build-deb.sh left them."""

    def __init__(self, directory, built_in):
        self.directory = directory
        (self.deb,) = directory.glob("postkeel_*_all.deb")
        (self.changes,) = directory.glob("*.changes")
        self.tree = built_in / "tree"
        self.scripts = built_in / "scripts"
        for what, where in (("--extract", self.tree), ("--control", self.scripts)):
            subprocess.run(["dpkg-deb", what, self.deb, where], check=True)

    def field(self, name):
        shown = subprocess.run(
            ["dpkg-deb", "--field", self.deb, name], check=True, capture_output=True, text=True
        )
        return shown.stdout.strip()

    def listed(self):
        """(mode, owner, name) of each entry."""
        shown = subprocess.run(
            ["dpkg-deb", "--contents", self.deb], check=True, capture_output=True, text=True
        )
        for line in shown.stdout.splitlines():
            mode, owner, _, _, _, name = line.split(maxsplit=5)
            yield mode, owner, name.removeprefix(".")

    def files(self):
        return {name for mode, _, name in self.listed() if not mode.startswith("d")}


def sources():
    """The files that git tracks or would track, relative to the top of the tree."""
    listed = subprocess.run(
        [
            *("git", "-C", ROOT, "-c", f"safe.directory={ROOT}"),
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return [one for one in listed.stdout.split("\0") if one and (ROOT / one).exists()]


@pytest.fixture(scope="session")
def tracked():
    return sources()


@pytest.fixture(scope="session")
def copy_tree(tracked):
    """A function that copies the source to a tree of its own, which git knows."""

    def copy(source, top):
        for name in tracked:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, top / name)
        subprocess.run(["git", "init", "--quiet", top], check=True)
        return top

    return copy


@pytest.fixture(scope="session")
def source(copy_tree, tmp_path_factory):
    """The tree as it is now, wherever it goes while tests run."""
    return copy_tree(ROOT, tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def build_package(tmp_path_factory):
    """A function that builds the package of a tree: Package."""
    missing = [one for one in PROGRAMS if shutil.which(one) is None]
    if missing:
        reason = f"building the package needs {', '.join(missing)}; packaging/needs.txt"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)

    def build(top, umask=0o022, **environment):
        place = tmp_path_factory.mktemp("package")
        built = subprocess.run(
            ["bash", top / "packaging/build-deb.sh", place / "built"],
            env=os.environ | environment,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr[-4000:]
        assert Path(built.stdout.splitlines()[-1]).exists()
        return Package(place / "built", place)

    return build


@pytest.fixture(scope="session")
def package(build_package, source):
    return build_package(source)


@pytest.fixture(scope="session")
def apart():
    """A function that runs a command where this machine's state is out of reach.

    In a mount namespace of its own, with nothing in /run, /var/lib, /var/mail and /var/backups.
    """
    if os.geteuid() != 0:
        pytest.skip("mounts of its own need root")
    tried = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip("namespaces are not allowed here")

    def run(command, *words):
        places = "/run /var/lib /var/mail /var/backups"
        mounts = f"for one in {places}; do mount -t tmpfs tmpfs $one; done\n"
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-euc", mounts + command, "sh", *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
