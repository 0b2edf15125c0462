"""Real rsyslog and syslog-ng for tests, as conf/rsyslog and conf/syslog-ng set them up.

    with rsyslog(directory) as collector:
        collector.url("relp+tls"), collector.authority.file, collector.sender
        collector.kill(), collector.start(), collector.lines()

The programs are unpacked, not installed (packaging/unpack-needs.sh), and run in the
foreground, on loopback, with the project's snippets in which ports, files and certificates
are replaced as an administrator would. `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collector_certificates import COLLECTOR, SENDER, Authority, Pair

TOP = Path(__file__).resolve().parents[2]
_UNPACKED = Path(os.environ.get("POSTKEEL_COLLECTORS", TOP / "build/collectors"))
_LISTENS = "0A"  # TCP_LISTEN in /proc/net/tcp
_PATIENCE = 20


@functools.cache
def why_not() -> str | None:
    """Why no collector can run here; None when both can."""
    if shutil.which("setpriv") is None:
        return "collectors need setpriv, of util-linux"
    for program in ("rsyslogd", "syslog-ng"):
        path = _UNPACKED / "usr/sbin" / program
        if not path.exists():
            return f"no {program}: `bash packaging/unpack-needs.sh collectors build/collectors`"
        option = "-v" if program == "rsyslogd" else "--version"
        tried = subprocess.run(
            [path, option], check=False, capture_output=True, text=True, env=_environment()
        )
        if tried.returncode:
            return f"{program} does not start: {tried.stderr.strip()[:200]}"
    return None


def _libraries() -> list[Path]:
    return [*_UNPACKED.glob("usr/lib/*-linux-gnu*"), *_UNPACKED.glob("lib/*-linux-gnu*")]


def _environment() -> dict[str, str]:
    places = [*_libraries(), _UNPACKED / "usr/lib/syslog-ng"]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(str(one) for one in places)}


def free_port() -> int:
    """A port that nobody uses, out of the range from which the kernel takes them for clients.

    A client that tries a port of that range again and again while its server is away
    is connected to itself in the end, and then the server cannot come back.
    """
    for _ in range(1000):
        port = random.randint(10000, 32000)  # noqa: S311
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    one = stack.enter_context(socket.socket(socket.AF_INET6, kind))
                    one.bind(("::", port))  # of both families
            except OSError:
                continue
        return port
    raise LookupError("no free port")


class Collector(ABC):
    """One server, its certificates and what it has written.

    sender: a client certificate that it lets in.
    """

    def __init__(self, directory: Path, transports: tuple[str, ...], address: str) -> None:
        self.directory = directory
        self.address = address
        self.ports = {one: free_port() for one in transports if one != "unix"}
        self.socket = directory / "log.socket" if "unix" in transports else None
        self.authority = Authority(directory / "certificates")
        self.own = self.authority.issue(COLLECTOR, addresses=("127.0.0.1", "::1"))
        self.sender: Pair = self.authority.issue(SENDER)
        self.out = directory / "out"
        self.out.mkdir(exist_ok=True)
        self.errors = directory / "stderr"
        self.configuration = directory / "collector.conf"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The server in the foreground."""

    def url(self, transport: str) -> str:
        """How `[plugins.central] collectors` names it."""
        if transport == "unix":
            return f"unix://{self.socket}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        name = f"?name={COLLECTOR}" if transport.endswith("tls") else ""
        return f"{transport}://{host}:{self.ports[transport]}{name}"

    def start(self) -> None:
        """Start it, and wait until it listens. Errors: RuntimeError with what it said."""
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self._command()],  # it ends with us
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=_environment(),
            )
        end = time.monotonic() + _PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"{self._command()[0]}: {self.errors.read_text()[-2000:]}")
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        if self._process is None:
            raise LookupError("the collector does not run")
        return self._process.pid

    def kill(self) -> None:
        """End it without a word, at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self.socket:
            self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        """End it in good order, and start it on the same ports."""
        self.stop()
        self.start()

    def files(self) -> dict[str, bytes]:
        """What it has written, by the name of the file below its directory."""
        found = sorted(one for one in self.out.rglob("*") if one.is_file())
        return {str(one.relative_to(self.out)): one.read_bytes() for one in found}

    def size(self) -> int:
        """How many octets it has written."""
        return sum(one.stat().st_size for one in self.out.rglob("*") if one.is_file())

    def octets(self) -> list[bytes]:
        """The lines that it has written, file by file; one that is not whole yet is left out."""
        return [
            line
            for text in self.files().values()
            for line in text[: text.rfind(b"\n") + 1].splitlines()
        ]

    def lines(self) -> list[dict[str, Any]]:
        """The same, parsed. Errors: ValueError for one that is no JSON."""
        return [json.loads(line) for line in self.octets()]

    def _listens(self) -> bool:
        streams = {
            port for one, port in self.ports.items() if one != "udp" and _is_open("tcp", port)
        }
        datagrams = {port for one, port in self.ports.items() if one == "udp"}
        return (
            len(streams) + len(datagrams) == len(self.ports)
            and all(_is_open("udp", port) for port in datagrams)
            and (self.socket is None or self.socket.exists())
        )


def _is_open(protocol: str, port: int) -> bool:
    """Whether somebody listens; asked of the kernel, for a server takes notice of a try."""
    for family in ("", "6"):
        for line in Path(f"/proc/net/{protocol}{family}").read_text().splitlines()[1:]:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and (protocol == "udp" or words[3] == _LISTENS):
                return True
    return False


class Rsyslog(Collector):
    """rsyslogd with conf/rsyslog/postkeel-collector.conf, and with inputs for the rest.

    senders: the names that are let in; none: everybody is, without a certificate.
    driver: gtls or ossl. own: a certificate to be used instead of a good one.
    more: further configuration, at the end.
    """

    def __init__(
        self,
        directory: Path,
        transports: tuple[str, ...],
        address: str,
        *,
        senders: str = "*.example.org",
        driver: str = "gtls",
        own: Pair | None = None,
        more: str = "",
    ) -> None:
        super().__init__(directory, transports, address)
        self.own = own or self.own
        text = self._shipped(senders, driver)
        for transport in ("relp+tls", "tls"):
            if transport not in transports:
                text = _without_input(text, "imrelp" if transport == "relp+tls" else "imtcp")
        self.configuration.write_text(
            f'global(workDirectory="{self._work()}")\n{text}\n{self._plain()}\n{more}\n'
        )

    def _work(self) -> Path:
        work = self.directory / "work"
        work.mkdir(exist_ok=True)
        return work

    def _shipped(self, senders: str, driver: str) -> str:
        text = (TOP / "conf/rsyslog/postkeel-collector.conf").read_text()
        for shipped, ours in (
            ("/etc/postkeel-collector/ca.pem", str(self.authority.file)),
            ("/etc/postkeel-collector/collector.pem", str(self.own.certificate)),
            ("/etc/postkeel-collector/collector.key", str(self.own.key)),
            ("/var/log/postkeel", str(self.out)),
            ('"gtls"', f'"{driver}"'),
            ('port="2514"', f'address="{self.address}" port="{self.ports.get("relp+tls", 0)}"'),
            ('port="6514"', f'address="{self.address}" port="{self.ports.get("tls", 0)}"'),
            ("*.example.org", senders),
        ):
            text = _replaced(text, shipped, ours)
        if not senders:
            text = re.sub(r"(?m)^ *(tls\.authMode|tls\.permittedPeer|permittedPeer)=.*\n", "", text)
            text = _replaced(text, '"x509/name"', '"anon"')
            text = _replaced(text, '"imrelp")', '"imrelp" tls.tlsLib="openssl")')
        return text

    def _plain(self) -> str:
        lines = []
        address, ruleset = f'address="{self.address}"', 'ruleset="postkeel"'
        for transport, port in self.ports.items():
            if transport in {"tcp", "relp"}:
                lines.append(f'input(type="im{transport}" port="{port}" {address} {ruleset})')
            if transport == "udp":
                lines.append('module(load="imudp")')
                lines.append(f'input(type="imudp" port="{port}" {address} {ruleset})')
        if self.socket:
            lines.append('module(load="imuxsock" sysSock.use="off")')
            lines.append(
                f'input(type="imuxsock" socket="{self.socket}" useSpecialParser="off"'
                ' useSysTimeStamp="off" ignoreTimestamp="off"'
                f' parseHostname="on" {ruleset})'
            )
        return "\n".join(lines)

    def _command(self) -> list[str]:
        return _rsyslogd(self.directory)


def _rsyslogd(directory: Path) -> list[str]:
    modules = [str(one / "rsyslog") for one in _libraries() if (one / "rsyslog").is_dir()]
    return [
        *(str(_UNPACKED / "usr/sbin/rsyslogd"), "-n", "-C", "-M", ":".join(modules)),
        *("-f", str(directory / "collector.conf"), "-i", str(directory / "pid")),
    ]


class Forwarder(Collector):
    """rsyslogd of a mail server, which forwards what its socket gets to a collector."""

    def __init__(self, directory: Path, target: Rsyslog) -> None:
        super().__init__(directory, ("unix",), target.address)
        work = directory / "work"
        work.mkdir(exist_ok=True)
        text = (TOP / "conf/rsyslog/postkeel-forward.conf").read_text()
        for shipped, ours in (
            ('target="log1.example.org"', f'target="{target.address}"'),
            ('port="2514"', f'port="{target.ports["relp+tls"]}"'),
            ("/etc/postkeel-forward/ca.pem", str(target.authority.file)),
            ("/etc/postkeel-forward/host.pem", str(target.sender.certificate)),
            ("/etc/postkeel-forward/host.key", str(target.sender.key)),
            ('resumeInterval="10"', 'resumeInterval="1"'),
        ):
            text = _replaced(text, shipped, ours)
        self.configuration.write_text(
            f'global(workDirectory="{work}")\nmodule(load="imuxsock" sysSock.use="off")\n'
            f'input(type="imuxsock" socket="{self.socket}")\n{text}\n'
        )

    def _command(self) -> list[str]:
        return _rsyslogd(self.directory)


class SyslogNg(Collector):
    """syslog-ng with conf/syslog-ng/postkeel-collector.conf, and with sources for the rest."""

    def __init__(
        self,
        directory: Path,
        transports: tuple[str, ...],
        address: str,
        *,
        senders: bool = True,
        own: Pair | None = None,
    ) -> None:
        super().__init__(directory, transports, address)
        self.own = own or self.own
        text = self._shipped(senders=senders)
        if "tls" not in transports:
            text = re.sub(r"(?s)source s_postkeel \{.*?\n\};\n", "", text)
            text = _replaced(text, "source(s_postkeel);", "")
        self.configuration.write_text(
            f"@version: current\n{_replaced(text, 'log {', f'log {{ {self._plain()}')}"
        )

    def _shipped(self, *, senders: bool) -> str:
        text = (TOP / "conf/syslog-ng/postkeel-collector.conf").read_text()
        for shipped, ours in (
            ("/etc/postkeel-collector/ca.pem", str(self.authority.file)),
            ("/etc/postkeel-collector/collector.pem", str(self.own.certificate)),
            ("/etc/postkeel-collector/collector.key", str(self.own.key)),
            ("/var/log/postkeel", str(self.out)),
            ("port(6514)", f"{self._place()} port({self.ports.get('tls', 0)})"),
        ):
            text = _replaced(text, shipped, ours)
        if not senders:
            text = _replaced(text, "(required-trusted)", "(optional-untrusted)")
            text = re.sub(r"(?m)^ *trusted-dn.*\n", "", text)
        return text

    def _place(self) -> str:
        return f'ip("{self.address}") ip-protocol({6 if ":" in self.address else 4})'

    def _plain(self) -> str:
        sources = [
            f'source {{ syslog({self._place()} port({port}) transport("{transport}") '
            "keep-hostname(yes) use-dns(no) flags(no-multi-line)); };"
            for transport, port in self.ports.items()
            if transport in {"tcp", "udp"}
        ]
        if self.socket:
            sources.append(
                f'source {{ unix-dgram("{self.socket}" '
                "flags(syslog-protocol) keep-hostname(yes)); };"
            )
        return " ".join(sources)

    def _command(self) -> list[str]:
        modules = next(_UNPACKED.glob("usr/lib/syslog-ng/[0-9]*"))
        return [
            *(str(_UNPACKED / "usr/sbin/syslog-ng"), "--foreground", "--no-caps", "--stderr"),
            *(f"--module-path={modules}", f"--cfgfile={self.configuration}"),
            *(f"--persist-file={self.directory}/persist", f"--pidfile={self.directory}/pid"),
            f"--control={self.directory}/control",
        ]


def _replaced(text: str, shipped: str, ours: str) -> str:
    """Errors: LookupError when the snippet has not what is to be replaced."""
    if shipped not in text:
        raise LookupError(f"the snippet has no {shipped}")
    return text.replace(shipped, ours)


def _without_input(text: str, kind: str) -> str:
    return re.sub(rf'(?s)input\(type="{kind}".*?\n\)\n', "", text, count=1)


@contextlib.contextmanager
def rsyslog(
    directory: Path,
    *,
    transports: tuple[str, ...] = ("relp+tls", "tls"),
    address: str = "127.0.0.1",
    **settings: Any,
) -> Iterator[Rsyslog]:
    """A running rsyslog with these of relp+tls, tls, relp, tcp, udp and unix; see `Rsyslog`."""
    directory.mkdir(parents=True, exist_ok=True)
    collector = Rsyslog(directory, transports, address, **settings)
    try:
        collector.start()
        yield collector
    finally:
        collector.stop()


@contextlib.contextmanager
def forwarder(directory: Path, target: Rsyslog) -> Iterator[Forwarder]:
    """A running rsyslog that forwards to another one."""
    directory.mkdir(parents=True, exist_ok=True)
    one = Forwarder(directory, target)
    try:
        one.start()
        yield one
    finally:
        one.stop()


@contextlib.contextmanager
def syslog_ng(
    directory: Path,
    *,
    transports: tuple[str, ...] = ("tls",),
    address: str = "127.0.0.1",
    **settings: Any,
) -> Iterator[SyslogNg]:
    """A running syslog-ng with these of tls, tcp, udp and unix; see `SyslogNg`."""
    directory.mkdir(parents=True, exist_ok=True)
    collector = SyslogNg(directory, transports, address, **settings)
    try:
        collector.start()
        yield collector
    finally:
        collector.stop()
