"""Dovecot's authentication service as far as smtpd asks it: one user, one password."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from pathlib import Path


class AuthServer:
    """Listens at a Unix socket until it is closed. methods: those that are offered."""

    def __init__(self, path: Path, user: str, password: str, methods: tuple[str, ...]) -> None:
        self.asked: list[str] = []
        self._login = f"\0{user}\0{password}".encode()
        self._parts = (user.encode(), password.encode())
        self._methods = methods
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        path.chmod(0o666)
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rw", newline="\n") as both:
            offered = "".join(f"MECH\t{one}\tplaintext\n" for one in self._methods)
            both.write(f"VERSION\t1\t1\n{offered}SPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n")
            both.flush()
            given: list[bytes] = []
            for line in both:
                command, *words = line.rstrip("\n").split("\t")
                if command == "AUTH":
                    self.asked.append(words[1])
                    given = []
                if command not in ("AUTH", "CONT"):
                    continue
                both.write(self._answer(words, given))
                both.flush()

    def _answer(self, words: list[str], given: list[bytes]) -> str:
        number, response = words[0], words[-1].removeprefix("resp=")
        if self.asked[-1] == "PLAIN":
            good = base64.b64decode(response) == self._login
            return f"OK\t{number}\tuser=x\n" if good else f"FAIL\t{number}\n"
        if words[-1].startswith("resp=") or len(words) == 2:
            given.append(base64.b64decode(response))
        if len(given) < 2:
            prompt = base64.b64encode((b"Username:", b"Password:")[len(given)]).decode()
            return f"CONT\t{number}\t{prompt}\n"
        return f"OK\t{number}\tuser=x\n" if tuple(given) == self._parts else f"FAIL\t{number}\n"
