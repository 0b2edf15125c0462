"""Two scanners that know nothing of postkeel judge what its profiles come to.

What they still find stands in the tables here with its reason. A finding that has
none fails, and so does a reason whose finding is gone; README.md says the same to
administrators.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

import pytest

import private_postfix as bed
from guarded import guarded
from private_postfix import PrivatePostfix

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    # sslyze brings the world's root certificates, some of them with odd serial numbers.
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
]

BOTH = frozenset({"intermediate", "strict"})
INTERMEDIATE = frozenset({"intermediate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A finding that is left on purpose, and the scanner's check that makes it.

    releases: those of testssl.sh that say so: 3.0 is Debian 12's, 3.2 is Debian 13's.
    """

    finding: str
    check: str
    reason: str
    profiles: frozenset[str] = BOTH
    releases: tuple[str, ...] = ("3.0", "3.2")


SELF_SIGNED = "the private Postfix has certificates of its own, self-signed for 60 days"
CBC = "for peers without AEAD, which would talk in clear; encrypt-then-MAC shields newer ones"
ORDER = "either order is safe with these suites, and clients know which one is fast for them"
CURVES = "X448 and secp521r1 are stronger than what Mozilla lists, and Postfix's own default"
SHA1 = "only for a client that offers nothing better; a matter of OpenSSL's configuration"

TESTSSL = (
    *(
        Explained(finding=one, check="--server-defaults", reason=SELF_SIGNED)
        for one in (
            "cert_chain_of_trust",
            "cert_expirationStatus",
            "cert_notAfter",
            "cert_revocation",
        )
    ),
    Explained(finding="cipher_order", check="--server-preference", reason=ORDER, releases=("3.0",)),
    Explained(finding="FS_TLS12_sig_algs", check="--fs", reason=SHA1, releases=("3.2",)),
    *(
        Explained(
            finding=one, check=check, reason=reason, profiles=INTERMEDIATE, releases=(release,)
        )
        for one, check, reason, release in (
            ("cipherlist_AVERAGE", "--std", CBC, "3.0"),
            ("LUCKY13", "--vulnerable", CBC, "3.0"),
            ("cipherlist_OBSOLETED", "--std", CBC, "3.2"),
            ("LUCKY13", "--vulnerable", CBC, "3.2"),
            ("cipher-tls1_2", "--server-preference", CBC, "3.2"),
            ("cipher_order-tls1_2", "--server-preference", ORDER, "3.2"),
            ("cipher_order", "--server-preference", ORDER, "3.2"),
        )
    ),
)
MOZILLA = (
    Explained(finding="certificate_path_validation", check="certificate_info", reason=SELF_SIGNED),
    Explained(finding="tls_curves", check="elliptic_curves", reason=CURVES),
    Explained(finding="ciphers", check="tls_1_2_cipher_suites", reason=CBC, profiles=INTERMEDIATE),
)
# What testssl could not check, for want of a program or of time: its client leaves before
# the ticket has come that it wants to resume with, or just after, as the machine is busy.
UNCHECKED = {"engine_problem", "sessionresumption_ticket", "starttls_injection"}

# What a check has to have looked at, lest a scan that broke off pass for a good one.
LOOKED_AT = {
    "--protocols": {"SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3"},
    "--std": {f"cipherlist_{one}" for one in ("NULL", "aNULL", "EXPORT", "LOW")},
    "--fs": {"FS", "FS_ECDHE_curves"},
    "--server-preference": {"cipher_order"},
    "--server-defaults": {"cert_numbers", "cert_signatureAlgorithm", "cert_keySize", "cert_trust"},
    "--vulnerable": {
        *("heartbleed", "CCS", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS"),
        *("POODLE_SSL", "fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "RC4"),
    },
}
QUICK = ("--protocols", "--std")
THOROUGH = tuple(LOOKED_AT)

BROKEN = ("NULL", "anon", "EXPORT", "RC4", "RC2", "DES", "IDEA", "SEED", "MD5")
STRICT_SUITES = {
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for key in ("RSA", "ECDSA")
    for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
}
TLS_1_3_SUITES = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}
PORTS = (25, 465, 587)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforced:
    """A private Postfix as a profile wants it."""

    profile: str
    postfix: PrivatePostfix


@pytest.fixture(scope="module", params=sorted(BOTH))
def enforced(request):
    if reason := bed.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with bed.private_postfix(certificates=("rsa", "ecdsa")) as postfix:
        with guarded(postfix, start=False) as one:
            done = one.run("enforce", "--profile", request.param)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Enforced(profile=request.param, postfix=postfix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One line of testssl's report."""

    about: str
    severity: str
    text: str


@pytest.fixture(scope="module")
def release() -> str:
    """Which of the releases known here testssl is."""
    if shutil.which("testssl") is None:
        pytest.skip("no testssl; packaging/needs.txt")
    banner = subprocess.run(
        ["testssl", "--version"],
        check=False,
        capture_output=True,
        text=True,
        stdin=DEVNULL,
        env=os.environ | {"COLOR": "0"},
    )
    found = re.search(r"testssl\s+(?:version )?(\d\.\d)", banner.stdout)
    assert found, banner.stdout
    if found[1] not in {"3.0", "3.2"}:
        pytest.skip(f"nobody has read yet what testssl {found[1]} says")
    return found[1]


def look(address: str, port: int, checks: tuple[str, ...], file: Path) -> list[Said]:
    """What testssl.sh says of a server."""
    starttls = () if port == 465 else ("--starttls", "smtp")
    quiet = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "none")
    subprocess.run(
        ["testssl", *quiet, *starttls, "--jsonfile", str(file), *checks, f"{address}:{port}"],
        check=False,  # its exit status counts findings
        stdin=DEVNULL,
        stdout=DEVNULL,
        timeout=300,
    )
    return [said(**one) for one in json.loads(file.read_text())]


def said(*, severity: str, finding: str, **rest: str) -> Said:
    """A line about the same thing by the same name, for every certificate, suite and release."""
    about = re.sub("^PFS", "FS", rest["id"].partition(" ")[0])
    if severity == "LOW":
        about = re.sub("^cipher-tls1_2_x.*", "cipher-tls1_2", about)
    return Said(about=about, severity=severity, text=finding)


def findings(report: list[Said]) -> dict[str, str]:
    """What of it is a finding: anything but good news and mere information."""
    return {
        one.about: f"{one.severity}: {one.text}"
        for one in report
        if one.severity not in {"OK", "INFO", "DEBUG"}
        and not (one.severity == "WARN" and one.about in UNCHECKED)
    }


def test_testssl_finds_the_default_weak(shared_postfix, release, tmp_path):
    found = findings(look(shared_postfix.address, 25, QUICK, tmp_path / "said.json"))
    expected = {
        "TLS1": "LOW: offered (deprecated)",
        "TLS1_1": "LOW: offered (deprecated)",
        "cipherlist_aNULL": "CRITICAL: offered",
    }
    assert expected.items() <= found.items()


@pytest.mark.parametrize(("port", "checks"), [(25, THOROUGH), (465, QUICK), (587, QUICK)])
def test_testssl_finds_what_is_explained(enforced, release, port, checks, tmp_path):
    report = look(enforced.postfix.address, port, checks, tmp_path / "said.json")
    texts = {one.about: one.text for one in report}
    assert set().union(*(LOOKED_AT[check] for check in checks)) <= texts.keys()
    assert texts["TLS1_3"].startswith("offered")
    explained = {
        one.finding
        for one in TESTSSL
        if enforced.profile in one.profiles and release in one.releases and one.check in checks
    }
    found = findings(report)
    assert found.keys() == explained, found


def sslyze_scans(address: str, ports: tuple[int, ...] = PORTS):
    """sslyze's results by port, every one of its checks that means anything to a mail server."""
    sslyze = pytest.importorskip("sslyze", reason="sslyze is not packaged in Debian")
    checker = pytest.importorskip("sslyze.mozilla_tls_profile.tls_config_checker")
    scanner = sslyze.Scanner()
    smtp = sslyze.ProtocolWithOpportunisticTlsEnum.SMTP
    scanner.queue_scans(
        sslyze.ServerScanRequest(
            server_location=sslyze.ServerNetworkLocation(
                hostname="mail.example.test", port=port, ip_address=address
            ),
            network_configuration=sslyze.ServerNetworkConfiguration(
                tls_server_name_indication="mail.example.test",
                tls_opportunistic_encryption=None if port == 465 else smtp,
            ),
            scan_commands=checker.SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER,
        )
        for port in ports
    )
    return {one.server_location.port: one for one in scanner.get_results()}


@pytest.fixture(scope="module")
def scans(enforced):
    return sslyze_scans(enforced.postfix.address)


def mozilla_issues(scan) -> dict[str, str]:
    """What keeps a scanned server from Mozilla's configuration "intermediate".

    Errors: sslyze's own when a check is missing from the scan.
    """
    from sslyze.mozilla_tls_profile import tls_config_checker as checker

    wanted = checker.MozillaTlsConfiguration.get(checker.TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
    try:
        checker.check_server_against_tls_configuration(scan, wanted)
    except checker.ServerNotCompliantWithTlsConfiguration as error:
        return error.issues
    return {}


def suites(scan, version: str) -> set[str]:
    accepted = getattr(scan.scan_result, f"{version}_cipher_suites").result.accepted_cipher_suites
    return {one.cipher_suite.name for one in accepted}


def broken(names: set[str]) -> set[str]:
    return {name for name in names if any(word in name for word in BROKEN)}


def test_sslyze_finds_the_default_weak(shared_postfix):
    scan = sslyze_scans(shared_postfix.address, (25,))[25]
    assert {"tls_versions", "ciphers", "dh_param_size"} <= mozilla_issues(scan).keys()
    assert suites(scan, "tls_1_0")
    assert "TLS_DH_anon_WITH_AES_128_CBC_SHA" in broken(suites(scan, "tls_1_2"))


@pytest.mark.parametrize("port", PORTS)
def test_mozilla_misses_what_is_explained(enforced, scans, port):
    found = mozilla_issues(scans[port])
    explained = {one.finding for one in MOZILLA if enforced.profile in one.profiles}
    assert found.keys() == explained, found


@pytest.mark.parametrize("port", PORTS)
def test_sslyze_sees_the_suites_of_the_profile(enforced, scans, port):
    accepted = suites(scans[port], "tls_1_2")
    assert accepted >= STRICT_SUITES
    assert not broken(accepted)
    if enforced.profile == "strict":
        assert accepted == STRICT_SUITES
    assert suites(scans[port], "tls_1_3") == TLS_1_3_SUITES


@pytest.mark.parametrize("port", PORTS)
def test_sslyze_sees_curves_that_are_strong(scans, port):
    curves = {one.name for one in scans[port].scan_result.elliptic_curves.result.supported_curves}
    assert curves == {"X25519", "X448", "secp256r1", "secp384r1", "secp521r1"}


@pytest.mark.parametrize("port", PORTS)
def test_sslyze_finds_no_attack(scans, port):
    """Beyond Mozilla's list, which counts compression, CCS, Heartbleed, SCSV and renegotiation."""
    results = scans[port].scan_result
    assert results.robot.result.robot_result.name.startswith("NOT_VULNERABLE")
    assert not results.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos


def test_readme_names_what_is_explained():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    wanted = {one.finding for one in (*TESTSSL, *MOZILLA)} | UNCHECKED
    assert {one for one in wanted if f"`{one}`" not in readme} == set()
