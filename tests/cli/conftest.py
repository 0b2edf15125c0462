"""The command line as an administrator meets it: real processes on real files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from certificates import authority_of_all, signed_certificate
from guarded import own_certificates

MAIN_CF = """\
compatibility_level = 3.6
myhostname = mail.example.test
smtpd_tls_cert_file = $config_directory/certificate.pem
smtpd_tls_security_level = may
"""
MASTER_CF = """\
smtp       inet  n - n - - smtpd
submission inet  n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
smtp       unix  - - n - - smtp
"""


class Place:
    """A Postfix configuration directory that nothing runs, and postkeel's own files beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.etc = directory / "etc"
        self.own = directory / "postkeel"
        self.state = directory / "state"
        for one in (self.etc, self.own):
            one.mkdir()
        made = signed_certificate("ecdsa", host="mail.example.test", address="127.0.0.1")
        self.write("certificate.pem", f"{made.certificate}{made.key}")
        self.authority = directory / "authority.pem"
        self.authority.write_text(authority_of_all())
        (self.etc / "certificate.pem").chmod(0o600)
        self.write("main.cf", MAIN_CF)
        self.write("master.cf", MASTER_CF)
        self.configure("")

    def write(self, name: str, content: str | bytes) -> None:
        """A file of Postfix, dated back: see `private_postfix.set_parameters`."""
        path = self.etc / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        past = time.time() - 9
        os.utime(path, (past, past))

    def configure(self, more: str) -> None:
        """postkeel.toml; its first four lines are the place's own, and `more` begins at line 5."""
        own = "" if "certificates" in more else own_certificates(self.authority)
        (self.own / "postkeel.toml").write_text(
            f'state_directory = "{self.state}"\n'
            f'runtime_directory = "{self.directory}/run"\n'
            f'plugins.syslog.socket = "{self.directory}/log"\n'
            f"{own}\n{more}"
        )

    def profile(self, name: str, text: str) -> None:
        (self.own / "profiles").mkdir(exist_ok=True)
        (self.own / "profiles" / f"{name}.toml").write_text(text)

    @property
    def options(self) -> list[str]:
        return ["-c", str(self.etc), "--config", str(self.own / "postkeel.toml")]

    def run(self, *words: str, **settings) -> subprocess.CompletedProcess[str]:
        """A command on this place; settings as subprocess.run takes them."""
        return postkeel(*words, *self.options, **settings)

    def json(self, *words: str, status: int | None = None):
        """The document that a command prints, after a look at the exit status."""
        done = self.run(*words, "--format", "json")
        assert done.stderr == ""
        assert status is None or done.returncode == status
        return json.loads(done.stdout)

    def error(self, *words: str, **settings) -> str:
        """What a command that must fail says, the place's directory left out."""
        done = self.run(*words, **settings)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        for line in done.stderr.splitlines():
            assert line.startswith("postkeel: "), done.stderr
        return done.stderr.replace(f"{self.directory}/", "")

    def sums(self) -> dict[str, str]:
        """What is in the configuration directory, down to the byte, mode and link."""
        return {str(path.relative_to(self.etc)): _sum(path) for path in self.etc.rglob("*")}


def _sum(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    if not path.is_file():
        return f"{path.lstat().st_mode:o}"
    return f"{path.lstat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def postkeel(*words: str, **settings) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with the tree and libraries of the test."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
    } | settings.pop("env", {})
    given = {"capture_output": True, "text": True, "timeout": 60, "stdin": subprocess.DEVNULL}
    command = [sys.executable, "-m", "postkeel", *words]
    return subprocess.run(command, check=False, env=environment, **(given | settings))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(name="postkeel")
def _postkeel():
    return postkeel


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory):
    """A place for tests that only look."""
    return Place(tmp_path_factory.mktemp("shared"))
