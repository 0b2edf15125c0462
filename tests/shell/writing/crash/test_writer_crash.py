"""Kills the writer at each system call, and fails each: no file is ever half.

The calls are recorded from a real write of both files, originals kept, and
then each is the last that the writer makes (strace kills it on entry, so the
state after call N is that before call N+1), or one that ends in EIO.
"""

import os
import re
import shutil
import signal
import subprocess
import traceback
import warnings
from pathlib import Path

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell.originals import keep_originals, originals_directory
from postkeel.shell.writer import accept, write

pytestmark = pytest.mark.slow

REFUSED, BROKEN = 3, 4
# Not about files; failing them breaks Python itself, which is not under test here.
MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise", "futex", "rt_sigaction", "exit_group"}
# What tidying up needs. The libc of Debian 12 says newfstatat for fstat, that of Debian 13 fstat.
TIDYING = {"unlink", "newfstatat", "fstat", "flock"}


class Stage:
    """One instance and its state directory, and a writer on them under strace."""

    def __init__(self, instance, append, place):
        self.instance = instance
        self.state = place / "state"
        self.revise = append("a = 1\n", "  -o a=1\n")
        self.trace = place / "trace"
        self.message = place / "message"

    def write(self):
        return write(
            str(self.instance),
            self.revise,
            check=accept,
            keep=keep_originals(str(self.instance), str(self.state)),
            deadline=2,
        )

    def reset(self, old):
        for one in self.instance.iterdir():
            one.unlink()
        for name, content in old.items():
            (self.instance / name).write_bytes(content)
        shutil.rmtree(self.state, ignore_errors=True)
        self.message.unlink(missing_ok=True)

    def contents(self):
        return {one.name: one.read_bytes() for one in self.instance.iterdir()}

    def originals(self):
        place = Path(originals_directory(str(self.instance), str(self.state)))
        return {
            name: (place / name).read_bytes()
            for name in ("main.cf", "master.cf")
            if (place / name).exists()
        }

    def run(self, *inject):
        """A child writes while strace watches; its exit status, negative for a signal.

        The child stops itself first, so that strace always counts from the same call.
        """
        with warnings.catch_warnings():
            # Python 3.12 warns of threads of other tests; the child needs none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            self._child()
        os.waitpid(child, os.WUNTRACED)
        command = ["strace", "-p", str(child), "-o", str(self.trace), "-e", "trace=all", *inject]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            told = strace.stderr.readline()
            os.kill(child, signal.SIGCONT if "attached" in told else signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if "attached" not in told:
            pytest.skip(f"strace may not trace here: {told}")
        return status

    def _child(self):
        status = BROKEN
        try:
            os.kill(os.getpid(), signal.SIGSTOP)
            self.write()
            status = 0
        except PostkeelError as error:
            status = REFUSED
            self.message.write_text(str(error))
        except BaseException:
            self.message.write_text(traceback.format_exc())
            raise
        finally:
            os._exit(status)

    def calls(self):
        """(name, how many so far) of each call of the write."""
        assert self.run() == 0
        seen, found = {}, []
        for line in self.trace.read_text().splitlines():
            if not (call := re.match(r"(\w+)\(", line)):
                continue  # a signal, the end
            name = call[1]
            seen[name] = seen.get(name, 0) + 1
            found.append((name, seen[name]))
        return [one for one in found if one[0] not in MEMORY]


@pytest.fixture
def stage(instance, append, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return Stage(instance, append, tmp_path)


def wholly(contents, old, new):
    """Both files old, both new, or main.cf new alone; nothing in between."""
    pair = (contents["main.cf"], contents["master.cf"])
    return pair in (
        (old["main.cf"], old["master.cf"]),
        (new["main.cf"], old["master.cf"]),
        (new["main.cf"], new["master.cf"]),
    )


def expected(old):
    return {"main.cf": old["main.cf"] + b"a = 1\n", "master.cf": old["master.cf"] + b"  -o a=1\n"}


def test_killed_at_each_system_call(stage):
    old = stage.contents()
    new = expected(old)
    calls = stage.calls()
    assert stage.contents() == new
    assert {"openat", "flock", "read", "write", "fchmod", "fsync", "rename", "close"} <= {
        name for name, _ in calls
    }
    states = set()
    for name, count in calls:
        at = f"{name} number {count}"
        stage.reset(old)
        assert stage.run(f"-einject={name}:signal=SIGKILL:when={count}") == -signal.SIGKILL, at
        contents = stage.contents()
        assert wholly(contents, old, new), at
        states.add(
            (contents["main.cf"] == new["main.cf"], contents["master.cf"] == new["master.cf"])
        )
        for changed in ("main.cf", "master.cf"):
            if contents[changed] == new[changed]:
                assert stage.originals()[changed] == old[changed], at
        for one in stage.instance.iterdir():
            os.utime(one, (0, 0))  # postconf sleeps over a file of this second
        subprocess.run(
            ["postconf", "-c", str(stage.instance), "-n"], check=True, capture_output=True
        )
        stage.write()
        assert stage.contents() == expected({one: contents[one] for one in old}), at
        assert stage.originals() == old, at
    assert states == {(False, False), (True, False), (True, True)}


def test_each_system_call_failing(stage):
    old = stage.contents()
    new = expected(old)
    refused = 0
    for name, count in stage.calls():
        at = f"{name} number {count}"
        stage.reset(old)
        status = stage.run(f"-einject={name}:error=EIO:when={count}")
        said = stage.message.read_text() if stage.message.exists() else ""
        contents = stage.contents()
        assert status in (0, REFUSED), f"{at}: {said}"
        kept = {one: contents.pop(one) for one in ("main.cf", "master.cf")}
        if status == 0:
            assert kept == new, at
        elif not said.startswith("changed, but perhaps not yet on disk"):
            assert kept == old, f"{at}: {said}"
            refused += 1
        assert "\n" not in said, at
        if name not in TIDYING:
            assert contents == {}, f"{at}: left {contents}"
        stage.write()
        assert stage.contents() == expected(kept), at
    assert refused > 10
