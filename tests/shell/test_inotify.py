"""inotify through the C library, where the kernel refuses, forbids or has two names for one."""

import os
import shutil
import subprocess
import sys

import pytest

ON_A_CHANGE = """
import sys
from postkeel.shell.loop import Loop
from postkeel.shell.watch import Watcher

calls = []
loop = Loop(lambda error: sys.exit(repr(error)))
watcher = Watcher(loop, lambda paths: (calls.extend(sorted(paths)), loop.stop()))
watcher.set_paths(sys.argv[1:])
if watcher.problems:
    sys.exit("\\n".join(watcher.problems))
open(sys.argv[1], "w").close()
loop.after("end", 30.0, loop.stop)
loop.run_until_stopped()
print(*calls, sep="\\n")
"""

FORBIDDING = """
import ctypes, os, sys

if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE
    sys.exit("this kernel has no PR_SET_MDWE")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def main_cf(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/main.cf").touch()
    return f"{tmp_path}/etc/main.cf"


def run(*words):
    """The finished command, which may have failed."""
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def in_a_namespace(prepare, *paths):
    """Run `ON_A_CHANGE` after these shell commands, whose effect is only its own."""
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or run(*enter, "true").returncode:
        pytest.skip("no user namespace is to be had here")
    shell = ["sh", "-euc", f'{prepare}; exec "$0" -c "$@"']
    return run(*enter, *shell, sys.executable, ON_A_CHANGE, *paths)


LIMITS = {
    "max_inotify_instances": "Too many open files: see the sysctl fs.inotify.max_user_instances",
    "max_inotify_watches": "No space left on device: see the sysctl fs.inotify.max_user_watches",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_of_the_kernel_is_said_with_what_to_do(main_cf, tmp_path, limit):
    told = in_a_namespace(f"echo 0 > /proc/sys/user/{limit}", main_cf)
    above, directory = tmp_path, tmp_path / "etc"
    lines = told.stderr.splitlines()
    assert len(lines) == 2
    for name, line in zip((above, directory), lines, strict=True):
        assert line.startswith(f"{name}: cannot be watched: {LIMITS[limit]}")


def test_a_directory_that_is_mounted_in_two_places_has_two_names(main_cf, tmp_path):
    (tmp_path / "other").mkdir()
    other = f"{tmp_path}/other/main.cf"
    told = in_a_namespace(f"mount --bind {tmp_path}/etc {tmp_path}/other", main_cf, other)
    assert told.stdout.splitlines() == [main_cf, other], told.stderr


def test_it_needs_no_memory_that_is_writable_and_executable(main_cf):
    """As systemd's MemoryDenyWriteExecute= has it."""
    told = run(sys.executable, "-c", FORBIDDING, "-c", ON_A_CHANGE, main_cf)
    if "PR_SET_MDWE" in told.stderr:
        pytest.skip(told.stderr.strip())
    assert told.stdout.splitlines() == [main_cf], told.stderr
