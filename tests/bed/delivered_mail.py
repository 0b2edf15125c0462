"""Mail through a real Postfix, and its header as it was delivered.

    with delivered_mail() as one:
        mail = one.send("every", tls=("-tls1_3", "-groups", "X448"))
        mail.header, mail.queue_id

Services of every kind that changes what smtpd writes into a message; all that they take
comes into one Maildir. Needs what `private_postfix` needs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from authority import Authority
from far_side import CLIENT, Client, clear_client, secure_client
from guarded import until
from login_server import LoginServer
from postkeel.maillog.one_session import is_whole, lines_of
from private_postfix import PrivatePostfix, private_postfix

DOMAIN = "delivered.example"
REFUSED = "refused.example"
HOST = "mail.example.test"
MAIL_NAME = "Example Mail"
CURVES = ("X25519MLKEM768", "X25519", "X448", "prime256v1", "secp384r1", "secp521r1")
FIELDS = ("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192")
_NOBODY = 65534

_SERVICES = (
    "every",
    "asks",
    "unsaid",
    "hidden",
    "named",
    "login",
    "quiet_login",
    "told",
    "ascii",
    "screened",
    "proxied",
    "filtered",
    "inner",
    "edwards",
    "raw",
    "silent",
    "stripped",
    "checked",
)
PORTS = {name: port for port, name in enumerate(_SERVICES, 2601)}

# {d} is Postfix's configuration directory.
_MASTER_CF = """\
smtpd pass - - n - - smtpd
tlsproxy unix - - n - 0 tlsproxy
{address}:{every} inet n - n - - smtpd
  -o syslog_name=postfix/every -o smtpd_tls_protocols=>=TLSv1
  -o tls_medium_cipherlist=ALL:COMPLEMENTOFALL:@SECLEVEL=0
  -o tls_eecdh_auto_curves={curves} -o tls_ffdhe_auto_groups={fields}
{address}:{asks} inet n - n - - smtpd
  -o smtpd_tls_ask_ccert=yes -o smtpd_tls_CAfile={d}/lab.pem
  -o smtpd_tls_session_cache_database=
{address}:{unsaid} inet n - n - - smtpd
  -o smtpd_tls_received_header=no
{address}:{named} inet n - n - - smtpd
  -o {{ mail_name = {mail_name} }}
{address}:{login} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_authenticated_header=yes
{address}:{quiet_login} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
{address}:{told} inet n - n - - smtpd
  -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o smtpd_authorized_xforward_hosts=127.0.0.0/8
{address}:{ascii} inet n - n - - smtpd
  -o smtputf8_enable=no
{address}:{screened} inet n - n - 1 postscreen
  -o postscreen_access_list=permit_mynetworks
{address}:{proxied} inet n - n - - smtpd
  -o smtpd_proxy_filter={address}:{inner}
{address}:{filtered} inet n - n - - smtpd
  -o content_filter=smtp:[{address}]:{inner}
{address}:{inner} inet n - n - - smtpd
  -o syslog_name=postfix/inner -o smtpd_tls_security_level=none
[::1]:{six} inet n - n - - smtpd
{address}:{edwards} inet n - n - - smtpd
  -o smtpd_tls_cert_file= -o smtpd_tls_key_file= -o smtpd_tls_eccert_file=
  -o smtpd_tls_eckey_file= -o smtpd_tls_chain_files={d}/edwards.pem
{address}:{silent} inet n - n - - smtpd
  -o smtpd_tls_loglevel=0
{address}:{stripped} inet n - n - - smtpd
  -o cleanup_service_name=stripping
stripping unix n - n - 0 cleanup
  -o header_checks=regexp:{d}/strip
{address}:{checked} inet n - n - - smtpd
  -o smtpd_authorized_xclient_hosts=127.0.0.0/8 -o smtpd_milters=unix:{milter}
"""
_RECENT_MASTER_CF = """\
{address}:{hidden} inet n - n - - smtpd
  -o smtpd_hide_client_session=yes
{address}:{raw} inet n - n - - smtpd
  -o smtpd_tls_enable_rpk=yes -o smtpd_tls_ask_ccert=yes -o smtpd_tls_session_cache_database=
"""
_RECENT = (3, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message that has come. queue_id: of smtpd's answer to DATA, "" for other ways in.

    It was written between the times `after` and `before`, in whole seconds.
    """

    header: bytes
    queue_id: str = ""
    after: dt.datetime
    before: dt.datetime


class DeliveredMail:
    """A Postfix and what it has delivered. Get it from `delivered_mail`."""

    def __init__(self, postfix: PrivatePostfix) -> None:
        self.postfix = postfix
        self.address = postfix.address
        self.directory = Path(postfix.config_directory)
        self.box = postfix.directory / "box"
        self.milter = postfix.directory / "milter"
        self.authority = Authority(self.directory, "lab", "Lab Root")
        self.foreign = Authority(self.directory, "foreign", 'Root of "others" (1)')
        self.ports = PORTS | {"six": _free_port()}
        self._sent = 0
        self._come: dict[str, bytes] = {}

    @property
    def release(self) -> tuple[int, ...]:
        """Postfix's, as numbers."""
        found = re.match(r"(\d+)\.(\d+)", self.postfix.postconf("-dh", "mail_version"))
        assert found
        return int(found[1]), int(found[2])

    @property
    def is_recent(self) -> bool:
        """Postfix 3.10 or newer, and the OpenSSL 3.5 that Debian has with it.

        They can keep clients back, know raw keys, and more groups.
        """
        return self.release >= _RECENT

    def configure(self) -> None:
        """Services, the Maildir, and a key that Debian's configuration does not name."""
        self.box.mkdir()
        os.chown(self.box, _NOBODY, _NOBODY)
        (self.directory / "strip").write_text("/^Received:/ IGNORE\n")
        made = (
            "req",
            "-x509",
            "-newkey",
            "ed25519",
            "-nodes",
            "-days",
            "9",
            "-subj",
            f"/CN={HOST}",
        )
        done = subprocess.run(
            ["openssl", *made, "-keyout", "-"], check=True, capture_output=True, timeout=30
        )
        (self.directory / "edwards.pem").write_bytes(done.stdout)
        text = _MASTER_CF + (_RECENT_MASTER_CF if self.is_recent else "")
        places = {"address": self.address, "d": self.directory, "mail_name": MAIL_NAME}
        places |= {"milter": self.milter, "curves": ",".join(CURVES), "fields": ",".join(FIELDS)}
        with self.postfix.master_cf.open("a") as file:
            file.write(text.format(**places, **self.ports))

    def send(
        self,
        service: str | int = 25,
        *commands: str | bytes,
        tls: tuple[str, ...] | None = None,
        mail: str = f"MAIL FROM:<sender@{CLIENT}>",
        recipients: tuple[str, ...] = (f"somebody@{DOMAIN}",),
        header: bytes = b"",
    ) -> Mail:
        """One message by this service or port, after these commands, EHLO when none.

        tls: options of `openssl s_client`; None is in clear. header: lines of the client's own.
        Errors: ConnectionError when a handshake or a command fails.
        """
        token, after = self._token(), _now()
        with self._client(service, tls) as client:
            for line in (*(commands or (f"EHLO {CLIENT}",)), mail):
                _said(client, line, "2")
            for one in recipients:
                _said(client, f"RCPT TO:<{one}>", "2")
            _said(client, "DATA", "3")
            answer = _said(client, header + f"X-Token: {token}\r\n\r\nMail.\r\n.".encode(), "2")
            client.say("QUIT")
        found = re.search(r"queued as (\S+)", answer)
        return self._mail(token, after, found[1] if found else "")

    def sendmail(
        self, *arguments: str, recipient: str = f"somebody@{DOMAIN}", header: bytes = b""
    ) -> Mail:
        """One message by Postfix's sendmail; the bounce, where the recipient is refused."""
        token, after = self._token(), _now()
        subprocess.run(
            ["/usr/sbin/sendmail", "-C", str(self.directory), "-t", *arguments],
            input=header + f"To: {recipient}\nX-Token: {token}\n\nMail.\n".encode(),
            check=True,
            timeout=30,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        return self._mail(token, after)

    def lines_of(self, mail: Mail) -> bytes:
        """Of the mail log, those of the session that handed the message in, to its end."""

        def whole() -> bytes:
            lines = lines_of(self.postfix.log_file.read_bytes(), mail.queue_id)
            return lines if is_whole(lines) else b""

        found: bytes = until(whole, seconds=60)
        return found

    def _client(
        self, service: str | int, tls: tuple[str, ...] | None
    ) -> contextlib.AbstractContextManager[Client]:
        port = service if isinstance(service, int) else self.ports[service]
        six = service == "six"
        if tls is None:
            address, source = ("::1", "::1") if six else (self.address, "127.84.0.1")
            return clear_client(address, port, source)
        address, source = ("[::1]", "[::1]") if six else (self.address, "127.84.0.1")
        return secure_client(address, port, *tls, source=source)

    def _token(self) -> str:
        self._sent += 1
        return f"{self.postfix.address}-{self._sent}-"

    def _mail(self, token: str, after: dt.datetime, queue_id: str = "") -> Mail:
        header = self.arrived(token)
        return Mail(header=header, queue_id=queue_id, after=after, before=_now())

    def arrived(self, token: str) -> bytes:
        """Wait for the message that has this after X-Token, anywhere in it; its header."""
        header: bytes = until(lambda: self._look(token.encode()), seconds=60)
        return header

    def _look(self, token: bytes) -> bytes:
        for file in (self.box / "new").glob("*"):
            if file.name not in self._come:
                self._come[file.name] = file.read_bytes()
        found = (one for one in self._come.values() if b"X-Token: " + token in one)
        return next(found, b"").partition(b"\n\n")[0]


def _free_port() -> int:
    """Of ::1, which all have alike; the other addresses are one Postfix's own."""
    with socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        return int(one.getsockname()[1])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def _said(client: Client, line: str | bytes, first: str) -> str:
    answer = client.say(line)
    if not answer.startswith(first):
        raise ConnectionError(f"{line!r} was answered {answer!r}")
    return answer


@contextlib.contextmanager
def delivered_mail(**parameters: str) -> Iterator[DeliveredMail]:
    """A Postfix, started, that delivers all mail for DOMAIN; removed at the end.

    parameters: more of main.cf.
    """
    with private_postfix(certificates=("rsa", "ecdsa"), start=False) as postfix:
        login = postfix.directory / "login"
        postfix.set_parameters(
            {
                "inet_protocols": "all",
                "mynetworks": "127.0.0.0/8, [::1]/128",
                "mydestination": "",
                "virtual_mailbox_domains": DOMAIN,
                "virtual_mailbox_base": str(postfix.directory),
                "virtual_mailbox_maps": "static:box/",
                "virtual_uid_maps": f"static:{_NOBODY}",
                "virtual_gid_maps": f"static:{_NOBODY}",
                "transport_maps": f"inline:{{ {REFUSED}=error:refused }}",
                "smtpd_sasl_type": "dovecot",
                "smtpd_sasl_path": str(login),
                "smtpd_sasl_tls_security_options": "noanonymous",
                "smtpd_tls_loglevel": "1",
                "smtpd_tls_received_header": "yes",
                **parameters,
            }
        )
        one = DeliveredMail(postfix)
        one.configure()
        with contextlib.closing(LoginServer(login)):
            postfix.start()
            yield one
            postfix.stop()
