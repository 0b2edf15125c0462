"""Cipher strings as Postfix makes them, and suites by class with OpenSSL as the oracle."""

import os
import ssl
import subprocess
import sys
from dataclasses import replace

import pytest

from postkeel.core.model import Absent
from postkeel.postfix.cipher_keywords import KEYWORDS, in_class
from postkeel.postfix.ciphers import (
    all_cipher_strings,
    cipher_string,
    levels_in_use,
    resulting_suites,
)
from postkeel.postfix.instance import Instance, Parameter, Role, Service, Suite
from postkeel.shell.openssl import command_source, command_version, python_source, suites_for

EVERYTHING = "ALL:COMPLEMENTOFALL"
DEFAULTS = {
    "tls_high_cipherlist": "aNULL:-aNULL:HIGH:@STRENGTH",
    "tls_medium_cipherlist": "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH",
    "tls_low_cipherlist": "aNULL:-aNULL:HIGH:MEDIUM:LOW:+RC4:@STRENGTH",
    "tls_export_cipherlist": "aNULL:-aNULL:HIGH:MEDIUM:LOW:EXPORT:+RC4:@STRENGTH",
    "tls_null_cipherlist": "eNULL:!aNULL",
    **{
        f"{family}_tls_{name}": value
        for family in ("smtpd", "smtp", "lmtp")
        for name, value in (
            ("ciphers", "medium"),
            ("mandatory_ciphers", "high"),
            ("exclude_ciphers", ""),
            ("mandatory_exclude_ciphers", ""),
            ("security_level", ""),
            ("ask_ccert", "no"),
            ("req_ccert", "no"),
        )
    },
}
HIGH, MEDIUM = DEFAULTS["tls_high_cipherlist"], DEFAULTS["tls_medium_cipherlist"]


def instance(parameters=None, overrides=None, version="3.7.11"):
    service = Service(
        name="submission/inet",
        command="smtpd",
        where="master.cf:1",
        role=Role.SUBMISSION,
        overrides={
            name: Parameter(value=value, where="master.cf:2")
            for name, value in (overrides or {}).items()
        },
    )
    return Instance(
        config_directory="/etc/postfix",
        version=version,
        openssl=ssl.OPENSSL_VERSION,
        map_types=(),
        parameters={
            name: Parameter(value=value, where="main.cf:1")
            for name, value in (parameters or {}).items()
        },
        defaults=DEFAULTS,
        services=(service,),
    )


# parameters, family, level, string
STRINGS = [
    ({}, "smtpd", "may", MEDIUM),
    ({}, "smtpd", "encrypt", HIGH),
    ({}, "smtp", "may", MEDIUM),
    ({}, "smtp", "encrypt", HIGH + ":!eNULL"),
    ({}, "smtp", "verify", HIGH + ":!aNULL"),
    ({"smtpd_tls_exclude_ciphers": "aNULL, MD5:RC4"}, "smtpd", "may", MEDIUM + ":!aNULL:!MD5:!RC4"),
    (
        {"smtpd_tls_exclude_ciphers": "aNULL", "smtpd_tls_mandatory_exclude_ciphers": "kRSA"},
        "smtpd",
        "encrypt",
        HIGH + ":!aNULL:!kRSA",
    ),
    ({"smtpd_tls_mandatory_exclude_ciphers": "kRSA"}, "smtpd", "may", MEDIUM),
    ({"smtpd_tls_ask_ccert": "yes"}, "smtpd", "may", MEDIUM + ":!aNULL"),
    ({"smtpd_tls_req_ccert": "yes"}, "smtpd", "may", MEDIUM),
    ({"smtpd_tls_req_ccert": "yes"}, "smtpd", "encrypt", HIGH + ":!aNULL"),
    ({"smtpd_tls_ciphers": "LOW"}, "smtpd", "may", DEFAULTS["tls_low_cipherlist"]),
    ({"smtpd_tls_ciphers": "null"}, "smtpd", "may", "eNULL:!aNULL"),
    ({"smtpd_tls_ciphers": "strong"}, "smtpd", "may", None),
    ({"smtpd_tls_exclude_ciphers": "!aNULL"}, "smtpd", "may", None),
    ({"tls_medium_cipherlist": "HIGH"}, "lmtp", "may", "HIGH"),
]


@pytest.mark.parametrize(("parameters", "family", "level", "expected"), STRINGS)
def test_string(parameters, family, level, expected):
    assert cipher_string(instance(parameters), family, None, level) == expected


def test_grades_are_one_since_3_8():
    low = instance({"smtpd_tls_ciphers": "low"}, version="3.8.0")
    assert cipher_string(low, "smtpd", None, "may") == MEDIUM


def test_an_override_makes_a_string_of_its_own():
    here = instance(
        {"smtpd_tls_security_level": "may"},
        {"smtpd_tls_security_level": "encrypt", "smtpd_tls_exclude_ciphers": "3DES"},
    )
    assert levels_in_use(here, "smtpd", here.services[0]) == ("encrypt",)
    assert HIGH + ":!3DES" in all_cipher_strings(here)


def test_a_service_without_ciphers_of_its_own_adds_the_lists_that_it_sets_alone():
    here = instance()
    cleanup = Service(
        name="cleanup/unix",
        command="cleanup",
        where="master.cf:9",
        role=Role.OTHER,
        overrides={"tls_high_cipherlist": Parameter(value="ALL", where="master.cf:10")},
    )
    more = all_cipher_strings(replace(here, services=(*here.services, cleanup)))
    assert set(more) - set(all_cipher_strings(here)) == {"ALL"}


@pytest.fixture(scope="module")
def everything():
    return command_source()(EVERYTHING)


def openssl(*arguments):
    done = subprocess.run(
        ["openssl", "ciphers", *arguments], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return {line.split()[0] for line in lines if "TLSv1.3" not in line}


DECIDED = sorted(
    word
    for word in KEYWORDS
    if word not in ("HIGH", "MEDIUM", "ALL", "COMPLEMENTOFALL", "DEFAULT", "COMPLEMENTOFDEFAULT")
    and not word.startswith(("SUITEB", "FIPS", "GOST", "kGOST", "aGOST", "TLSv1", "SSLv3"))
)


@pytest.mark.parametrize("word", [*DECIDED, "kRSA+AES", "AES256+SHA384", "ECDHE-RSA-AES256-SHA"])
def test_class_is_what_openssl_says(word, everything):
    usable = openssl("-s", "-v", EVERYTHING + ":@SECLEVEL=0")
    expected = openssl("-v", word + ":@SECLEVEL=0") & usable
    assert {one.name for one in everything if in_class(one, word)} == expected


def test_the_table_of_classes_is_not_all_empty(everything):
    filled = {word for word in DECIDED if any(in_class(one, word) for one in everything)}
    assert {"aNULL", "kRSA", "kDHE", "SHA1", "SHA256", "SHA384", "CBC", "CAMELLIA"} <= filled


def test_undecided_words_say_so(everything):
    suite = next(one for one in everything if one.protocol != "TLSv1.3")
    assert in_class(suite, "HIGH") is None
    assert in_class(suite, "PSD") is False


@pytest.mark.parametrize("words", ["aNULL", "aNULL:!kRSA", "SHA1:!SHA256:!SHA384:!AESCCM", "PSD"])
def test_predicted_exclusions_are_what_openssl_makes_of_them(words):
    here = instance()
    known = Instance(
        **{
            **{name: getattr(here, name) for name in here.__slots__},
            "suites": suites_for(here),
        }
    )
    string = f"{MEDIUM}:!{words}"
    assert string not in known.suites
    assert resulting_suites(known, string) == command_source()(string)


def test_what_openssl_could_not_say_of_the_shorter_string_stays_unsaid():
    silent = Absent(reason="openssl does not answer")
    here = replace(instance(), suites={MEDIUM: silent})
    assert resulting_suites(here, f"{MEDIUM}:!aNULL") == silent


def test_an_exclusion_that_only_openssl_can_tell_is_absent(everything):
    here = replace(instance(), suites={MEDIUM: everything})
    left = resulting_suites(here, f"{MEDIUM}:!HIGH:!aNULL")
    assert left == Absent(reason="what 'HIGH' excludes is known to OpenSSL only")


def test_a_string_never_asked_for_is_absent():
    assert isinstance(resulting_suites(instance(), MEDIUM), Absent)


@pytest.mark.parametrize("string", [MEDIUM, HIGH, EVERYTHING, "eNULL:!aNULL", MEDIUM + ":!aNULL"])
def test_suites_are_those_of_the_openssl_command(string):
    found = command_source()(string)
    assert {one.name for one in found if one.protocol != "TLSv1.3"} == openssl(
        "-s", "-v", string + ":@SECLEVEL=0"
    )


def test_command_and_python_agree():
    assert command_version() == ssl.OPENSSL_VERSION
    assert command_source()(MEDIUM) == elsewhere("")


def test_suites_of_the_legacy_provider_do_not_slip_in():
    pytest.importorskip("cryptography")
    loaded = "from cryptography.hazmat.bindings.openssl import binding; "
    assert elsewhere(loaded, "source_for(ssl.OPENSSL_VERSION)") == command_source()(MEDIUM)


def test_a_source_made_before_stays_as_it_was():
    pytest.importorskip("cryptography")
    loaded = "kept = source_for(ssl.OPENSSL_VERSION); import cryptography.hazmat.bindings._rust"
    before = f"from postkeel.shell.openssl import source_for; {loaded}; "
    assert elsewhere(before, "kept") == command_source()(MEDIUM)


def elsewhere(before, source="python_source()"):
    """The answer of a fresh Python process, into which no test has loaded anything."""
    program = (
        f"import ssl; {before}from postkeel.shell.openssl import *; print({source}({MEDIUM!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return eval(done.stdout, {"Suite": Suite})  # noqa: S307 our own words


@pytest.mark.parametrize("source", [python_source, command_source])
def test_an_answer_is_given_again(source):
    ask = source()
    assert ask(HIGH) == ask(HIGH)
    assert len(ask(HIGH)) > 20


@pytest.mark.parametrize("source", [python_source, command_source])
@pytest.mark.parametrize("string", ["NOSUCHTHING", "\udcff", "HIGH:!ALL", "-v", "HIGH:!"])
def test_a_rejected_string_comes_to_no_suites(source, string):
    assert source()(string) == ()


def test_another_openssl_is_absent_with_the_reason():
    here = instance()
    other = Instance(
        **{
            **{name: getattr(here, name) for name in here.__slots__},
            "openssl": "OpenSSL 1.1.1w  11 Sep 2023",
        }
    )
    answers = set(suites_for(other).values())
    assert len(answers) == 1
    assert "1.1.1w" in answers.pop().reason
