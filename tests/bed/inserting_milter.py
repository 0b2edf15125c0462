"""A milter that writes a field into each message, as those do that check DKIM and SPF.

It speaks version 6 of the protocol, and asks to be shown nothing but the end of the message.
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from pathlib import Path

_ADDS_HEADERS = 0x01
_SHOW_NOTHING = 0x7F | 0x80 | 0x200  # no connect, helo, mail, rcpt, body, headers, unknown, data


class InsertingMilter:
    """Serves on this Unix socket until it is closed.

    place: where the field goes, as smfi_insheader(3) has it.
    """

    def __init__(self, path: Path, name: str, value: str, place: int = 0) -> None:
        field = struct.pack("!I", place) + f"{name}\0{value}\0".encode()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while head := self.rfile.read(4):
                        told = self.rfile.read(struct.unpack("!I", head)[0])
                        if told[:1] == b"Q":
                            return
                        for one in _answers(told[:1], field):
                            self.wfile.write(struct.pack("!I", len(one)) + one)

        self._path = path
        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        path.chmod(0o666)  # smtpd asks as Postfix's own user
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink()


def _answers(command: bytes, field: bytes) -> list[bytes]:
    if command == b"O":
        return [b"O" + struct.pack("!III", 6, _ADDS_HEADERS, _SHOW_NOTHING)]
    if command == b"E":
        return [b"i" + field, b"c"]
    return [] if command in (b"D", b"A") else [b"c"]
