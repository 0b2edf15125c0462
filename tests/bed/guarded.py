"""The real agent on a private Postfix, with everything of its own in one directory."""

from __future__ import annotations

import contextlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from private_postfix import PrivatePostfix

POSTKEEL = str(Path(sys.executable).parent / "postkeel")


class Guarded:
    """An agent and the socket on which its reports arrive, one line each."""

    def __init__(self, postfix: PrivatePostfix, directory: Path, more: str) -> None:
        self.postfix = postfix
        self.directory = directory
        self.config = directory / "postkeel.toml"
        self.reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.reports.bind(str(directory / "log"))
        self.config.write_text(
            f'state_directory = "{directory}/state"\n'
            f'runtime_directory = "{directory}/run"\n'
            f'{more}\n[plugins.syslog]\nsocket = "{directory}/log"\n'
        )
        self.agent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.agent = subprocess.Popen(self.command("run"), stdout=subprocess.DEVNULL)

    def command(self, *words: str) -> list[str]:
        """The argument list of a postkeel command on this instance."""
        directory = self.postfix.config_directory
        return [POSTKEEL, *words, "-c", directory, "--config", str(self.config)]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of postkeel, finished; whatever its exit status."""
        return subprocess.run(
            self.command(*words), check=False, capture_output=True, text=True, timeout=60
        )

    def report(self, seconds: float = 15) -> str:
        """The next report, without its syslog header.

        Errors: TimeoutError when none comes.
        """
        if not select.select([self.reports], [], [], seconds)[0]:
            raise TimeoutError(f"no report within {seconds} s")
        return self.reports.recv(4096).decode().partition("]: ")[2]

    def report_with(self, words: str, seconds: float = 15) -> str:
        """The next report that has these words; others are passed over."""
        while words not in (line := self.report(seconds)):
            pass
        return line

    def stop(self) -> int:
        """End the agent as systemd does; its exit status."""
        if self.agent is None:
            return 0
        self.agent.send_signal(signal.SIGTERM)
        try:
            return self.agent.wait(15)
        except subprocess.TimeoutExpired:
            self.agent.kill()
            return self.agent.wait()
        finally:
            self.agent = None


@contextlib.contextmanager
def guarded(postfix: PrivatePostfix, *, more: str = "", start: bool = True) -> Iterator[Guarded]:
    """The agent on this Postfix; `more` are lines for the top of its configuration."""
    directory = Path(tempfile.mkdtemp(prefix="postkeel-guarded-"))
    one = Guarded(postfix, directory, more)
    try:
        if start:
            one.start()
        yield one
    finally:
        one.stop()
        one.reports.close()
        shutil.rmtree(directory)
