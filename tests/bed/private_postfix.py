"""A real Postfix of one's own, for tests and the demonstration; gone without trace afterwards.

Debian's own default configuration with submission and submissions switched on,
in a directory of its own, on the real ports 25, 465 and 587 of a loopback
address that nobody else has, so that several run beside each other and beside
the system's. What is changed from Debian's default is in `_private_parameters`
and in `_master_cf`, nowhere else.

    with private_postfix(parameters={"smtpd_tls_protocols": ">=TLSv1"}) as postfix:
        postfix.config_directory, postfix.address

Needs root, for the ports and the address; `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import IO

from certificates import authority_of_all, signed_certificate

_DEFAULTS = Path("/usr/share/postfix")
_PREFIX = "private-postfix-"
_HOST = "mail.example.test"
_SNAKEOIL = ("/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/ssl-cert-snakeoil.key")
_CERTIFICATE_PARAMETERS = {
    "rsa": ("smtpd_tls_cert_file", "smtpd_tls_key_file"),
    "ecdsa": ("smtpd_tls_eccert_file", "smtpd_tls_eckey_file"),
}


def why_not() -> str | None:
    """Why no private Postfix can run here; None when one can."""
    if os.geteuid() != 0:
        return "a private Postfix needs root, for its ports and its loopback address"
    for program in ("postfix", "postconf", "ip"):
        if shutil.which(program, path=_path()) is None:
            return f"a private Postfix needs the program {program!r}; packaging/needs.txt"
    return None


@contextlib.contextmanager
def private_postfix(
    *,
    parameters: Mapping[str, str] | None = None,
    certificates: tuple[str, ...] = ("rsa",),
    master_cf: str = "",
    start: bool = True,
) -> Iterator[PrivatePostfix]:
    """A private Postfix, started unless told otherwise, and removed at the end.

    parameters: set in main.cf, in place of Debian's value.
    certificates: "rsa", "ecdsa", both or none.
    master_cf: lines added to master.cf.

    Removed also after an exception and after SIGTERM, which ends the process
    as SystemExit. What a killed process left behind, the next one removes.
    """
    _sweep()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_sigterm_as_exit())
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        stack.callback(shutil.rmtree, directory)
        owner = stack.enter_context((directory / "owner").open("w+"))
        fcntl.flock(owner, fcntl.LOCK_EX)
        address = stack.enter_context(_own_address(owner))
        postfix = PrivatePostfix(directory, address)
        postfix.configure(parameters or {}, certificates, master_cf)
        stack.callback(postfix.stop)
        if start:
            postfix.start()
        yield postfix


class PrivatePostfix:
    """One private Postfix. Get it from `private_postfix`."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.config_directory = str(directory / "etc")
        self.main_cf = directory / "etc" / "main.cf"
        self.master_cf = directory / "etc" / "master.cf"
        self.log_file = directory / "mail.log"
        self.authority = directory / "authority.pem"

    def configure(
        self, parameters: Mapping[str, str], certificates: tuple[str, ...], master_cf: str
    ) -> None:
        """Write main.cf, master.cf, certificates and the directories that Postfix wants."""
        self.directory.chmod(0o755)  # Postfix's own user has to get at the queue
        for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix")):
            (self.directory / name).mkdir()
            shutil.chown(self.directory / name, owner)
        self.log_file.touch()
        self.authority.write_text(authority_of_all())
        text = (_DEFAULTS / "main.cf.debian").read_text()
        if certificates:
            text += (_DEFAULTS / "main.cf.tls").read_text()
        wanted = self._private_parameters() | self._make_certificates(certificates)
        self.main_cf.write_text("".join(f"{line}\n" for line in _without_snakeoil(text)))
        self.set_parameters(wanted | dict(parameters))
        self.master_cf.write_text(_master_cf() + master_cf)

    def set_parameters(self, parameters: Mapping[str, str]) -> None:
        """Give main.cf parameters these values, as an administrator who is in a hurry does.

        The file is dated three seconds back: every Postfix program that reads a
        main.cf younger than two seconds waits until it is that old, in case its
        writer has not finished.
        """
        kept = [
            line
            for line in self.main_cf.read_text().splitlines()
            if line.partition("=")[0].strip() not in parameters
        ]
        lines = [*kept, *(f"{name} = {value}" for name, value in parameters.items())]
        self.main_cf.write_text("\n".join(lines) + "\n")
        past = time.time() - 3
        os.utime(self.main_cf, (past, past))

    def _private_parameters(self) -> dict[str, str]:
        return {
            "myhostname": _HOST,
            "queue_directory": str(self.directory / "queue"),
            "data_directory": str(self.directory / "data"),
            "maillog_file": str(self.log_file),
            "maillog_file_prefixes": str(self.directory),
            "inet_interfaces": self.address,
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "smtpd_peername_lookup": "no",  # without DNS each look-up costs 55 ms
            "alias_maps": "",  # Debian 13 names NIS here
            "alias_database": "",
        }

    def _make_certificates(self, kinds: tuple[str, ...]) -> dict[str, str]:
        parameters = {}
        for kind in kinds:
            made = signed_certificate(kind, host=_HOST, address=self.address)
            for parameter, pem in zip(
                _CERTIFICATE_PARAMETERS[kind], (made.certificate, made.key), strict=True
            ):
                file = self.file(parameter)
                file.touch(mode=0o600)
                file.write_text(pem)
                parameters[parameter] = str(file)
        return parameters

    def file(self, parameter: str) -> Path:
        """The file of its own that a parameter of certificates names."""
        return self.directory / "etc" / f"{parameter}.pem"

    def start(self) -> None:
        """Start it and wait until master has bound its ports."""
        self._postfix("start")

    def reload(self) -> None:
        self._postfix("reload")

    def stop(self) -> None:
        """Stop it and wait until master is gone; kill master's group if it does not go."""
        pid = self.pid()
        if pid is None:
            return
        with contextlib.suppress(subprocess.SubprocessError):
            self._postfix("stop")
        if not _gone(pid, seconds=5):
            os.killpg(pid, signal.SIGKILL)  # master leads a process group of its own
            _gone(pid, seconds=5)

    def pid(self) -> int | None:
        """Master's process id while it runs."""
        try:
            pid = int((self.directory / "queue/pid/master.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return None if _gone(pid) else pid

    def is_running(self) -> bool:
        return self.pid() is not None

    def log(self) -> str:
        """What Postfix has logged so far."""
        return self.log_file.read_text(errors="replace")

    def postconf(self, *arguments: str) -> str:
        """Standard output of Postfix's own postconf on this instance."""
        return _run(["postconf", "-c", self.config_directory, *arguments]).stdout

    def _postfix(self, verb: str) -> None:
        try:
            _run(["postfix", "-c", self.config_directory, verb])
        except subprocess.CalledProcessError as error:
            error.add_note(f"{error.stderr}\n{self.log()[-2000:]}")
            raise


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=30,
        env={"PATH": _path(), "LC_ALL": "C"},
    )


def _without_snakeoil(text: str) -> list[str]:
    """The lines of main.cf without Debian's own certificate, which may not be there."""
    return [line for line in text.splitlines() if line.partition("=")[2].strip() not in _SNAKEOIL]


def _master_cf() -> str:
    """Debian's master.cf, submission and submissions on, nothing in a chroot."""
    text = (_DEFAULTS / "master.cf.dist").read_text()
    text = re.sub(r"(?m)^#(submissions?\s+inet\s|  -o )", r"\1", text)
    return re.sub(r"(?m)^(\S+\s+(?:inet|unix)\s+\S+\s+\S+\s+)y", r"\1n", text)


@contextlib.contextmanager
def _own_address(owner: IO[str]) -> Iterator[str]:
    """A loopback address that nobody else has: the kernel refuses to add one twice."""
    for _ in range(50):
        address = f"127.83.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311 no secret
        with contextlib.suppress(subprocess.CalledProcessError):
            _run(["ip", "address", "add", f"{address}/32", "dev", "lo"])
            break
    else:
        raise RuntimeError("no loopback address is to be had: is the interface lo up?")
    try:
        print(address, file=owner, flush=True)
        yield address
    finally:
        _run(["ip", "address", "del", f"{address}/32", "dev", "lo"])


def _sweep() -> None:
    """Remove what killed processes left: their directories have no live owner."""
    for file in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/owner"):
        with contextlib.suppress(OSError), file.open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if address := owner.read().strip():
                PrivatePostfix(file.parent, address).stop()
                with contextlib.suppress(subprocess.CalledProcessError):
                    _run(["ip", "address", "del", f"{address}/32", "dev", "lo"])
                shutil.rmtree(file.parent, ignore_errors=True)


def _gone(pid: int, *, seconds: float = 0) -> bool:
    """Whether the process is gone, or has gone within so many seconds."""
    end = time.monotonic() + seconds
    while _lives(pid):
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@contextlib.contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the stack, where nobody else handles it."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
