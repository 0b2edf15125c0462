"""The .deb under test, and packages like it with another version."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

_TOP = Path(__file__).resolve().parents[2]


def why_not() -> str | None:
    """Why no package can be built here; None when one can, or POSTKEEL_DEB names one."""
    if os.environ.get("POSTKEEL_DEB"):
        return None
    if shutil.which("dpkg-checkbuilddeps") is None:
        return "building a package needs dpkg-dev; packaging/needs.txt"
    asked = subprocess.run(
        ["dpkg-checkbuilddeps", str(_TOP / "packaging/debian/control")],
        check=False,
        capture_output=True,
        text=True,
    )
    return asked.stderr.strip() or "build dependencies are missing" if asked.returncode else None


def built_package(directory: Path) -> Path:
    """This source's package, built into the directory. Errors: RuntimeError."""
    given = os.environ.get("POSTKEEL_DEB")
    return Path(given or _said("bash", str(_TOP / "packaging/build-deb.sh"), str(directory)))


def version_of(package: Path) -> str:
    return _said("dpkg-deb", "--field", str(package), "Version")


def renumbered(package: Path, version: str, directory: Path) -> Path:
    """The same package with another version, which postkeel's own program knows too."""
    before = version_of(package)
    work = directory / f"unpacked-{version}"
    _said("dpkg-deb", "--raw-extract", str(package), str(work))
    control = work / "DEBIAN/control"
    text = control.read_text()
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", text))
    for program in work.glob("usr/lib/python3/dist-packages/postkeel/__init__.py"):
        program.write_text(program.read_text().replace(f'"{before}"', f'"{version}"'))
    _sum_up(work)
    name = control.read_text().split("Package: ", 1)[1].split()[0]
    made = directory / f"{name}_{version}.deb"
    _said("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(work), str(made))
    shutil.rmtree(work)
    return made


def _sum_up(work: Path) -> None:
    files = sorted(one for one in work.rglob("*") if one.is_file() and not one.is_symlink())
    sums = [
        f"{hashlib.md5(one.read_bytes(), usedforsecurity=False).hexdigest()}"
        f"  {one.relative_to(work)}\n"
        for one in files
        if one.relative_to(work).parts[0] not in {"DEBIAN", "etc"}
    ]
    (work / "DEBIAN/md5sums").write_text("".join(sums))


def _said(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-3000:]}")
    return done.stdout.strip().rpartition("\n")[2]
