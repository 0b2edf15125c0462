"""A booted Debian whose Postfix the installed package guards: to drift it, and to ask it.

What counts in the end is asked from outside postkeel: `prove` shakes hands on port 25 as a
mail client does, and sends a mail that has to arrive in a user's mailbox.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from booted_debian import BootedDebian
from certificates import authority_of_all, signed_certificate

Report = dict[str, Any]

LEVEL = "smtpd_tls_security_level"
SIDES = ("postkeel", "postkeel-monitor")
_PATIENCE = 60.0  # seconds; things take one or two, unless the machine is busy
_AUTHORITY = "/usr/local/share/ca-certificates/tests.crt"
_STORE = "/etc/ssl/certs/ca-certificates.crt"
# Several corrections of one rule in ten minutes would be a contest; here they are the test.
_DROP_IN = "[contest]\ncorrections = 1000\n"
_SNAKEOIL = ("/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/ssl-cert-snakeoil.key")
# Drift in the middle of an installation; what is left of it when dpkg is done, apt not yet.
_HOOKS = f"""\
DPkg::Pre-Invoke {{ "postconf -e {LEVEL}=none"; }};
DPkg::Post-Invoke {{ "sleep 2; postconf -h {LEVEL} >>/root/at-the-end"; }};
"""
_HOOKS_FILE = "/etc/apt/apt.conf.d/99drift"
_PROVE = """\
import pathlib, smtplib, ssl, sys, time, warnings
warnings.simplefilter("ignore")
subject, host = sys.argv[1], sys.argv[2]

def context(version):
    made = ssl._create_unverified_context()
    made.set_ciphers("DEFAULT@SECLEVEL=0")  # or this side would refuse the old protocols
    made.minimum_version = made.maximum_version = version
    return made

def converse(version, mail=None):
    with smtplib.SMTP(host, 25, "client.example", 20) as session:
        session.starttls(context=context(version))
        if mail:
            session.sendmail("bob@example.test", ["alice@mx.example.test"], mail)

def prove():
    converse(ssl.TLSVersion.TLSv1_2)
    converse(ssl.TLSVersion.TLSv1_3)
    for old in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        try:
            converse(old)
        except (ssl.SSLError, ConnectionError, smtplib.SMTPServerDisconnected):
            continue
        raise SystemExit(f"{old!r} is accepted")
    converse(ssl.TLSVersion.TLSv1_3, f"Subject: {subject}\\n\\nhello\\n")

def arrived():
    box = pathlib.Path("/var/mail/alice")
    return box.exists() and f"Subject: {subject}\\n" in box.read_text(errors="replace")

end = time.monotonic() + float(sys.argv[3])
while True:
    try:
        prove()
        break
    except (OSError, smtplib.SMTPException) as error:
        if time.monotonic() > end:
            raise SystemExit(f"no proof: {error!r}")
    time.sleep(0.1)
while not arrived():
    if time.monotonic() > end:
        raise SystemExit("the mail is not delivered")
    time.sleep(0.05)
print("proved")
"""


class InstalledServer:
    """Postfix of this Debian, postkeel's package on it or soon to be."""

    def __init__(self, debian: BootedDebian, suite: str) -> None:
        self.debian = debian
        self.suite = suite
        self.run = debian.run
        self._mails = 0
        debian.write("/etc/postkeel/conf.d/tests.toml", _DROP_IN)
        debian.write(_AUTHORITY, authority_of_all())
        self.run("sh", "-c", f"cat {_AUTHORITY} >>{_STORE}")
        self.give_certificate()
        debian.write("/root/prove.py", _PROVE)

    def give_certificate(self) -> None:
        """One that is right: that of ssl-cert signs itself, for the name of the tree."""
        host = self.run("postconf", "-h", "myhostname").strip()
        # dpkg-reconfigure gives it the other name.
        made = signed_certificate("rsa", host=host, address="127.0.0.1", also=("localhost",))
        self.debian.write(_SNAKEOIL[0], made.certificate)
        self.debian.write(_SNAKEOIL[1], made.key, mode=0o640)

    def install(self, package: Path) -> tuple[float, float]:
        """Install, and wait for the proof. Seconds: of apt, and from its end to the proof."""
        began = time.monotonic()
        mark = datetime.now(UTC)
        self.debian.install(package)
        installed = time.monotonic()
        self.reported("fixed", mark)
        return installed - began, time.monotonic() - installed

    def prove(self, host: str = "127.0.0.1", patience: float = _PATIENCE) -> None:
        """TLS 1.2 and 1.3 are spoken, nothing older, and a mail arrives. Else RuntimeError."""
        self._mails += 1
        words = (f"mail-{self._mails}-{time.time_ns()}", host, str(patience))
        said = self.run("python3", "/root/prove.py", *words, seconds=patience + 60)
        assert said == "proved\n"

    def reports(self, limit: int = 50) -> list[Report]:
        """The newest first."""
        said = self.run(
            "postkeel", "history", "--format", "json", "--limit", str(limit), may_fail=True
        )
        found: list[Report] = json.loads(said)["reports"] if said else []
        return found

    def reports_since(self, mark: datetime) -> list[Report]:
        return [one for one in self.reports() if _time(one) >= mark]

    def reported(self, outcome: str, mark: datetime, patience: float = _PATIENCE) -> Report:
        """The first report of this outcome since that moment."""
        found: list[Report] = []

        def is_there() -> bool:
            found[:] = [one for one in self.reports_since(mark) if one["outcome"] == outcome]
            return bool(found)

        self.until(is_there, patience, f"no report says {outcome}")
        return found[-1]

    def until(
        self, true: Callable[[], object], patience: float = _PATIENCE, otherwise: str = ""
    ) -> None:
        """Wait for it. AssertionError, with what there is to know, when it takes longer."""
        end = time.monotonic() + patience
        while not true():
            if time.monotonic() > end:
                said = otherwise or getattr(true, "__name__", "it is not so")
                raise AssertionError(f"{said} within {patience:.0f} s: {self.tell()}")
            time.sleep(0.05)

    def corrects(self, drift: Callable[[], object]) -> Report:
        """The report that the drift was corrected, which is proved then."""
        mark = datetime.now(UTC)
        drift()
        report = self.reported("fixed", mark)
        self.prove()
        return report

    def weaken(self) -> None:
        """Switch TLS off, as an administrator in a hurry does."""
        self.run("postconf", "-e", f"{LEVEL}=none")

    def apt_while_it_drifts(self, *words: str) -> set[str]:
        """`apt-get`; TLS is off before dpkg begins. The level that is left when dpkg is done."""
        self.debian.write(_HOOKS_FILE, _HOOKS)
        self.debian.apt(*words)
        self.run("rm", _HOOKS_FILE)
        left = set(self.debian.read("/root/at-the-end").decode().split())
        self.run("rm", "/root/at-the-end")
        return left

    def value(self, parameter: str = LEVEL) -> str:
        return self.run("postconf", "-h", parameter).strip()

    def version(self, package: str) -> str:
        return self.run("dpkg-query", "--show", "--showformat", "${Version}", package)

    def is_as_wanted(self) -> bool:
        said = json.loads(self.run("postkeel", "check", "--format", "json", may_fail=True))
        return all(one["compliant"] for one in said["instances"])

    def process(self, unit: str) -> str:
        """Its main process; "0" when there is none."""
        return self.run("systemctl", "show", "--property=MainPID", "--value", unit).strip()

    def are_up(self) -> bool:
        states = self.run("systemctl", "is-active", *SIDES, may_fail=True).split()
        return states == ["active"] * len(SIDES)

    def tell(self) -> str:
        """What there is to know about it, for the message of a test that fails."""
        units = [word for side in SIDES for word in ("-u", side)]
        journal = self.run("journalctl", "--no-pager", "-n", "40", *units, may_fail=True)
        state = self.run("systemctl", "status", "--no-pager", "-n", "0", *SIDES, may_fail=True)
        recent = [(one["event"]["time"], one["outcome"], one["cause"]) for one in self.reports(5)]
        short = "\n".join(line[:400] for line in journal.splitlines())
        return f"{recent}\n{state}\n{short}"


def _time(report: Report) -> datetime:
    return datetime.fromisoformat(report["event"]["time"])
