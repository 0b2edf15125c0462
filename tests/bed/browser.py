"""A headless Chromium that opens a page and says what came of it, by its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEADLINE = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome")

# It reads commands from descriptor 3 and answers on 4.
_PLACE = """\
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def why_not() -> str:
    """Why no page can be opened here, "" when one can."""
    return "" if _program() else f"none of {', '.join(NAMES)} is installed"


def _program() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. requested: addresses that the page asked for; complaints: of its console."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._events: list[str] = []
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path, width: int, *, dark: bool = False) -> None:
        """Load a file at so many pixels' width, in the light or the dark."""
        self.requested, self.complaints, self._events = [], [], []
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._ask("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + DEADLINE
        while "Page.loadEventFired" not in self._events:
            self._receive(deadline)

    def evaluate(self, script: str) -> Any:
        """What an expression comes to in the page, whose policy does not bind us."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page as a picture."""
        answer = self._ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        command: dict[str, object] = {
            "id": self._number,
            "method": method,
            "params": parameters,
        }
        if self._session:
            command["sessionId"] = self._session
        octets = json.dumps(command).encode() + b"\0"
        while octets:
            octets = octets[os.write(self._commands, octets) :]
        deadline = time.monotonic() + DEADLINE
        while (answer := self._receive(deadline)).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            chunk = os.read(self._answers, 1 << 20)
            if not chunk:
                raise EOFError("the browser has ended")
            self._rest += chunk
        text, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(text)
        self._happened(told.get("method", ""), told.get("params", {}))
        return told

    def _happened(self, event: str, told: dict[str, Any]) -> None:
        self._events.append(event)
        if event == "Network.requestWillBeSent":
            self.requested.append(told["request"]["url"])
        elif event in {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}:
            self.complaints.append(json.dumps(told))


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """A tab of a browser that is started for it, with nothing kept of any other time."""
    program = _program()
    assert program
    commands, to_us = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _PLACE, str(commands[0]), str(to_us[1])),
                *(program, *_OPTIONS, f"--user-data-dir={directory}"),
            ],
            pass_fds=(commands[0], to_us[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands[0])
        os.close(to_us[1])
        try:
            yield Page(commands[1], to_us[0])
        finally:
            os.close(commands[1])
            os.close(to_us[0])
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
