"""The trees of the Debians that are booted, made once each with mmdebstrap.

They come from the mirror that apt uses here and are kept in POSTKEEL_CACHE. What a test
installs, reinstalls or upgrades to lies in them too, for a booted Debian has no
network: apt finds it in its own cache. Debian 12 has all of Debian 13 beside it,
see `NEXT`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SUITES = ("bookworm", "trixie", "sid")
NEXT = "/var/cache/next-release"
"""In bookworm's tree: sources.list, lists and archives of trixie, for `apt-get full-upgrade`."""

_TOP = Path(__file__).resolve().parents[2]
_CACHE = Path(os.environ.get("POSTKEEL_CACHE", "/var/cache/postkeel-tests"))
_LOCK = "/run/lock/postkeel-booted-debian"
_MASKED = (
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)
"""What waits for a network or works in the background, and would only disturb."""
_HOST_APT = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --quiet --yes'
# alice is a system user, for journald keeps apart what others log.
_PREPARE = (
    'printf "127.0.0.1 localhost mx.example.test mx\\n::1 localhost\\n" > "$1/etc/hosts"',
    'chroot "$1" postconf -e myhostname=mx.example.test',
    'mkdir -p "$1/var/log/journal"',
    'chroot "$1" useradd --system --create-home --shell /bin/sh alice',
    *(f'ln -sf /dev/null "$1/etc/systemd/system/{one}"' for one in _MASKED),
    f"{_HOST_APT} clean",
    f"{_HOST_APT} --download-only --reinstall install postfix needrestart unattended-upgrades",
)
_NEXT_RELEASE = (
    f'mkdir -p "$1{NEXT}/lists/partial" "$1{NEXT}/archives/partial"',
    f'echo "deb $MIRROR trixie main" > "$1{NEXT}/sources.list"',
    *(
        f'{_HOST_APT} -o Dir::Etc::sourcelist="$1{NEXT}/sources.list" '
        f'-o Dir::State::lists="$1{NEXT}/lists" -o Dir::Cache::archives="$1{NEXT}/archives" '
        f"-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= {does}"
        for does in ("update", "--install-recommends --download-only full-upgrade")
    ),
)
_FINISH = (
    'echo mx > "$1/etc/hostname"; rm -f "$1/etc/resolv.conf"; : > "$1/etc/resolv.conf"',
    'rm -f "$1/var/lib/dbus/machine-id"; echo uninitialized > "$1/etc/machine-id"',
)
_ANSWERS = """\
postfix postfix/main_mailer_type select Internet Site
postfix postfix/mailname string mx.example.test
"""


def why_not() -> str | None:
    """Why no Debian can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "booting a Debian needs root"
    for program in ("mmdebstrap", "systemd-nspawn", "apt-get"):
        if shutil.which(program) is None:
            return f"booting a Debian needs {program}; packaging/needs.txt"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "true"], check=False, capture_output=True
    )
    return "namespaces are not allowed here" if tried.returncode else None


def tree_of(suite: str) -> Path:
    """The tree of this Debian, made if it is not there. Errors: RuntimeError."""
    packages, hooks = _packages(), _hooks(suite)
    key = hashlib.sha256(repr((suite, packages, hooks, _ANSWERS)).encode()).hexdigest()[:12]
    tree = _CACHE / f"booted-{suite}-{key}"
    with open(_LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            _make(suite, tree, packages)
    return tree


def _hooks(suite: str) -> tuple[str, ...]:
    return (*_PREPARE, *(_NEXT_RELEASE if suite == "bookworm" else ()), *_FINISH)


def _packages() -> list[str]:
    lines = (_TOP / "packaging/needs.txt").read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return [package for group, package, *_ in words if group in {"run", "system"}]


def _make(suite: str, tree: Path, packages: list[str]) -> None:
    mirror = _mirror()
    new = tree.with_name(f"{tree.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    _CACHE.mkdir(parents=True, exist_ok=True)
    answers = f'printf "%s" "{_ANSWERS}" | chroot "$1" debconf-set-selections'
    done = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"),
            "--skip=cleanup/apt",
            '--aptopt=Acquire::Check-Valid-Until "false"',  # a mirror may keep an older day
            f"--essential-hook={answers}",
            *(f"--customize-hook={one}" for one in _hooks(suite)),
            *(suite, str(new), f"deb {mirror} {suite} main"),
        ],
        env={**os.environ, "MIRROR": mirror},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise RuntimeError(f"mmdebstrap {suite}: {done.stderr[-2000:]}")
    new.rename(tree)


def _mirror() -> str:
    form = "$(REPO_URI) $(RELEASE)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in listed.splitlines():
        address, _, release = line.partition(" ")
        if "-" not in release:
            return address
    raise RuntimeError("apt knows no Debian mirror")
