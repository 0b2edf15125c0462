"""What postkeel says a setting comes to, held against a real smtpd: one service a case."""

import re
import smtplib
import socket
import ssl
import warnings

import pytest

import private_postfix as bed
from postkeel.postfix.ciphers import cipher_string
from postkeel.postfix.instance import parse_version
from postkeel.postfix.levels import security_level
from postkeel.postfix.protocols import PROTOCOLS, resulting_protocols
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.postfix_facts import gather_instance

pytestmark = pytest.mark.live

LISTS = [
    ">=TLSv1",
    ">=TLSv1.2",
    ">=TLSv1.3",
    ">=TLSv1.1, <=TLSv1.2",
    ">=0303",
    ">=0x0305",
    ">=TLSv1.4",
    "TLSv1.2, TLSv1.1, !TLSv1, !SSLv2, !SSLv3",
    "TLSv1.2",
    "TLSv1.1, TLSv1.3",
    "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1",
    "!TLSv1.2",
    "",
    "TLSv1.2 # really",
]
CIPHERS = [
    {},
    {"smtpd_tls_exclude_ciphers": "aNULL, MD5:DES"},
    {"smtpd_tls_mandatory_exclude_ciphers": "kRSA", "smtpd_tls_exclude_ciphers": "aNULL"},
    {"smtpd_tls_mandatory_ciphers": "low"},
    {"smtpd_tls_mandatory_ciphers": "HIGH", "tls_high_cipherlist": "ECDHE+AESGCM"},
    {"smtpd_tls_req_ccert": "yes"},
]
LEVELS = [
    {"smtpd_tls_security_level": "none"},
    {"smtpd_tls_security_level": "may"},
    {"smtpd_tls_security_level": "encrypt"},
    {"smtpd_tls_security_level": "MAY"},
    {"smtpd_tls_security_level": "verify"},
    {"smtpd_tls_security_level": "dane"},
    {"smtpd_tls_security_level": ""},
    {"smtpd_tls_security_level": "", "smtpd_use_tls": "yes"},
    {"smtpd_tls_security_level": "", "smtpd_enforce_tls": "yes"},
    {"smtpd_tls_security_level": "none", "smtpd_enforce_tls": "yes"},
]
VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
FIRST_PORT = 2600


def entries():
    cases = [{"smtpd_tls_mandatory_protocols": one} for one in LISTS] + CIPHERS
    cases = [{"smtpd_tls_wrappermode": "yes", **one} for one in cases] + LEVELS
    for number, overrides in enumerate(cases):
        options = "".join(f"\n  -o {{ {name} = {value} }}" for name, value in overrides.items())
        yield f"{FIRST_PORT + number} inet n - n - - smtpd{options}\n"


@pytest.fixture(scope="module")
def postfix():
    reason = bed.why_not()
    if reason:
        pytest.skip(reason)
    with bed.private_postfix(
        parameters={"smtpd_tls_loglevel": "2"}, master_cf="".join(entries())
    ) as started:
        yield started


@pytest.fixture(scope="module")
def instance(postfix):
    return gather_instance(postfix.config_directory, defaults=DefaultsCache())


def context(low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3):
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = low
        made.maximum_version = high
    return made


def shakes_hands(postfix, port, version):
    with socket.create_connection((postfix.address, port), timeout=10) as plain:
        try:
            with context(version, version).wrap_socket(plain) as secure:
                return secure.version() is not None
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.parametrize("number", range(len(LISTS)), ids=LISTS)
def test_protocols(postfix, instance, number):
    found = resulting_protocols(LISTS[number], parse_version(instance.version)) or frozenset()
    port = FIRST_PORT + number
    accepted = {name for name, one in VERSIONS.items() if shakes_hands(postfix, port, one)}
    assert accepted == found - {"SSLv3"}, [one for one in PROTOCOLS if one in found]


@pytest.mark.parametrize("number", range(len(CIPHERS)))
def test_cipher_string(postfix, instance, number):
    port = FIRST_PORT + len(LISTS) + number
    service = instance.service(f"{port}/inet")
    before = len(postfix.log())
    shakes_hands(postfix, port, ssl.TLSVersion.TLSv1_2)
    logged = re.findall(r'TLS cipher list "([^"]*)"', postfix.log()[before:])
    assert logged == [cipher_string(instance, "smtpd", service, "encrypt")]


def behaviour(postfix, port):
    """What a client without TLS meets: None when smtpd does not even start."""
    try:
        with smtplib.SMTP(postfix.address, port, local_hostname="client.test", timeout=2) as smtp:
            smtp.ehlo()
            if not smtp.has_extn("starttls"):
                return "none"
            return "may" if smtp.mail("a@example.test")[0] == 250 else "encrypt"
    except (smtplib.SMTPServerDisconnected, ConnectionError, TimeoutError):
        return None


@pytest.mark.parametrize(
    "number", range(len(LEVELS)), ids=[" ".join(one.values()) for one in LEVELS]
)
def test_level(postfix, instance, number):
    port = FIRST_PORT + len(LISTS) + len(CIPHERS) + number
    service = instance.service(f"{port}/inet")
    assert behaviour(postfix, port) == security_level(instance, "smtpd", service)
