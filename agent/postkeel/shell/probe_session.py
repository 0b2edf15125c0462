"""One probe message, handed in at one port as any client with TLS hands in mail.

Nothing is sent in clear text but what comes before STARTTLS. Certificates are not verified:
what is agreed upon is what a sender of mail gets.

Security: see `conversation`. Mail and password are given only to who answers on an address of
this host, and no text that is quoted holds the password.
"""

from __future__ import annotations

import base64
import re
import ssl
import time
from email.utils import formatdate
from typing import Final, NamedTuple

from postkeel.core.mail import Probed, Target
from postkeel.shell.conversation import Conversation, PeerError, client_context, reason_of
from postkeel.shell.probe_token import FIELD, Token
from postkeel.shell.proof import SILENCE

DELIVERY: Final = "delivery"
"""The stage of a message that was taken: it is not in the mailbox yet."""

_GOODBYE_SECONDS: Final = 1.0
_QUEUED: Final = re.compile(r"\bqueued as ([0-9A-Za-z]{1,30})\b")
_PROMPT: Final = b"334"
_BODY: Final = (
    "postkeel sends this message to itself, to see that mail comes here encrypted,"
    " and removes it again."
)


class Login(NamedTuple):
    """A name and its password, for ports that want one."""

    user: str
    password: str


def prepare() -> None:
    """Build what threads then share."""
    client_context()


def letter(address: str, token: Token) -> bytes:
    """The message, as it stands between DATA and the dot."""
    fields = {
        "From": f"postkeel <{address}>",
        "To": f"<{address}>",
        "Date": formatdate(token.made),
        "Message-ID": f"<{token.nonce}.{address}>",
        "Subject": "postkeel probe",
        "Auto-Submitted": "auto-generated",
        "Precedence": "bulk",
        FIELD: token.text,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head}\r\n{_BODY}\r\n".encode("ascii")


def hand_in(
    target: Target, address: str, token: Token, seconds: float, login: Login | None = None
) -> Probed | None:
    """Hand the message in; None where this host lacks the address, as one without IPv6 does.

    seconds: for all of it. Diagnostics: whatever the peer does ends in the `Probed`: its stage
    is `DELIVERY` when the message was taken.
    """
    attempt = _Attempt(target, address, token, login)
    problem, code = "", 0
    try:
        attempt.make(seconds)
    except PeerError as error:
        problem, code = str(error), error.code
    except ssl.SSLError as error:
        problem = f"TLS: {reason_of(error)}"
    except TimeoutError:
        problem = SILENCE
    except (UnicodeError, OverflowError) as error:  # of a host or port that cannot be one
        problem = f"{target.host}:{target.port}: {error}"
    except OSError as error:
        if target.host == "::1" and attempt.stage == "connection" and not _has_loopback_six():
            return None
        problem = error.strerror or str(error)
    return attempt.ended(problem, code)


class _Attempt:
    """How far it came, and what was agreed upon."""

    def __init__(self, target: Target, address: str, token: Token, login: Login | None) -> None:
        self.stage = "connection"
        self._target = target
        self._address = address
        self._token = token
        self._login = login
        self._agreed: tuple[str, str, int] = ("", "", 0)
        self._queue_id = ""

    def make(self, seconds: float) -> None:
        """Errors: PeerError, OSError (ssl.SSLError and TimeoutError among them)."""
        with Conversation.open(self._target.host, self._target.port, seconds) as peer:
            _must_be_here(peer)
            try:
                self._talk(peer, _own_name(peer))
            except PeerError as error:
                if error.code:
                    _leave(peer)
                raise
            _leave(peer)

    def ended(self, problem: str, code: int = 0) -> Probed:
        protocol, cipher, bits = self._agreed
        return Probed(
            target=self._target,
            stage=self.stage,
            code=code,
            problem=self._without_password(problem),
            protocol=protocol,
            cipher=cipher,
            bits=bits,
            queue_id=self._queue_id,
        )

    def _talk(self, peer: Conversation, name: bytes) -> None:
        if self._target.direct:
            self._encrypt(peer)
        self.stage = "greeting"
        peer.expect(b"220", "the greeting")
        if not self._target.direct:
            self.stage = "EHLO"
            offer = peer.greet(name)
            self.stage = "STARTTLS"
            peer.ask_for_tls(offer)
            self._encrypt(peer)
        self.stage = "EHLO"
        offer = peer.greet(name)
        if self._target.login:
            self.stage = "AUTH"
            self._log_in(peer, offer)
        self._give(peer)

    def _encrypt(self, peer: Conversation) -> None:
        self.stage = "TLS"
        context = client_context()
        if context is None:
            raise AssertionError("a context for all protocols is always to be had")
        secured = peer.encrypt(context)
        name, _, bits = secured.cipher() or ("", "", 0)
        self._agreed = (secured.version() or "", name, bits)

    def _log_in(self, peer: Conversation, offer: list[bytes]) -> None:
        if self._login is None:
            raise PeerError("there are no credentials for it")
        methods = {word for line in offer if line.startswith(b"AUTH") for word in line[4:].split()}
        user, password = (one.encode() for one in self._login)
        if b"PLAIN" in methods:
            both = base64.b64encode(b"\0%b\0%b" % (user, password))
            peer.send(b"AUTH PLAIN %b\r\n" % both)
        elif b"LOGIN" in methods:
            peer.send(b"AUTH LOGIN\r\n")
            for one in (user, password):
                peer.expect(_PROMPT, "AUTH LOGIN")
                peer.send(base64.b64encode(one) + b"\r\n")
        else:
            raise PeerError("neither AUTH PLAIN nor AUTH LOGIN is offered")
        peer.expect(b"235", "AUTH")

    def _give(self, peer: Conversation) -> None:
        address = self._address.encode("ascii")
        for stage, command in (
            ("MAIL", b"MAIL FROM:<>"),
            ("RCPT", b"RCPT TO:<%b>" % address),
        ):
            self.stage = stage
            peer.send(command + b"\r\n")
            peer.expect(b"250", stage)
        self.stage = "DATA"
        peer.send(b"DATA\r\n")
        peer.expect(b"354", "DATA")
        peer.send(letter(self._address, self._token) + b".\r\n")
        answer = peer.expect(b"250", "the message")
        found = _QUEUED.search(answer[-1].decode("ascii", "replace"))
        self._queue_id = found[1] if found else ""
        self.stage = DELIVERY

    def _without_password(self, text: str) -> str:
        """The text; nothing of it where the peer has given the password back in it."""
        if self._login is None or not text:
            return text
        user, password = (one.encode() for one in self._login)
        for secret in (password, b"\0%b\0%b" % (user, password)):
            plain, packed = secret.decode(), base64.b64encode(secret).decode()
            if plain in text or packed in text:
                return "the answer is not shown, for the password is in it"
        return text


def _must_be_here(peer: Conversation) -> None:
    """Errors: PeerError when it is another host that answers: no mail is to leave this one.

    Who connects to an address of his own has that address himself.
    """
    address = str(peer.connection.getpeername()[0])
    own = str(peer.connection.getsockname()[0])
    if address != own and not address.startswith("127."):
        raise PeerError(f"{address} is not an address of this host: no mail is sent there")


def _leave(peer: Conversation) -> None:
    """Without patience: what was to be learnt is known by now."""
    peer.end = min(peer.end, time.monotonic() + _GOODBYE_SECONDS)
    peer.leave()


def _own_name(peer: Conversation) -> bytes:
    """What a client without a name says to EHLO: its address (RFC 5321, section 4.1.3)."""
    address = str(peer.connection.getsockname()[0]).partition("%")[0]
    return (f"[IPv6:{address}]" if ":" in address else f"[{address}]").encode("ascii")


def _has_loopback_six() -> bool:
    import socket

    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True
