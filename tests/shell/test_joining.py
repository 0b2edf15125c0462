"""The joined file on the disk: the old one or the new one, for root alone, at every moment."""

import os
import re
import shutil
import signal
import stat
import subprocess
import traceback
import warnings

import pytest

from certificates import make_certificate
from postkeel.certificates.joining import FILE, contents, joined
from postkeel.core.changes import JoinFiles
from postkeel.core.errors import PostkeelError
from postkeel.shell.joining import join, write

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")

REFUSED = 3
# Not about files; failing them breaks Python itself, which is not under test here.
MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise", "futex", "rt_sigaction", "exit_group"}
# What tidying up needs. The libc of Debian 12 says newfstatat for fstat, that of Debian 13 fstat.
TIDYING = {"unlink", "newfstatat", "fstat"}


class Renewed:
    """A renewer's two files, and what they are to be joined to."""

    def __init__(self, place):
        self.path = place / "etc" / FILE
        self.path.parent.mkdir()
        self.certificate = place / "live" / "fullchain.pem"
        self.key = place / "live" / "privkey.pem"
        self.certificate.parent.mkdir()
        self.renew()

    def renew(self):
        made = make_certificate("ecdsa", host="mx.example.org", address="192.0.2.1")
        self.certificate.write_text(made.certificate)
        self.key.write_text(made.key)

    @property
    def content(self):
        names = (str(self.certificate), str(self.key))
        return joined(self.certificate.read_bytes(), self.key.read_bytes(), *names)

    @property
    def change(self):
        return JoinFiles(
            path=str(self.path),
            certificate=str(self.certificate),
            key=str(self.key),
            contents=contents(self.content),
        )


@pytest.fixture
def renewed(tmp_path):
    return Renewed(tmp_path)


def test_joins_for_root_alone_and_follows_a_renewal(renewed):
    before = os.umask(0)
    join(renewed.change)
    os.umask(before)
    assert renewed.path.read_bytes() == renewed.content
    status = renewed.path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())
    first = renewed.content
    renewed.renew()
    renewed.path.chmod(0o644)
    join(renewed.change)
    assert renewed.path.read_bytes() == renewed.content != first
    assert stat.S_IMODE(renewed.path.stat().st_mode) == 0o600
    assert os.listdir(renewed.path.parent) == [FILE]


def test_follows_the_links_of_a_renewer(renewed):
    archive = renewed.certificate.with_name("fullchain1.pem")
    renewed.certificate.rename(archive)
    renewed.certificate.symlink_to(archive.name)
    join(renewed.change)
    assert renewed.path.read_bytes() == renewed.content


def test_what_changed_since_it_was_judged_is_not_written(renewed):
    judged = renewed.change
    renewed.renew()
    with pytest.raises(PostkeelError, match=r"privkey\.pem has changed since it was judged"):
        join(judged)
    assert not renewed.path.exists()


def foreign_file(path):
    path.write_text("# mine\n-----BEGIN PRIVATE KEY-----\n")


def link_to_a_file(path):
    path.with_name("victim").write_text("precious")
    path.symlink_to("victim")


def link_to_nothing(path):
    path.symlink_to("victim")


@pytest.mark.parametrize(
    "put", [foreign_file, link_to_a_file, link_to_nothing, os.mkdir, os.mkfifo]
)
def test_what_postkeel_did_not_make_stays(renewed, put):
    put(renewed.path)
    before = renewed.path.lstat()
    with pytest.raises(
        PostkeelError, match=r"postkeel did not make what is there \(.*move it away"
    ):
        join(renewed.change)
    assert renewed.path.lstat() == before or stat.S_ISREG(before.st_mode)
    assert sorted(os.listdir(renewed.path.parent)) in ([FILE], [FILE, "victim"])
    if (victim := renewed.path.with_name("victim")).exists():
        assert victim.read_text() == "precious"


@root_only
def test_a_file_of_another_user_stays(renewed):
    join(renewed.change)
    os.chown(renewed.path, 65534, 65534)
    before = renewed.content
    renewed.renew()
    with pytest.raises(PostkeelError, match=r"and it would be root's"):
        join(renewed.change)
    assert renewed.path.read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda key: key.unlink(), r"privkey\.pem: cannot be read: No such file"),
        (lambda key: (key.unlink(), key.symlink_to(key.name)), "Too many levels"),
        (lambda key: (key.unlink(), os.mkfifo(key)), r"privkey\.pem: not a file"),
        (lambda key: (key.unlink(), key.mkdir()), r"privkey\.pem: not a file"),
        (lambda key: key.write_bytes(b"\0" * (1 << 20) + b"\0"), "larger than 1 MiB"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_old_file_stays(renewed, spoil, said):
    join(renewed.change)
    before, change = renewed.content, renewed.change
    spoil(renewed.key)
    with pytest.raises(PostkeelError, match=said) as refusal:
        join(change)
    assert "\n" not in str(refusal.value)
    assert renewed.path.read_bytes() == before
    assert os.listdir(renewed.path.parent) == [FILE]


@root_only
@pytest.mark.parametrize(
    ("options", "said"), [("size=4k", "No space left on device"), ("ro", "Read-only file system")]
)
def test_a_disk_that_takes_nothing_leaves_the_old_file_and_no_litter(renewed, options, said):
    place = renewed.path.parent
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", place], check=True)
    try:
        join(renewed.change)
        before = renewed.content
        subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)
        renewed.certificate.write_text(renewed.certificate.read_text() * 8)
        with pytest.raises(PostkeelError, match=f"cannot be written: {said}"):
            join(renewed.change)
        assert renewed.path.read_bytes() == before
        assert os.listdir(place) == [FILE]
    finally:
        subprocess.run(["umount", place], check=True)


class Traced:
    """Joins in a child under strace, see the crash tests of the writer."""

    def __init__(self, renewed, place):
        self.change = renewed.change
        self.trace = place / "trace"
        self.message = place / "message"

    def run(self, *inject):
        """Exit status of a child that joins, negative for a signal.

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
        status = 1
        try:
            os.kill(os.getpid(), signal.SIGSTOP)
            write(self.change)
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
        """(name, how many so far) of each call."""
        assert self.run() == 0
        seen, found = {}, []
        for line in self.trace.read_text().splitlines():
            if call := re.match(r"(\w+)\(", line):
                seen[call[1]] = seen.get(call[1], 0) + 1
                found.append((call[1], seen[call[1]]))
        return [one for one in found if one[0] not in MEMORY]


@pytest.fixture
def traced(renewed, tmp_path):
    """An old joined file, and a joining of the renewed two."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    join(renewed.change)
    renewed.old = renewed.content
    renewed.renew()
    made = Traced(renewed, tmp_path)
    renewed.calls = made.calls()
    assert renewed.path.read_bytes() == renewed.content
    return made


@pytest.mark.slow
def test_killed_at_each_system_call(renewed, traced):
    assert {"openat", "read", "write", "fchmod", "fsync", "rename", "close"} <= {
        name for name, _ in renewed.calls
    }
    seen = set()
    for name, count in renewed.calls:
        at = f"{name} number {count}"
        renewed.path.write_bytes(renewed.old)
        status = traced.run(f"-einject={name}:signal=SIGKILL:when={count}")
        assert status == -signal.SIGKILL, at
        assert renewed.path.read_bytes() in (renewed.old, renewed.content), at
        seen.add(renewed.path.read_bytes())
        left = set(os.listdir(renewed.path.parent))
        assert left <= {FILE, f"{FILE}.new"}, at
        for one in left - {FILE}:
            assert renewed.path.with_name(one).stat().st_mode & 0o077 == 0, at
        join(renewed.change)
        assert renewed.path.read_bytes() == renewed.content, at
        assert os.listdir(renewed.path.parent) == [FILE], at
    assert len(seen) == 2


@pytest.mark.slow
def test_each_system_call_failing(renewed, traced):
    refused = 0
    for name, count in renewed.calls:
        at = f"{name} number {count}"
        renewed.path.write_bytes(renewed.old)
        traced.message.write_text("")
        status = traced.run(f"-einject={name}:error=EIO:when={count}")
        said = traced.message.read_text()
        assert status in (0, REFUSED), f"{at}: {said}"
        assert renewed.path.read_bytes() in (renewed.old, renewed.content), at
        assert status == REFUSED or renewed.path.read_bytes() == renewed.content, at
        assert "\n" not in said, at
        refused += status == REFUSED
        if name not in TIDYING:
            assert os.listdir(renewed.path.parent) == [FILE], f"{at}: {said}"
    assert refused > 8
