"""A private Postfix among peers: far servers, their names, services and transports of every kind.

    with stage() as one:
        one.deliver("somebody@plain.example", "sent")

Postfix runs in a mount namespace of its own, where hosts and resolv.conf name only the
peers below; so they have names without a word to the world's DNS. Needs what
`private_postfix` needs, and leave to mount: `why_not()`.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import private_postfix as bed
from authority import Authority, Credentials
from far_side import FarNames, FarServer, mx_data
from guarded import until
from private_postfix import PrivatePostfix, private_postfix

CLIENTS = {"mail.partner.example": "127.84.0.1", "bulk.shop.example": "127.84.0.2"}
NAMELESS = "127.84.0.9"
EVIL = "Anonymous TLS connection established from q[1.2.3.4]: TLSv1 with"

_SERVICES = (
    "old",
    "asks",
    "demands",
    "names",
    "ecdsa",
    "x25519",
    "limited",
    "bare",
    "unlike",
    "misspelt",
    "screened",
    "debug",
    "lost",
    "floor",
    "raw",
    "hybrid",
)
PORTS = {name: port for port, name in enumerate(_SERVICES, 2501)}

# Services and transports of every kind. {d} is Postfix's configuration directory.
_MASTER_CF = """\
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
{address}:{old} inet n - n - - smtpd
  -o syslog_name=postfix/old -o smtpd_tls_protocols=>=TLSv1
  -o tls_medium_cipherlist=ALL:@SECLEVEL=0
{address}:{asks} inet n - n - - smtpd
  -o smtpd_tls_ask_ccert=yes -o smtpd_tls_CAfile={d}/lab.pem
  -o smtpd_tls_session_cache_database=
{address}:{demands} inet n - n - - smtpd
  -o syslog_name=postfix-lab/mta -o smtpd_tls_security_level=encrypt -o smtpd_tls_req_ccert=yes
  -o smtpd_tls_CAfile={d}/lab.pem
{address}:{names} inet n - n - - smtpd
  -o tls_server_sni_maps=texthash:{d}/sni
{address}:{ecdsa} inet n - n - - smtpd
  -o smtpd_tls_cert_file={d}/ecdsa.pem -o smtpd_tls_key_file={d}/ecdsa.key
{address}:{x25519} inet n - n - - smtpd
  -o tls_eecdh_auto_curves=X25519
{address}:{limited} inet n - n - - smtpd
  -o smtpd_client_new_tls_session_rate_limit=1 -o smtpd_client_event_limit_exceptions=
{address}:{bare} inet n - n - - smtpd
  -o smtpd_tls_cert_file= -o smtpd_tls_key_file=
{address}:{unlike} inet n - n - - smtpd
  -o smtpd_tls_key_file={d}/ecdsa.key
{address}:{misspelt} inet n - n - - smtpd
  -o smtpd_tls_protocols=TLSv1.9
{address}:{screened} inet n - n - 1 postscreen
  -o postscreen_bare_newline_enable=yes -o postscreen_access_list= -o postscreen_greet_wait=1s
{address}:{debug} inet n - n - - smtpd
  -o smtpd_tls_loglevel=2
{address}:{lost} inet n - n - - smtpd
  -o smtpd_tls_cert_file={d}/nowhere.pem
{address}:{floor} inet n - n - - smtpd
  -o smtpd_tls_protocols=>=TLSv1.2
{address}:{raw} inet n - n - - smtpd
  -o smtpd_tls_enable_rpk=yes -o smtpd_tls_ask_ccert=yes -o smtpd_tls_session_cache_database=
{address}:{hybrid} inet n - n - - smtpd
  -o tls_eecdh_auto_curves=X25519MLKEM768,X25519
reuse unix - - n - - smtp
  -o smtp_tls_connection_reuse=yes -o smtp_connection_cache_destinations=static:all
secure unix - - n - - smtp
  -o syslog_name=postfix/relay -o smtp_tls_security_level=secure
encrypt unix - - n - - smtp
  -o smtp_tls_security_level=encrypt
tls12 unix - - n - - smtp
  -o smtp_tls_protocols=TLSv1.2
floor unix - - n - - smtp
  -o smtp_tls_protocols=>=TLSv1.2
misspelt unix - - n - - smtp
  -o smtp_tls_protocols=TLSv1.9
dane unix - - n - - smtp
  -o smtp_tls_security_level=dane -o smtp_dns_support_level=dnssec
undane unix - - n - - smtp
  -o smtp_tls_security_level=dane -o smtp_dns_support_level=dnssec
  -o dnssec_probe=ns:unsigned.example
debug unix - - n - - smtp
  -o smtp_tls_loglevel=2
lmtps unix - - n - - lmtp
  -o lmtp_tls_security_level=encrypt -o lmtp_tls_loglevel=1 -o lmtp_tls_CAfile={d}/lab.pem
"""

# Far servers: the transport that leads there, and what they are like (`_context`).
_FAR = {
    "trusted": ("smtp", "lab", ""),
    "foreign": ("smtp", "foreign", ""),
    "p256": ("smtp", "p256", ""),
    "tls12": ("smtp", "tls12", ""),
    "anonymous": ("smtp", "anonymous", ""),
    "verified": ("secure", "lab", ""),
    "wrongname": ("secure", "other", ""),
    "strangers": ("secure", "foreign", ""),
    "expired": ("secure", "expired", ""),
    "selfsigned": ("secure", "selfsigned", ""),
    "reused": ("reuse", "lab", ""),
    "reusedgarbage": ("reuse", "lab", "garbage"),
    "plain": ("smtp", "", ""),
    "mustplain": ("encrypt", "", ""),
    "refuses": ("smtp", "lab", "refuse"),
    "mustrefuses": ("encrypt", "lab", "refuse"),
    "garbage": ("smtp", "lab", "garbage"),
    "fallback": ("smtp", "lab", "garbage"),
    "closes": ("smtp", "lab", "close"),
    "old": ("smtp", "old", ""),
    "older": ("floor", "lab", "ancient"),
    "new": ("tls12", "tls13", ""),
    "picky": ("tls12", "picky", ""),
    "misspelt": ("misspelt", "lab", ""),
    "debug": ("debug", "lab", ""),
    "dane": ("dane", "lab", ""),
    "halfdane": ("dane", "lab", ""),
    "baddane": ("dane", "lab", ""),
    "undane": ("undane", "lab", ""),
    "lmtps": ("lmtps", "lab", ""),
}
_BY_MX = ("dane", "halfdane", "baddane", "undane")


def why_not() -> str | None:
    """Why no stage can be set here; None when one can."""
    if reason := bed.why_not():
        return reason
    done = subprocess.run(
        ["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"],
        capture_output=True,
        check=False,
    )
    return f"mount namespaces are not allowed here: {done.stderr!r}" if done.returncode else None


class Stage:
    """Postfix and its peers. Get it from `stage`."""

    def __init__(self, postfix: PrivatePostfix) -> None:
        self.postfix = postfix
        self.address = postfix.address
        self.directory = Path(postfix.config_directory)
        self.authorities = {name: Authority(self.directory, name) for name in ("lab", "foreign")}
        self.authorities["evil"] = Authority(self.directory, "evil", EVIL)
        self._ports: dict[str, int] = {}

    def log_since(self, size: int) -> str:
        """What Postfix has logged after so many bytes."""
        return self.postfix.log_file.read_bytes()[size:].decode("utf-8", "replace")

    @contextlib.contextmanager
    def logged(self, pattern: str, times: int = 1) -> Iterator[None]:
        """Wait at the end until this was logged so often since the beginning."""
        size = self.postfix.log_file.stat().st_size
        yield
        try:
            until(lambda: len(re.findall(pattern, self.log_since(size))) >= times, seconds=15)
        except TimeoutError:
            raise AssertionError(f"not logged: {pattern!r}\n{self.log_since(size)}") from None

    def deliver(self, recipient: str, status: str) -> None:
        """Mail from this host to a peer, and wait until it is sent, deferred or bounced."""
        with self.logged(rf"to=<{re.escape(recipient)}>, .*status={status}"):
            self.sendmail("-f", "sender@example.test", recipient, text="Subject: test\n\ntest\n")

    def sendmail(self, *arguments: str, text: str = "") -> None:
        """Postfix's sendmail on this instance."""
        directory = self.postfix.config_directory
        subprocess.run(
            ["/usr/sbin/sendmail", "-C", directory, *arguments],
            input=text.encode(),
            check=True,
            timeout=30,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    def start(self) -> None:
        """Start Postfix where only the peers' names are known."""
        script = (
            'mount --bind "$1/hosts" /etc/hosts; mount --bind "$1/resolv.conf" /etc/resolv.conf; '
            'postfix -c "$1" start'
        )
        subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script, "sh", str(self.directory)],
            check=True,
            capture_output=True,
            timeout=30,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        until(lambda: "daemon started" in self.postfix.log())

    def make_files(self) -> None:
        """Certificates that Postfix needs, the names of peers, and Postfix's configuration."""
        self.authorities["lab"].issue("ecdsa", "mail.example.test", hosts=("mail.example.test",))
        sni = self.authorities["lab"].issue("sni", "mx.other.test", hosts=("mx.other.test",))
        (self.directory / "sni").write_text(f"mx.other.test {sni.key} {sni.certificate}\n")
        names = {"mail.example.test": self.address, **CLIENTS}
        names |= {f"mx.{name}.example": self.address for name in _FAR}
        hosts = "".join(f"{address} {name}\n" for name, address in names.items())
        (self.directory / "hosts").write_text(hosts)
        resolver = f"nameserver {self.address}\noptions trust-ad timeout:2 attempts:1\n"
        (self.directory / "resolv.conf").write_text(resolver)

    def configure(self) -> None:
        """Tell Postfix of its services and of the far servers, which have ports by now."""
        lines = _MASTER_CF.format(address=self.address, d=self.directory, **PORTS)
        with self.postfix.master_cf.open("a") as file:
            file.write(lines)
        (self.directory / "transport").write_text("".join(self._routes()))

    def _routes(self) -> Iterator[str]:
        for name, (transport, _, _) in _FAR.items():
            host = f"{name}.example" if name in _BY_MX else f"[mx.{name}.example]"
            yield f"{name}.example {transport}:{host}:{self._ports[name]}\n"
        yield "local.example lmtp:unix:private/far\n"

    @contextlib.contextmanager
    def far_servers(self) -> Iterator[None]:
        """The peers' servers and their names."""
        with contextlib.ExitStack() as stack:
            for name, (_, kind, trouble) in _FAR.items():
                context = self._context(name, kind) if kind else None
                server = FarServer((self.address, 0), context, trouble)
                self._ports[name] = stack.enter_context(server).port
            stack.enter_context(FarNames(self.address, *self._names()))
            yield

    @contextlib.contextmanager
    def local_server(self) -> Iterator[None]:
        """An LMTP server on a Unix socket, which is where mail for local.example goes."""
        path = self.postfix.directory / "queue/private/far"
        with FarServer(str(path), None):
            path.chmod(0o666)
            yield

    @property
    def release(self) -> tuple[int, ...]:
        """Postfix's, as numbers."""
        return tuple(int(one) for one in self.postfix.postconf("-dh", "mail_version").split("."))

    @property
    def openssl(self) -> tuple[int, ...]:
        """That of Postfix, as numbers."""
        found = re.search(r"OpenSSL ([\d.]+)", self.postfix.postconf("-T", "run-version"))
        assert found
        return tuple(int(one) for one in found[1].split("."))

    @property
    def favourite_group(self) -> str:
        """The group that this Postfix and a far server which names none agree upon."""
        groups = self.postfix.postconf("-dh", "tls_eecdh_auto_curves")
        return "X25519MLKEM768" if "X25519MLKEM768" in groups else "X25519"

    def _names(self) -> tuple[dict[tuple[str, int], list[bytes]], frozenset[str]]:
        address = bytes(int(one) for one in self.address.split("."))
        answers = {(f"mx.{name}.example", 1): [address] for name in _FAR}
        answers |= {(f"{name}.example", 15): [mx_data(f"mx.{name}.example")] for name in _BY_MX}
        answers |= {("", 2): [mx_data("ns.example")[2:]]}
        answers |= {("unsigned.example", 2): [mx_data("ns.example")[2:]]}
        digest = bytes.fromhex(self._credentials("dane", "lab").spki_sha256())
        tlsa = "_{}._tcp.mx.{}.example"
        answers[tlsa.format(self._ports["dane"], "dane"), 52] = [bytes([3, 1, 1]) + digest]
        answers[tlsa.format(self._ports["baddane"], "baddane"), 52] = [bytes([3, 1, 9]) + digest]
        unsigned = {"unsigned.example", "halfdane.example", "undane.example", "mx.undane.example"}
        return answers, frozenset({name for name, _ in answers} - unsigned)

    def _credentials(self, name: str, kind: str) -> Credentials:
        host = f"mx.{name}.example"
        made = self.directory / f"{host}.pem"
        if made.exists():
            return Credentials(certificate=str(made), key=str(made.with_suffix(".key")))
        authority = self.authorities["foreign" if kind == "foreign" else "lab"]
        if kind == "selfsigned":
            return Authority(self.directory, "own").self_signed(host)
        shown = "mx.elsewhere.test" if kind == "other" else host
        return authority.issue(host, shown, hosts=(shown,), days=-2 if kind == "expired" else 60)

    def _context(self, name: str, kind: str) -> ssl.SSLContext:
        context = self._credentials(name, kind).server_context()
        if shape := _SHAPES.get(kind):
            with warnings.catch_warnings():  # Python warns of the versions that are old
                warnings.simplefilter("ignore", DeprecationWarning)
                shape(context)
        return context


def _tls12(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")


def _old(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def _tls13(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3


def _anonymous(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")


_SHAPES: dict[str, Callable[[ssl.SSLContext], None]] = {
    "tls12": _tls12,
    "old": _old,
    "tls13": _tls13,
    "anonymous": _anonymous,
    "picky": lambda context: context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256"),
    "p256": lambda context: context.set_ecdh_curve("prime256v1"),
}


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Postfix, started, among its peers; removed at the end."""
    parameters = {
        "smtpd_peername_lookup": "yes",
        "smtp_host_lookup": "dns, native",
        "mydestination": "example.test",
        "local_recipient_maps": "",
        "local_transport": "discard",
        "smtpd_relay_restrictions": "permit_auth_destination, reject",
        "smtpd_tls_loglevel": "1",
        "smtp_tls_loglevel": "1",
        "minimal_backoff_time": "2s",
        "smtp_connection_cache_on_demand": "no",
    }
    with private_postfix(parameters=parameters, start=False) as postfix:
        directory = postfix.config_directory
        postfix.set_parameters(
            {
                "smtp_tls_CAfile": f"{directory}/lab.pem",
                "transport_maps": f"texthash:{directory}/transport",
            }
        )
        one = Stage(postfix)
        one.make_files()
        with one.far_servers():
            one.configure()
            one.start()
            with one.local_server():
                yield one
                postfix.stop()
