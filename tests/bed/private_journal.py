"""A real systemd-journald of one's own, for tests; gone without trace afterwards.

It lives in a mount namespace with memory on /run and /var/log, so that neither
its sockets nor its files are the host's. The test reads the files through
/proc/PID/root and logs as any process does, by journald's sockets.

    with private_journal("RuntimeMaxFiles=3") as journal:
        journal.log("hello"), journal.directory, journal.program

Needs root, for the namespace; `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_SO_SNDBUFFORCE = 32  # of Linux; Python has no name for it
_JOURNALD = "/usr/lib/systemd/systemd-journald"
_MACHINE = "0123456789abcdef0123456789abcdef"
_SETTINGS = (
    "Storage=volatile",
    "RateLimitIntervalSec=0",
    "ForwardToSyslog=no",
    "ForwardToWall=no",
    "ReadKMsg=no",
    "Audit=",  # unset: leave the kernel's auditing as it is
)
_ENTER = """
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log &&
mkdir -p /run/systemd/journald.conf.d /run/log/journal /var/log/journal &&
cat /proc/sys/kernel/random/boot_id > /run/boot_id &&
echo "$1" > /run/machine-id && mount --bind /run/machine-id /etc/machine-id &&
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id &&
if ! mountpoint -q /sys/fs/cgroup; then # journald of Debian 13 ends without
    mount -t tmpfs tmpfs /sys && mkdir -p /sys/fs/cgroup &&
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi &&
echo ready && exec cat
"""
_AS_UNIT = """
import socket, sys
path, unit, identifier, message = sys.argv[1:]
stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.connect(path)
stream.sendall(f"{identifier}\\n{unit}\\n6\\n0\\n0\\n0\\n0\\n{message}\\n".encode())
print("sent", flush=True)
sys.stdin.read()  # journald looks at this process when it deals with the message
"""


def why_not() -> str | None:
    """Why no private journald can run here; None when one can."""
    if os.geteuid() != 0:
        return "a private journald needs root, for its mount namespace"
    if not os.path.exists("/etc/machine-id"):
        return "a private journald needs /etc/machine-id"
    for program in (_JOURNALD, "unshare", "nsenter", "setpriv", "logger"):
        if shutil.which(program) is None:
            return f"a private journald needs {program}; packaging/needs.txt"
    return None


def why_no_units() -> str | None:
    """Why journald does not believe a process here which unit it is of; None when it does.

    It believes root, for processes that are of no unit by their control group.
    """
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    if any(
        one in {"0::/", "1:name=systemd:/"} or one.endswith(":name=systemd:/") for one in groups
    ):
        return None
    return "this process is of a unit already; journald would not believe another"


@contextlib.contextmanager
def private_journal(*settings: str) -> Iterator[PrivateJournal]:
    """A private journald that runs; `settings` are lines for journald.conf."""
    with contextlib.ExitStack() as stack:
        namespace = stack.enter_context(
            subprocess.Popen(
                [
                    "unshare",
                    "--mount",
                    "--propagation",
                    "private",
                    "sh",
                    "-c",
                    _ENTER,
                    "sh",
                    _MACHINE,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        assert namespace.stdin
        assert namespace.stdout
        stack.callback(namespace.stdin.close)  # then its `cat` ends, also when we are killed
        if namespace.stdout.readline() != b"ready\n":
            raise RuntimeError("no mount namespace for a private journald")
        journal = PrivateJournal(namespace.pid)
        journal.configure(*settings)
        journal.start()
        stack.callback(journal.stop)
        yield journal


class PrivateJournal:
    """A journald in the mount namespace of another process.

    root: its file system as seen from here. program: `_EXE` of what this process logs,
    as journald sees it.
    """

    def __init__(self, namespace: int) -> None:
        self.root = Path(f"/proc/{namespace}/root")
        self._enter = ["nsenter", f"--target={namespace}", "--mount", "--root"]
        executable = self.run("readlink", f"/proc/{os.getpid()}/exe")  # in a chroot we see another
        self.program = executable.decode().strip()
        self._journald: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def directory(self) -> str:
        """Where the journal's files are, seen from here, while it is in memory."""
        return str(self.root / "run/log/journal" / _MACHINE)

    @property
    def persistent_directory(self) -> str:
        """Where they are after a flush."""
        return str(self.root / "var/log/journal" / _MACHINE)

    def configure(self, *settings: str) -> None:
        """What the next start reads."""
        text = "\n".join(("[Journal]", *_SETTINGS, *settings, ""))
        (self.root / "run/systemd/journald.conf.d/private.conf").write_text(text)

    def start(self, boot: str = "") -> None:
        """Start journald; boot: the boot that it is to believe in, a UUID."""
        if boot:
            (self.root / "run/boot_id").write_text(f"{boot}\n")
        # setpriv: it ends with us however we end.
        command = [*self._enter, "setpriv", "--pdeathsig", "TERM", _JOURNALD]
        self._journald = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._until(self._connected, "journald does not listen")

    def stop(self, *, kill: bool = False) -> None:
        """End journald, if it runs, in good order or not."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._journald is not None:
            self._journald.kill() if kill else self._journald.terminate()
            self._journald.wait(10)
            self._journald = None

    def log(
        self, message: str | bytes, identifier: str = "postfix/smtpd", **fields: str | bytes
    ) -> None:
        """Log as this process does, by the native protocol: any bytes, any field."""
        texts = {"SYSLOG_IDENTIFIER": identifier, "MESSAGE": message, **fields}
        octets = b""
        for name, text in texts.items():
            value = text.encode() if isinstance(text, str) else text
            octets += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        assert self._socket, "journald does not run"
        self._socket.send(octets)

    def log_of_unit(self, unit: str, message: str, identifier: str = "postfix/smtpd") -> None:
        """Log as a process of this unit; see `why_no_units`."""
        path = str(self.root / "run/systemd/journal/stdout")
        command = [sys.executable, "-S", "-c", _AS_UNIT, path, unit, identifier, message]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            self.sync()

    def log_by_logger(
        self, message: str, identifier: str = "postfix/smtpd", user: str = "root"
    ) -> None:
        """Log by logger(1), so that `_EXE` is /usr/bin/logger and the rest is a claim."""
        logger = ("logger", "--socket", "/run/systemd/journal/dev-log", "-t", identifier)
        command = ("setpriv", f"--reuid={user}", "--keep-groups", *logger)
        with subprocess.Popen([*self._enter, *command], stdin=subprocess.PIPE) as process:
            assert process.stdin
            process.stdin.write(f"{message}\n".encode())
            process.stdin.flush()
            self._until(lambda: self._said(message), "journald did not hear logger")

    @contextlib.contextmanager
    def of_unit(self, unit: str) -> Iterator[None]:
        """Have journald take this process for one of the unit; see `why_no_units`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.connect(str(self.root / "run/systemd/journal/stdout"))
            stream.sendall(f"-\n{unit}\n6\n0\n0\n0\n0\n-\n".encode())
            self.sync()
            yield

    def sync(self) -> None:
        """Wait until journald has dealt with all that was logged."""
        self.run("journalctl", "--sync")

    def rotate(self) -> None:
        self.run("journalctl", "--rotate")

    def vacuum(self) -> None:
        """Take away what is in no file that is written to."""
        self.run("journalctl", "--vacuum-files=1")

    def run(self, *command: str) -> bytes:
        """What a program prints that runs where journald is."""
        command = (*self._enter, *command)
        return subprocess.run(command, check=True, timeout=30, capture_output=True).stdout

    def _connected(self) -> bool:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 4 * 1024 * 1024)
        try:
            self._socket.connect(str(self.root / "run/systemd/journal/socket"))
            self.sync()
        except (OSError, subprocess.SubprocessError):
            self._socket.close()
            return False
        return True

    def _said(self, message: str) -> bool:
        said = self.run("journalctl", "--output=cat", "--quiet").splitlines()
        return message.encode() in said

    @staticmethod
    def _until(true: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + 10
        while not true():
            if time.monotonic() > deadline:
                raise RuntimeError(complaint)
            time.sleep(0.005)
