"""The real agent on a private Postfix, with everything of its own in one directory."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from private_postfix import PrivatePostfix

POSTKEEL = str(Path(sys.executable).parent / "postkeel")


class Guarded:
    """An agent and the socket on which its reports arrive, one line each.

    catch: agents write their standard error to the file `errors`.
    """

    def __init__(
        self, postfix: PrivatePostfix, directory: Path, more: str, *, catch: bool = False
    ) -> None:
        self.catch = catch
        self.postfix = postfix
        self.directory = directory
        self.config = directory / "postkeel.toml"
        self.errors = directory / "stderr"
        self.reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.reports.bind(str(directory / "log"))
        self.configure(more)
        self.agent: subprocess.Popen[bytes] | None = None

    def configure(self, more: str) -> None:
        """Write postkeel.toml; `more` are lines for its top.

        Without a word on [reporting] in it there are no heartbeats and digests: `report` waits
        for what happens, not for them. Without one on certificates the private Postfix's
        authority is trusted, and neither this host's renewers nor its resolver are asked.
        """
        quiet = 'reporting = { heartbeat = 0, digest = "" }\n'
        if "reporting" in more:
            quiet = ""
        if "certificates" not in more:
            quiet += f"{own_certificates(self.postfix.authority)}\n"
        self.config.write_text(
            f'state_directory = "{self.directory}/state"\n'
            f'runtime_directory = "{self.directory}/run"\n'
            f'{quiet}{more}\n[plugins.syslog]\nsocket = "{self.directory}/log"\n'
        )

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start the agent, with additions to its environment."""
        self.agent = self.popen(**environment)
        return self.agent

    def popen(self, **environment: str) -> subprocess.Popen[bytes]:
        """An agent that is nobody's to stop but the caller's."""
        with contextlib.ExitStack() as stack:
            return subprocess.Popen(
                self.command("run"),
                stdout=subprocess.DEVNULL,
                stderr=stack.enter_context(self.errors.open("ab")) if self.catch else None,
                env=os.environ | environment,
            )

    @property
    def pid(self) -> int:
        """The running agent's process id."""
        if self.agent is None:
            raise LookupError("the agent does not run")
        return self.agent.pid

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

    def reports_now(self) -> list[str]:
        """What has been reported and not been read yet."""
        lines = []
        with contextlib.suppress(TimeoutError):
            while True:
                lines.append(self.report(0))
        return lines

    def history(self) -> list[dict[str, Any]]:
        """The reports that `postkeel history` shows, newest first."""
        answer = self.run("history", "--limit", "1000", "--format", "json")
        reports: list[dict[str, Any]] = json.loads(answer.stdout)["reports"]
        return reports

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


def own_certificates(authority: Path | str) -> str:
    """A line of postkeel.toml: certificates of this authority are right, and no host is asked."""
    return f'certificates = {{ roots = "{authority}", lineages = [], resolver = "" }}'


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What the condition gives as soon as that is true.

    Errors: TimeoutError when it is not within so many seconds.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.002)
    return found


@contextlib.contextmanager
def guarded(
    postfix: PrivatePostfix, *, more: str = "", start: bool = True, catch: bool = False
) -> Iterator[Guarded]:
    """The agent on this Postfix; `more` are lines for the top of its configuration."""
    directory = Path(tempfile.mkdtemp(prefix="postkeel-guarded-"))
    one = Guarded(postfix, directory, more, catch=catch)
    try:
        if start:
            one.start()
        yield one
    finally:
        one.stop()
        one.reports.close()
        shutil.rmtree(directory)
