"""An authentication server that lets everybody in by whatever name, for smtpd to ask."""

from __future__ import annotations

import base64
from pathlib import Path

from auth_server import AuthServer


class LoginServer(AuthServer):
    """Knows the mechanism PLAIN only, and takes every password."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "", "", ("PLAIN",))

    def _answer(self, words: list[str], given: list[bytes]) -> str:  # noqa: ARG002 of LOGIN
        response = base64.b64decode(words[-1].removeprefix("resp="))
        user = response.split(b"\0")[1].decode().replace("\t", "\x01t")
        return f"OK\t{words[0]}\tuser={user}\n"


def plain(user: str) -> str:
    """The command that logs in as this user."""
    octets = b"\0" + user.encode() + b"\0secret"
    return f"AUTH PLAIN {base64.b64encode(octets).decode()}"
