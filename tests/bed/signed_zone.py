"""A real validating resolver on loopback, with DNS zones of its own: signed, unsigned, spoilt.

    with resolver(directory) as one:
        one.publish("25", "mx.signed.example", "3 1 1 " + digest)
        one.address                      "127.0.0.1:20053"

unbound validates from a root zone that was signed here. Below it are SIGNED, UNSIGNED, and SPOILT,
whose signatures ended. The programs are unpacked, not installed (packaging/unpack-needs.sh), and
`why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.query

from collectors import free_port

TOP = Path(__file__).resolve().parents[2]
_UNPACKED = Path(os.environ.get("POSTKEEL_RESOLVER", TOP / "build/resolver"))
_PATIENCE = 20

SIGNED, UNSIGNED, SPOILT = "signed.example", "unsigned.example", "spoilt.example"

_HEAD = """\
$ORIGIN {zone}.
$TTL 3600
@ SOA ns.signed.example. hostmaster.signed.example. 1 3600 600 86400 {negative}
@ NS ns.signed.example.
"""

_SETTINGS = """\
server:
    interface: {host}
    port: {port}
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    logfile: ""
    use-syslog: no
    do-daemonize: no
    num-threads: 1
    so-reuseport: no
    do-ip6: no
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
remote-control:
    control-enable: no
"""

_AUTHORITY = """\
auth-zone:
    name: "{zone}"
    zonefile: "{file}"
    for-upstream: yes
    for-downstream: no
    fallback-enabled: no
"""


@functools.cache
def why_not() -> str | None:
    """Why no resolver can run here; None when one can."""
    for program in ("unbound", "ldns-keygen", "ldns-signzone"):
        if _program(program) is None:
            return f"no {program}: `bash packaging/unpack-needs.sh resolver build/resolver`"
    return None


def _program(name: str) -> str | None:
    for place in ("usr/sbin", "usr/bin"):
        if (_UNPACKED / place / name).exists():
            return str(_UNPACKED / place / name)
    return shutil.which(name)


def _environment() -> dict[str, str]:
    places = [*_UNPACKED.glob("usr/lib/*-linux-gnu*"), *_UNPACKED.glob("lib/*-linux-gnu*")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(str(one) for one in places)}


def _run(*command: str, directory: Path) -> str:
    name = _program(command[0]) or command[0]
    done = subprocess.run(
        [name, *command[1:]],
        check=True,
        capture_output=True,
        text=True,
        cwd=directory,
        env=_environment(),
        timeout=60,
    )
    return done.stdout.strip()


class Resolver:
    """An unbound. Each `publish` and `withdraw` counts at once: it is started anew.

    validates: without it, it does not even try.
    """

    def __init__(self, directory: Path, *, validates: bool = True) -> None:
        self.directory = directory
        self.host, self.port = "127.0.0.1", free_port()
        self._validates = validates
        self._lines: dict[str, list[str]] = {SIGNED: [], UNSIGNED: [], SPOILT: []}
        self._keys: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def publish(self, port: str, name: str, *records: str, ttl: int = 3600) -> None:
        """TLSA records, as "3 1 1 HEX", beside those that are there."""
        self.add(*(f"_{port}._tcp.{name}. {ttl} TLSA {one}" for one in records))

    def withdraw(self, port: str, name: str) -> None:
        owner = f"_{port}._tcp.{name}. "
        lines = self._lines[_zone_of(name)]
        lines[:] = [one for one in lines if not one.startswith(owner)]
        self._begin()

    def add(self, *lines: str) -> None:
        """Lines of a zone file, each with its owner's whole name."""
        for line in lines:
            self._lines[_zone_of(line.split()[0].removesuffix("."))].append(line)
        self._begin()

    def start(self) -> None:
        for zone in (".", SIGNED, SPOILT):
            self._keys[zone] = _run(
                "ldns-keygen", "-k", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", zone,
                directory=self.directory,
            )  # fmt: skip
        self._begin()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _begin(self) -> None:
        self.stop()
        files = {".": self._root(), **{zone: self._zone(zone) for zone in self._lines}}
        settings = self.directory / "unbound.conf"
        text = _SETTINGS.format(
            host=self.host, port=self.port, directory=self.directory, anchor=self._anchor(".")
        )
        if not self._validates:
            text = text.replace("validator iterator", "iterator").replace("trust-anchor", "#")
        text += "".join(_AUTHORITY.format(zone=zone, file=file) for zone, file in files.items())
        settings.write_text(text)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("unbound") or "unbound", "-d", "-c", str(settings)],
                stdout=log,
                stderr=log,
                env=_environment(),
            )
        self._await()

    def _await(self) -> None:
        ends = time.monotonic() + _PATIENCE
        query = dns.message.make_query("ns.signed.example.", "A")
        while time.monotonic() < ends:
            with contextlib.suppress(dns.exception.DNSException, OSError):
                dns.query.udp(query, self.host, timeout=0.1, port=self.port)
                return
            assert self._process is not None
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError((self.directory / "log").read_text())

    def _anchor(self, zone: str) -> str:
        return (self.directory / f"{self._keys[zone]}.ds").read_text().strip()

    def _root(self) -> Path:
        lines = [f"{zone}. NS ns.signed.example." for zone in self._lines]
        lines += ["ns.signed.example. A 127.0.0.1"]
        lines += [self._anchor(zone) for zone in (SIGNED, SPOILT)]
        return self._written(".", lines, dt.timedelta(days=30))

    def _zone(self, zone: str) -> Path:
        lines = list(self._lines[zone])
        if zone == SIGNED:
            lines.append("ns A 127.0.0.1")
        return self._written(zone, lines, dt.timedelta(days=-1 if zone == SPOILT else 30))

    def _written(self, zone: str, lines: list[str], lasts: dt.timedelta) -> Path:
        """The zone's file, signed where it has a key."""
        file = self.directory / f"{zone.strip('.') or 'root'}.zone"
        head = _HEAD.format(zone=zone.strip("."), negative=600)
        file.write_text("\n".join([head, *lines, ""]))
        if zone not in self._keys:
            return file
        now = dt.datetime.now(dt.UTC)
        times = [f"{one:%Y%m%d%H%M%S}" for one in (now - dt.timedelta(days=9), now + lasts)]
        signed = file.with_suffix(".signed")
        _run(
            "ldns-signzone", "-i", times[0], "-e", times[1], "-f", str(signed), str(file),
            self._keys[zone], directory=self.directory,
        )  # fmt: skip
        return signed


def _zone_of(name: str) -> str:
    return next(one for one in (SIGNED, UNSIGNED, SPOILT) if name.endswith(one))


@contextlib.contextmanager
def resolver(directory: Path, *, validates: bool = True) -> Iterator[Resolver]:
    """One that runs until the end of the block."""
    one = Resolver(directory, validates=validates)
    try:
        one.start()
        yield one
    finally:
        one.stop()
