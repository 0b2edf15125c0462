"""A booted Debian of one's own: systemd as its first process, no Docker; gone afterwards.

Its tree is made once, see `debian_trees`. Each boot is a layer in memory above it,
in a mount namespace that ends with this process: nothing is left behind, and the
tree stays as it is. It has no network but loopback.

    with booted_debian("bookworm") as debian:      # postkeel's source is read-only in it,
        debian.run("postkeel", "check")            # and `postkeel` is a command there
    with booted_debian("trixie", source=False) as debian:
        debian.install(package)                    # as an administrator does
        debian.crash()

Needs root, namespaces, mmdebstrap and systemd-nspawn; `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from debian_trees import NEXT, SUITES, tree_of, why_not

__all__ = ["NEXT", "SUITES", "BootedDebian", "booted_debian", "make_trees", "tree_of", "why_not"]

_TOP = Path(__file__).resolve().parents[2]
_PYTHON = "/usr/lib/python3/dist-packages"
_SOURCE = "/opt/postkeel"
_BOOT_SECONDS = 60.0
_APT_SECONDS = 300.0
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "HOME=/root",
    "DEBIAN_FRONTEND=noninteractive",
)
# In a mount namespace of its own: boots for each line "boot", ends it for each other one,
# and at the end of the input, which comes also when the test is killed. It has control groups
# of its own, or the services of two Debians that run at once would be in one group.
_KEEPER = """
set -e
mount -t tmpfs -o mode=755,size=2g tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
groups=
own_group() {
    [ -e "$1/cgroup.procs" ] && mkdir "$1$2/$3" && echo $$ >"$1$2/$3/cgroup.procs" || return 0
    groups="$groups $1$2/$3"
}
unified=$(sed -n 's/^0:://p' /proc/self/cgroup)
named=$(sed -n 's/^[0-9]*:name=systemd://p' /proc/self/cgroup)
own_group /sys/fs/cgroup "${unified%/}" "$2-$$"
own_group /sys/fs/cgroup/unified "${unified%/}" "$2-$$"
own_group /sys/fs/cgroup/systemd "${named%/}" "$2-$$"
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
            --system-call-filter=bpf \
            --link-journal=no --resolv-conf=off --timezone=off --bind-ro="$3:$4" \
            systemd.log_level=notice </dev/null >/mnt/console 2>&1 &
        running=$!
    fi
    echo "${running:-stopped}"
done
stop TERM
for group in $groups; do
    echo $$ >"${group%/*}/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} ";"
done
"""


@contextlib.contextmanager
def booted_debian(suite: str, *, source: bool = True) -> Iterator[BootedDebian]:
    """This Debian, up and running, with Postfix as it is after its installation.

    source: whether `postkeel` is a command there, from this very source.
    """
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
        if source:
            debian.install_source()
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

    def crash(self) -> None:
        """Kill all of it at once, as a power cut does, and boot again on what is left."""
        self.cut_power()
        self.boot()

    def cut_power(self) -> None:
        """Kill all of it at once; `boot` boots again on what was written until then."""
        os.kill(self._first, signal.SIGKILL)
        self._ask("stop")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Make a file in it, before the boot or after."""
        file = self._inside(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, inside: str) -> bytes:
        """What a file in it holds, also when its power is cut."""
        return self._inside(inside).read_bytes()

    def take(self, outside: Path, inside: str) -> None:
        """Copy a file into it."""
        file = self._inside(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(outside, file)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process in it, with pipes; of no unit."""
        return subprocess.Popen(
            [*self._enter(), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def install(self, package: Path) -> None:
        """`apt-get install` of this .deb."""
        self.take(package, f"/root/{package.name}")
        self.apt("install", "--allow-downgrades", f"/root/{package.name}")

    def apt(self, *words: str) -> str:
        """What `apt-get --yes` prints. It has no network, but what lies in the tree."""
        keep = ("-o", "Dpkg::Options::=--force-confold")
        return self.run("apt-get", "--quiet", "--yes", *keep, *words, seconds=_APT_SECONDS)

    def run(self, *command: str, fed: str = "", may_fail: bool = False, seconds: float = 60) -> str:
        """What a command prints. Errors: RuntimeError with its words when it fails."""
        done = subprocess.run(
            [*self._enter(), *command],
            input=fed,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode and not may_fail:
            said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {said}")
        return done.stdout

    def install_source(self) -> None:
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

    def _inside(self, path: str) -> Path:
        root = Path(f"/proc/{self._first}/root") if self._first else self._mounts / "root"
        return root / path.lstrip("/")

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


if __name__ == "__main__":
    sys.exit(make_trees())
