"""A booted Debian of one's own: systemd as its first process, no Docker; gone afterwards.

The tree of that Debian is made once with mmdebstrap from the mirror that apt uses
here, and kept in POSTKEEL_CACHE. Each boot is a layer in memory above it, in a
mount namespace that ends with this process: nothing is left behind, and the tree
stays as it is. It has no network but loopback; postkeel's source is read-only in
it, and `postkeel` is a command there.

    with booted_debian("bookworm") as debian:
        debian.run("systemctl", "is-active", "postfix")
        debian.reboot()

Needs root, namespaces, mmdebstrap and systemd-nspawn; `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

SUITES = ("bookworm", "trixie")

_TOP = Path(__file__).resolve().parents[2]
_CACHE = Path(os.environ.get("POSTKEEL_CACHE", "/var/cache/postkeel-tests"))
_LOCK = "/run/lock/postkeel-booted-debian"
_PYTHON = "/usr/lib/python3/dist-packages"
_SOURCE = "/opt/postkeel"
_BOOT_SECONDS = 60.0
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "HOME=/root",
)
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
# alice is a system user, for journald keeps apart what others log.
_PREPARE = (
    'printf "127.0.0.1 localhost mx.example.test mx\\n::1 localhost\\n" > "$1/etc/hosts"',
    'echo mx > "$1/etc/hostname"; rm -f "$1/etc/resolv.conf"; : > "$1/etc/resolv.conf"',
    'chroot "$1" postconf -e myhostname=mx.example.test',
    'rm -f "$1/var/lib/dbus/machine-id"; echo uninitialized > "$1/etc/machine-id"',
    'mkdir -p "$1/var/log/journal"',
    'chroot "$1" useradd --system --create-home --shell /bin/sh alice',
    *(f'ln -sf /dev/null "$1/etc/systemd/system/{one}"' for one in _MASKED),
)
_ANSWERS = """\
postfix postfix/main_mailer_type select Local only
postfix postfix/mailname string mx.example.test
"""
# In a mount namespace of its own: boots for each line "boot", ends it for each other one,
# and at the end of the input, which comes also when the test is killed.
_KEEPER = """
set -e
mount -t tmpfs -o mode=755,size=2g tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
echo $$
stop() {
    [ -z "$running" ] || kill -"$1" "$running" 2>/dev/null || true
    [ -z "$running" ] || wait "$running" || true
    running=
}
running=
while read -r wish; do
    stop TERM
    if [ "$wish" = boot ]; then
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid systemd-nspawn --quiet -D /mnt/root --boot \
            --private-network --machine="$2" --register=no --keep-unit --console=pipe \
            --link-journal=no --resolv-conf=off --timezone=off --bind-ro="$3:$4" \
            systemd.log_level=notice </dev/null >/mnt/console 2>&1 &
        running=$!
    fi
    echo "${running:-stopped}"
done
stop TERM
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


@contextlib.contextmanager
def booted_debian(suite: str) -> Iterator[BootedDebian]:
    """This Debian, up and running, with Postfix as it is after its installation."""
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(
            subprocess.Popen(
                [
                    *("unshare", "--mount", "--propagation", "private", "bash", "-c", _KEEPER),
                    *("bash", str(tree_of(suite)), f"postkeel-{suite}-{os.getpid()}"),
                    *(str(_TOP), _SOURCE),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        debian = BootedDebian(keeper)
        stack.callback(debian.close)
        debian.install_postkeel()
        debian.boot()
        yield debian


class BootedDebian:
    """One booted Debian. Get it from `booted_debian`."""

    def __init__(self, keeper: subprocess.Popen[str]) -> None:
        assert keeper.stdin
        assert keeper.stdout
        self._wishes = keeper.stdin
        self._answers = keeper.stdout
        process = self._answers.readline().strip()
        if not process:
            raise RuntimeError("no mount namespace for a Debian to boot in")
        self._mounts = Path(f"/proc/{process}/root/mnt")
        self._first = 0

    def boot(self) -> None:
        """Boot and wait until all units are started."""
        process = self._ask("boot")
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._is_up(process):
            if time.monotonic() > deadline or not os.path.exists(f"/proc/{process}"):
                console = (self._mounts / "console").read_text(errors="replace")
                raise RuntimeError(f"Debian does not boot: {console[-2000:]}")
            time.sleep(0.05)

    def close(self) -> None:
        """Have it shut down; the keeper ends then, and with it all that was written."""
        self._wishes.close()

    def reboot(self) -> None:
        """Shut down in good order, and boot again."""
        self._ask("stop")
        self.boot()

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Make a file in it, before the boot or after."""
        root = Path(f"/proc/{self._first}/root") if self._first else self._mounts / "root"
        file = root / inside.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process in it, with pipes; of no unit."""
        return subprocess.Popen(
            [*self._enter(), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, fed: str = "", may_fail: bool = False) -> str:
        """What a command prints. Errors: RuntimeError with its words when it fails."""
        done = subprocess.run(
            [*self._enter(), *command],
            input=fed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode and not may_fail:
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def install_postkeel(self) -> None:
        """The command, and the metadata by which plugins are found, as a package brings them."""
        project = tomllib.loads((_TOP / "pyproject.toml").read_text())["project"]
        plugins = project["entry-points"]["postkeel.plugins"]
        lines = ["[postkeel.plugins]", *(f"{name} = {target}" for name, target in plugins.items())]
        self.write(f"{_PYTHON}/postkeel.pth", f"{_SOURCE}/agent\n{_SOURCE}/plugins\n")
        information = f"{_PYTHON}/postkeel-0.dist-info"
        self.write(f"{information}/METADATA", "Metadata-Version: 2.1\nName: postkeel\nVersion: 0\n")
        self.write(f"{information}/entry_points.txt", "\n".join([*lines, ""]))
        self.write(
            "/usr/local/sbin/postkeel",
            "#!/bin/sh\nexport PYTHONPYCACHEPREFIX=/var/cache/python\n"
            'exec /usr/bin/python3 -m postkeel "$@"\n',
            mode=0o755,
        )

    def _ask(self, wish: str) -> str:
        self._first = 0
        self._wishes.write(f"{wish}\n")
        self._wishes.flush()
        return self._answers.readline().strip()

    def _is_up(self, nspawn: str) -> bool:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
            for child in children:
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    self._first = int(child)
                    said = self.run("systemctl", "is-system-running", may_fail=True).strip()
                    return said in {"running", "degraded"}
        return False

    def _enter(self) -> list[str]:
        namespaces = ("mount", "uts", "ipc", "net", "pid", "cgroup", "root", "wd")
        return [
            *("nsenter", f"--target={self._first}", *(f"--{one}" for one in namespaces), "--"),
            *("env", "-i", *_ENVIRONMENT),
        ]


def make_trees() -> int:
    """Make what is missing; 77, with the reason on standard output, where that cannot be done."""
    reason = why_not()
    for suite in () if reason else SUITES:
        try:
            tree_of(suite)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
    print(reason or "the trees are there")
    return 77 if reason else 0


def tree_of(suite: str) -> Path:
    """The tree of this Debian, made if it is not there. Errors: RuntimeError."""
    packages = _packages()
    key = hashlib.sha256(repr((suite, packages, _PREPARE, _ANSWERS)).encode()).hexdigest()[:12]
    tree = _CACHE / f"booted-{suite}-{key}"
    with open(_LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            _make(suite, tree, packages)
    return tree


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
            f"--essential-hook={answers}",
            *(f"--customize-hook={one}" for one in _PREPARE),
            *(suite, str(new), f"deb {mirror} {suite} main"),
        ],
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


if __name__ == "__main__":
    sys.exit(make_trees())
