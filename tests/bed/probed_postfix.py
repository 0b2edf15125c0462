"""A private Postfix that delivers to a mailbox, and probes of it as an unprivileged user.

The recipient is `nobody`, whom every system has: local(8) delivers as that user, so probes are
made as that user as well.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path

from postkeel.core.mail import LogLines, Probe, Probed, ProbeResult, Target
from postkeel.shell.probe import load, probe_once
from private_postfix import PrivatePostfix

USER = pwd.getpwnam("nobody")
SECRET = b"a secret of thirty-two octets...."[:32]
ADDRESS = "nobody@mail.example.test"

PARAMETERS = {
    "mydestination": "$myhostname",
    "mailbox_command": "",
    "home_mailbox": "",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_received_header": "yes",
    "smtpd_tls_loglevel": "1",
    "local_destination_concurrency_limit": "1",
}
"""A server as postkeel leaves it, whose mail for `nobody` ends in a spool of its own."""


class ProbedPostfix:
    """maildir: the mailbox is one; else it is an mbox file."""

    def __init__(self, postfix: PrivatePostfix, *, maildir: bool = False) -> None:
        self.postfix = postfix
        self.spool = postfix.directory / "spool"
        self.spool.mkdir()
        self.spool.chmod(0o1777)
        self.mailbox = self.spool / "nobody"
        self.name = f"{self.mailbox}/" if maildir else str(self.mailbox)
        postfix.set_parameters({"mail_spool_directory": f"{self.spool}{'/' if maildir else ''}"})
        postfix.log_file.chmod(0o644)
        self._main_cf = postfix.main_cf.read_text()
        load(self.wanted())  # the user may not be able to read where Python is

    @property
    def smtp(self) -> Target:
        """Port 25."""
        return Target(service="smtp/inet", host=self.postfix.address, port="25")

    def set(self, parameters: Mapping[str, str]) -> None:
        """Have the running Postfix be as it was at first, with these parameters."""
        self.postfix.main_cf.write_text(self._main_cf)
        self.postfix.set_parameters(parameters)
        self.postfix.reload()

    def wanted(self, *targets: Target, seconds: float = 10.0, credentials: str = "") -> Probe:
        return Probe(
            targets=targets or (self.smtp,),
            address=ADDRESS,
            mailbox=self.name,
            log=LogLines(file=str(self.postfix.log_file)),
            credentials=credentials,
            seconds=seconds,
        )

    def probe(self, *targets: Target, seconds: float = 10.0, credentials: str = "") -> ProbeResult:
        """A round of probes through these targets, or port 25, made as `nobody`."""
        wanted = self.wanted(*targets, seconds=seconds, credentials=credentials)
        with as_user():
            return probe_once(wanted, str(self.spool), SECRET)

    def one(self, *targets: Target, seconds: float = 10.0) -> Probed:
        """What came of the first target."""
        result = self.probe(*targets, seconds=seconds)
        assert not result.problem, result
        return result.probed[0]

    def mail(self) -> bytes:
        """What is in the mailbox."""
        if self.mailbox.is_dir():
            files = [one for place in ("new", "cur") for one in (self.mailbox / place).iterdir()]
            return b"".join(one.read_bytes() for one in files)
        return self.mailbox.read_bytes() if self.mailbox.exists() else b""

    def put(self, octets: bytes) -> Path:
        """Have the mbox hold this, as `nobody`'s."""
        self.mailbox.write_bytes(octets)
        os.chown(self.mailbox, USER.pw_uid, USER.pw_gid)
        return self.mailbox


@contextlib.contextmanager
def as_user() -> Iterator[None]:
    """Within it this process is `nobody`, where it was root."""
    if os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(USER.pw_gid)
    os.seteuid(USER.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
