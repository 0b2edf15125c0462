"""Debian's certbot and lego, and the authority that they ask: Debian's pebble, on loopback.

    with pebble(directory) as authority:
        certbot = Certbot(directory / "letsencrypt", authority)
        certbot.issue("mail.example.test")
        certbot.renew("mail.example.test", new_key=True)
        certbot.live / "mail.example.test" / "fullchain.pem", authority.roots

All three are unpacked, not installed (packaging/unpack-needs.sh), so no timer of theirs runs.
pebble believes that a name is whose who asks for it. `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from collector_certificates import Authority
from collectors import free_port

TOP = Path(__file__).resolve().parents[2]
_UNPACKED = Path(os.environ.get("POSTKEEL_RENEWAL", TOP / "build/renewal"))
_PYTHON = "/usr/bin/python3"
"""Debian's certbot is a package of Debian's Python."""
_PATIENCE = 60
_ADDRESS = "127.0.0.1"
_LEGO_KEYS = {"ecdsa": "ec256", "rsa": "rsa2048"}


@functools.cache
def why_not() -> str | None:
    """Why no certificate can be had here; None when one can."""
    if shutil.which("setpriv") is None:
        return "pebble needs setpriv, of util-linux"
    for program in ("pebble", "certbot", "lego"):
        if not (_UNPACKED / "usr/bin" / program).exists():
            return f"no {program}: `bash packaging/unpack-needs.sh renewal build/renewal`"
    try:
        _run([*_certbot(), "--version"], **_certbot_environment())
    except subprocess.CalledProcessError as error:
        return f"certbot does not start: {error.stdout[-200:]}"
    return None


def _certbot() -> list[str]:
    return [_PYTHON, str(_UNPACKED / "usr/bin/certbot")]


def _certbot_environment() -> dict[str, str]:
    return {
        "PYTHONPATH": str(_UNPACKED / "usr/lib/python3/dist-packages"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _run(argv: list[str], **environment: str) -> str:
    """What it said. Errors: CalledProcessError, with that as a note."""
    try:
        return subprocess.run(
            argv,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **environment},
        ).stdout
    except subprocess.CalledProcessError as error:
        error.add_note(error.stdout[-2000:])
        raise


class Pebble:
    """A running pebble: `url` is its directory, `roots` what its certificates lead to.

    web: the certificate of its own HTTPS; signed by others than what it issues.
    """

    def __init__(self, directory: Path, lifetime: int) -> None:
        web = Authority(directory / "web")
        pair = web.issue("localhost", addresses=(_ADDRESS,))
        self.web = web.file
        self.port, self._management = free_port(), free_port()
        self.url = f"https://{_ADDRESS}:{self.port}/dir"
        self.roots = directory / "roots.pem"
        self.said = directory / "said"
        self._configuration = directory / "pebble.json"
        settings = {
            "listenAddress": f"{_ADDRESS}:{self.port}",
            "managementListenAddress": f"{_ADDRESS}:{self._management}",
            "certificate": str(pair.certificate),
            "privateKey": str(pair.key),
            "httpPort": free_port(),
            "tlsPort": free_port(),
            "certificateValidityPeriod": lifetime,
        }
        self._configuration.write_text(json.dumps({"pebble": settings}))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait for its root. Errors: RuntimeError with what it said."""
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "TERM"),  # it ends with us
                    *(str(_UNPACKED / "usr/bin/pebble"), "-config", str(self._configuration)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={
                    "PEBBLE_VA_ALWAYS_VALID": "1",
                    "PEBBLE_VA_NOSLEEP": "1",
                    "PEBBLE_WFE_NONCEREJECT": "0",
                },
            )
        end = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError):
                self.roots.write_bytes(self._root())
                return
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"pebble: {self.said.read_text()[-2000:]}")
            time.sleep(0.01)

    def _root(self) -> bytes:
        context = ssl.create_default_context(cafile=str(self.web))
        url = f"https://{_ADDRESS}:{self._management}/roots/0"
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            root: bytes = answer.read()
        return root

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is None:
            return
        self._process.kill()  # it keeps nothing
        self._process.wait()
        self._process = None


@contextlib.contextmanager
def pebble(directory: Path, *, lifetime: int = 90 * 86400) -> Iterator[Pebble]:
    """A running pebble whose certificates are valid for so many seconds."""
    directory.mkdir(parents=True, exist_ok=True)
    one = Pebble(directory, lifetime)
    try:
        one.start()
        yield one
    finally:
        one.stop()


class Certbot:
    """certbot with directories of its own and no hook; `live` is as /etc/letsencrypt/live."""

    def __init__(self, directory: Path, authority: Pebble) -> None:
        self.live = directory / "live"
        self._options = [
            *("--config-dir", str(directory), "--work-dir", str(directory / "work")),
            *("--logs-dir", str(directory / "logs"), "--server", authority.url),
            *("--non-interactive", "--agree-tos", "--register-unsafely-without-email"),
            *("--standalone", "--http-01-address", _ADDRESS, "--http-01-port", str(free_port())),
        ]
        self._environment = {**_certbot_environment(), "REQUESTS_CA_BUNDLE": str(authority.web)}

    def issue(self, *names: str, key_type: str = "ecdsa", lineage: str = "") -> Path:
        """A first certificate for these names; the directory of its four links."""
        name = lineage or names[0]
        domains = [word for one in names for word in ("-d", one)]
        keys = ("--key-type", key_type, "--rsa-key-size", "2048")
        self._certbot("certonly", "--cert-name", name, *keys, *domains)
        return self.live / name

    def renew(self, lineage: str, *, new_key: bool = True) -> None:
        """Renew it now, with certbot's own `renew`."""
        key = "--new-key" if new_key else "--reuse-key"
        quick = ("--force-renewal", "--no-random-sleep-on-renew", key)
        self._certbot("renew", "--cert-name", lineage, *quick)

    def _certbot(self, *words: str) -> None:
        _run([*_certbot(), *words, *self._options], **self._environment)


class Lego:
    """lego, which writes over its files: first the certificate with its chain, then the key."""

    def __init__(self, directory: Path, authority: Pebble) -> None:
        self.certificates = directory / "certificates"
        self._options = [
            *("--server", authority.url, "--accept-tos", "--email", "postmaster@example.test"),
            *("--path", str(directory), "--http", "--http.port", f"{_ADDRESS}:{free_port()}"),
        ]
        self._environment = {"LEGO_CA_CERTIFICATES": str(authority.web)}

    def issue(self, name: str, *, key_type: str = "ecdsa") -> tuple[Path, Path]:
        """A first certificate; its file and the key's."""
        self._lego(name, "--key-type", _LEGO_KEYS[key_type], "run")
        return self.certificates / f"{name}.crt", self.certificates / f"{name}.key"

    def renew(self, name: str, *, new_key: bool = True) -> None:
        """Renew it now."""
        key = () if new_key else ("--reuse-key",)
        self._lego(name, "renew", "--days", "36500", "--no-random-sleep", *key)

    def _lego(self, name: str, *words: str) -> None:
        lego = str(_UNPACKED / "usr/bin/lego")
        _run([lego, *self._options, "--domains", name, *words], **self._environment)
