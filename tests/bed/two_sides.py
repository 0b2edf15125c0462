"""Both sides of an agent as two processes, the monitor without rights."""

from __future__ import annotations

import functools
import json
import os
import signal
import smtplib
import ssl
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from guarded import Guarded, until
from private_postfix import PrivatePostfix

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"
NOBODY = 65534
# Python itself may be where only root reads; the sandbox of the unit is not what is tried here.
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    *("--bounding-set=-all,+dac_read_search", "--no-new-privs"),
]


class Hardened(Protocol):
    """A private Postfix, and its files as they should be."""

    @property
    def postfix(self) -> PrivatePostfix: ...

    @property
    def main_cf(self) -> str: ...

    def is_right(self) -> bool: ...


class Sides:
    """Both sides of one agent, in directories with the owners that the package gives them."""

    def __init__(self, one: Guarded, hardened: Hardened) -> None:
        self.one = one
        self.hardened = hardened
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name, owner, mode in (
            ("", 0, 0o755),
            ("state", 0, 0o710),
            ("state/monitor", NOBODY, 0o700),
            ("state/outbox", 0, 0o2750),
            ("run", 0, 0o755),
            ("run/monitor", NOBODY, 0o755),
            ("run/ask", 0, 0o710),
        ):
            path = one.directory / name
            path.mkdir(exist_ok=True)
            os.chown(path, owner, NOBODY)
            path.chmod(mode)
        (one.directory / "log").chmod(0o666)

    @property
    def path(self) -> str:
        """Of the channel."""
        return str(self.one.directory / "run/ask/socket")

    def of_monitor(self, name: str) -> Path:
        return self.one.directory / name

    def start(self, *sides: str) -> None:
        for side in sides:
            before = AS_NOBODY if side == "monitor" else []
            with (self.one.directory / f"stderr-{side}").open("ab") as errors:
                self.running[side] = subprocess.Popen(
                    [*before, *self.one.command("run", "--side", side)],
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
            until(functools.partial(self.status, side), 20)
        if "monitor" in sides and "root" in self.running:
            until(lambda: "follows" in self.one.run("status").stdout, 20)

    def status(self, side: str) -> Any:
        """What this side says of the instance; None until it says so."""
        name = {"root": "run/status.json", "monitor": "run/monitor/status.json"}[side]
        try:
            status = json.loads((self.one.directory / name).read_text())
        except FileNotFoundError:
            return None
        return status["instances"][0] if status["pid"] == self.running[side].pid else None

    def kill(self, side: str) -> None:
        self.running[side].kill()
        self.running[side].wait()

    def stop(self) -> None:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def errors(self, side: str) -> str:
        return (self.one.directory / f"stderr-{side}").read_text()

    def corrects(self) -> str:
        """A drift comes, and goes."""
        self.one.reports_now()
        main_cf = self.hardened.postfix.main_cf
        main_cf.write_text(self.hardened.main_cf.replace(STRONG, WEAK))
        report = self.one.report_with("fixed 1: ", 30)
        assert self.hardened.is_right()
        return report

    def peers(self) -> str:
        """The names of all who are in the records."""
        answer = self.one.run("tls-log", "--format", "json")
        return answer.stdout if answer.returncode == 0 else ""

    def logged(self, text: str) -> None:
        with self.hardened.postfix.log_file.open("a") as file:
            file.write(
                f"{datetime.now().astimezone():%b %d %H:%M:%S} mx postfix/smtpd[77]: {text}\n"
            )

    def handshake(self, address: str) -> None:
        """A TLS session of a client with this loopback address."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP(
            self.hardened.postfix.address, 25, timeout=15, source_address=(address, 0)
        ) as client:
            client.starttls(context=context)
            client.ehlo()
