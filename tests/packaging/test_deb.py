"""What the Debian package is made of, and that the same source always gives it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import postkeel

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "packaging" / "debian"
MODULES = "/usr/lib/python3/dist-packages"
CONFFILES = {"/etc/postkeel/postkeel.toml", "/etc/postkeel/conf.d/README"}
PLACES = (
    *CONFFILES,
    f"{MODULES}/postkeel/*",
    f"{MODULES}/postkeel_plugins/*",
    f"{MODULES}/postkeel-*.dist-info/*",
    "/lib/systemd/system/postkeel*.service",
    "/usr/lib/systemd/system/postkeel*.service",
    "/usr/lib/sysusers.d/postkeel.conf",
    "/usr/lib/tmpfiles.d/postkeel.conf",
    "/usr/sbin/postkeel",
    "/usr/share/bash-completion/completions/postkeel",
    "/usr/share/doc/postkeel/*",
    "/usr/share/man/man[578]/postkeel*.gz",
    "/usr/share/postkeel/profiles/*.toml",
    "/usr/share/zsh/vendor-completions/_postkeel",
)


def digests(directory):
    """Of what is to be the same; the other files tell when and where it was built."""
    return {
        one.name: hashlib.sha256(one.read_bytes()).hexdigest()
        for one in directory.iterdir()
        if one.name.endswith((".deb", ".dsc", ".tar.xz"))
    }


def test_the_same_source_gives_the_same_bytes(
    package, build_package, source, copy_tree, tracked, tmp_path
):
    elsewhere = copy_tree(source, tmp_path / "a tree elsewhere")
    for one in (elsewhere / name for name in tracked):
        one.chmod(0o700 if os.access(one, os.X_OK) else 0o600)
        os.utime(one, (86400, 86400))
    again = build_package(elsewhere, umask=0o077, TZ="Pacific/Kiritimati", LC_ALL="C")
    assert digests(again.directory) == digests(package.directory)
    assert len(digests(package.directory)) == 3


def test_lintian_says_nothing_that_is_not_explained(package):
    if shutil.which("lintian") is None:
        pytest.skip("no lintian; packaging/needs.txt")
    said = subprocess.run(
        [
            *("lintian", "--allow-root", "--display-experimental", "--display-info", "--pedantic"),
            *("--tag-display-limit", "0", package.changes),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    explained = re.findall(r"(?m)^  \* ([a-z.-]+)$", (DEBIAN / "README.source").read_text())
    assert explained
    tags = {line.split(": ")[2].split()[0]: line for line in said.stdout.splitlines()}
    assert not {tag: line for tag, line in tags.items() if tag not in explained}


def test_it_says_why_where_it_overrules_lintian():
    before = ""
    for line in (DEBIAN / "source/lintian-overrides").read_text().splitlines():
        assert line.startswith("#") or before.startswith("#"), line
        before = line


def test_every_module_of_the_source_is_in_it_and_no_other(package, tracked):
    of_source = {
        f"{MODULES}/{name.split('/', 1)[1]}"
        for name in tracked
        if fnmatch(name, "agent/postkeel/*") or fnmatch(name, "plugins/postkeel_plugins/*")
    }
    inside = {one for one in package.files() if one.startswith(MODULES)}
    assert {one for one in inside if ".dist-info/" not in one} == of_source


def test_it_brings_the_profiles_and_has_them_once(package):
    profiles = {one for one in package.files() if one.endswith(".toml")} - CONFFILES
    names = {one.name for one in (ROOT / "conf/profiles").iterdir()}
    assert profiles == {f"/usr/share/postkeel/profiles/{name}" for name in names}


def test_it_keeps_to_its_places(package):
    astray = [one for one in package.files() if not any(fnmatch(one, place) for place in PLACES)]
    assert not astray
    unused = [one for one in PLACES if not any(fnmatch(name, one) for name in package.files())]
    assert len([one for one in unused if "/systemd/" in one]) == 1
    assert len(unused) == 1


def test_it_gives_nobody_but_root_anything_to_write_and_one_thing_to_run(package):
    for mode, owner, name in package.listed():
        assert owner == "root/root", name
        assert mode[5] == mode[8] == "-", name
        runs = "x" in mode and not mode.startswith("d")
        assert runs == (name == "/usr/sbin/postkeel"), name


def test_the_administrators_files_are_conffiles(package):
    assert set((package.scripts / "conffiles").read_text().split()) == CONFFILES


def test_the_version_is_the_same_everywhere(package):
    assert package.field("Version") == postkeel.__version__
    news = (DEBIAN / "postkeel.NEWS").read_text()
    assert re.match(r"postkeel \([0-9.]+\) ", news)


def test_it_depends_on_what_the_project_depends_on(package):
    needs = (ROOT / "packaging/needs.txt").read_text().splitlines()
    libraries = {line.split()[1] for line in needs if line.startswith("run ")}
    depends = {re.split(r"[ :(]", one)[0] for one in package.field("Depends").split(", ")}
    # These two are what the private Postfix of tests and demonstration needs.
    assert libraries - depends == {"libsasl2-modules", "iproute2"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len([one for one in depends if one.startswith("python3-")]) == len(
        project["dependencies"]
    )


def test_the_command_finds_its_modules_profiles_and_plugins(package, apart):
    """With the package's /usr laid over this machine's, as its installation would leave it."""
    laid_over = 'mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr\nshift\n'
    for words in (["--version"], ["profiles", "--format", "json"], ["plugins"]):
        said = apart(f'{laid_over}exec postkeel "$@"', package.tree, *words)
        assert not said.stderr
        if words == ["--version"]:
            assert said.stdout == f"postkeel {postkeel.__version__}\n"
        elif words == ["plugins"]:
            assert "config_enforcer" in said.stdout
            assert "rejected" not in said.stdout
        else:
            names = {one.stem for one in (ROOT / "conf/profiles").iterdir()}
            assert names <= set(re.findall(r"[\w-]+", json.dumps(json.loads(said.stdout))))


def test_the_command_takes_no_module_from_where_it_is_called(package, apart, tmp_path):
    (tmp_path / "postkeel.py").write_text("raise SystemExit('taken from the wrong place')\n")
    laid_over = 'mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr\n'
    called = f'{laid_over}cd "$2"; PYTHONPATH=$2 postkeel --version'
    assert apart(called, package.tree, tmp_path).stdout.startswith("postkeel ")


def test_user_and_directories_are_made_as_the_two_sides_need_them(package, apart, tmp_path):
    """systemd-sysusers and systemd-tmpfiles themselves, in an empty root."""
    (tmp_path / "etc").mkdir()
    apart(
        'systemd-sysusers --root="$2" "$1/usr/lib/sysusers.d/postkeel.conf"\n'
        'systemd-tmpfiles --root="$2" --create "$1/usr/lib/tmpfiles.d/postkeel.conf"',
        package.tree,
        tmp_path,
    )
    for line in (tmp_path / "etc/passwd").read_text().splitlines():
        if line.startswith("_postkeel:"):
            user, group = (int(one) for one in line.split(":")[2:4])
            home = line.split(":")[5]
    made = {}
    for one in ("var/lib/postkeel", "var/lib/postkeel/home", "run/postkeel"):
        for directory in (tmp_path / one, *(tmp_path / one).iterdir()):
            state = directory.stat()
            mode = f"{stat.S_IMODE(state.st_mode):04o}"
            made[str(directory.relative_to(tmp_path))] = (mode, state.st_uid, state.st_gid)
    assert made == {
        "var/lib/postkeel": ("0710", 0, group),
        "var/lib/postkeel/monitor": ("0700", user, group),
        "var/lib/postkeel/outbox": ("2750", 0, group),  # what root puts there the group may read
        "var/lib/postkeel/home": ("0750", 0, group),  # or a .forward there would be its way out
        "var/lib/postkeel/home/Maildir": ("0700", user, group),  # which leads to the monitor's
        "run/postkeel": ("0755", 0, 0),
        "run/postkeel/monitor": ("0755", user, group),
        "run/postkeel/ask": ("0710", 0, group),
    }
    assert home == "/var/lib/postkeel/home"
