"""What a plugin may want to be shown of logs and mail, and what it is then told."""

from __future__ import annotations

from postkeel.core.frozen import frozen


@frozen
class LogLines:
    """Wake me with the lines that Postfix logs; for plugins of side "monitor".

    file: the mail log to follow, "" for the systemd journal. Of the journal:

    programs: what these wrote (absolute names). Without any, what the units wrote.
    units: whose lines journald may have dropped; this is told as lost.
    users: only what processes of these users wrote; without any, of all users.

    Security: a unit's lines are also those of commands that Postfix runs for its users
    (.forward, pipe(8)), and a user can run any program with a library of his own in it. So
    only programs and users together are proof of who wrote a line.
    """

    file: str = ""
    units: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@frozen
class Target:
    """A port that a probe message is handed in at.

    direct: TLS from the first octet, without STARTTLS. login: mail is taken only after AUTH.
    """

    service: str
    host: str
    port: str
    direct: bool = False
    login: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.service} on {host}:{self.port}"


@frozen
class Probe:
    """Send a message to yourself through each target, and read it back; side "monitor".

    every, splay: seconds between probes; 0 for none by the clock or after corrections. The first
    one comes soon after the start. address: the recipient. mailbox: where Postfix puts what
    is for it, a file (mbox) or, ending in "/", a Maildir; a name that is not absolute is below
    the monitor's state directory. credentials: a file "USER:PASSWORD" for targets with login.
    log: where the sessions' TLS lines are. seconds: how long a message may take.
    """

    targets: tuple[Target, ...]
    address: str
    mailbox: str
    every: float = 0.0
    splay: float = 0.0
    credentials: str = ""
    log: LogLines | None = None
    seconds: float = 10.0


@frozen
class Probed:
    """What became of the message through one target, as three witnesses have it.

    protocol, cipher, bits: of the probe's own handshake; "" where none came about. stage: how
    far it came: "connection", "greeting", "EHLO", "STARTTLS", "TLS", "AUTH", "MAIL", "RCPT",
    "DATA", "delivery", and "" when all is done. code: of the answer that ended it, 0 where
    there was none. problem: why it ended there, a sentence. queue_id: of the answer to DATA,
    "" where it has none. header: as delivered. lines: of the mail log, those of the process
    that took it, up to the end of the session. log_problem: why there are none. seconds: from
    the connection to the delivery.
    """

    target: Target
    stage: str = ""
    code: int = 0
    problem: str = ""
    protocol: str = ""
    cipher: str = ""
    bits: int = 0
    queue_id: str = ""
    header: bytes = b""
    lines: bytes = b""
    log_problem: str = ""
    seconds: float = 0.0


@frozen
class ProbeResult:
    """One round of probes. `late`: seconds that earlier ones took, which came only now.

    others: messages in the mailbox that are not probes of this host. left: probes that could
    not be removed from it. problem: why the mailbox cannot be used, "" when it can.
    """

    probed: tuple[Probed, ...] = ()
    late: tuple[float, ...] = ()
    others: int = 0
    left: int = 0
    problem: str = ""


@frozen
class Mailboxes:
    """Show me headers of new messages there; for plugins of side "monitor".

    paths: absolute, a file (mbox) or, ending in "/", a Maildir. most: messages a minute, of
    all of them; what comes beyond is not looked at. Of each only the fields Received and
    Authentication-Results are handed on, as they stand in it.
    """

    paths: tuple[str, ...]
    most: int = 60
