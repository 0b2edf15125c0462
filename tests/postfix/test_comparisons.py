"""Comparisons on their own: what the cases of tests/cases/rules do not reach."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.model import Absent
from postkeel.postfix.comparisons import COMPARISONS
from postkeel.postfix.instance import Instance, Parameter, Suite
from postkeel.postfix.question import Question

NAMES = {
    "protocol-floor": ("smtpd_tls_protocols", ("TLSv1.2", "TLSv1.3"), (">=TLSv1.2",)),
    "level-at-least": ("smtp_tls_security_level", ("may",), ("may",)),
    "level-at-most": ("smtpd_tls_security_level", ("may",), ()),
    "auth-over-tls": ("smtpd_tls_auth_only", (), ("yes",)),
    "grade-at-least": ("smtpd_tls_ciphers", ("medium",), ("medium",)),
    "suites-exclude": ("smtpd_tls_exclude_ciphers", ("aNULL",), ("aNULL",)),
    "not-weaker-than-default": ("tls_high_cipherlist", (), ("",)),
    "known-cipher-names": ("smtpd_tls_exclude_ciphers", (), ()),
    "includes": ("smtpd_tls_exclude_ciphers", ("aNULL",), ("aNULL",)),
    "excludes": ("smtpd_discard_ehlo_keywords", ("starttls",), ("",)),
    "equals": ("smtpd_tls_ciphers", ("high",), ("high",)),
    "set": ("smtp_tls_session_cache_database", (), ("btree:/x",)),
    "unset": ("smtpd_tls_session_cache_database", (), ("",)),
    "obsolete": ("smtpd_use_tls", (), ("",)),
    "yes": ("smtpd_tls_received_header", (), ("yes",)),
    "no": ("tls_preempt_cipherlist", (), ("no",)),
    "log-level": ("smtpd_tls_loglevel", ("1",), ("1",)),
    "renegotiation-off": ("tls_ssl_options", (), ("NO_RENEGOTIATION",)),
    "certificate-set": ("smtpd_tls_chain_files", (), ()),
    "private-file": ("smtpd_tls_key_file", (), ()),
    "no-weak-policy": ("smtp_tls_policy_maps", ("may", "TLSv1.2"), ()),
    "known-parameter": ("smtpd_tls_security_level", (), ()),
}


def ask(name, value, policies=None, suites=None):
    parameter, wanted, values = NAMES[name]
    instance = Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="OpenSSL 3.0.22",
        map_types=("btree",),
        parameters={parameter: Parameter(value=value, where="main.cf:1")},
        defaults={"tls_high_cipherlist": "HIGH"},
        services=(),
        policies=policies or {},
        suites=suites or {},
    )
    return Question(
        instance=instance, service=None, parameter=parameter, wanted=wanted, values=values
    )


def test_every_comparison_is_asked():
    assert set(NAMES) == set(COMPARISONS)


@pytest.mark.parametrize("name", sorted(NAMES))
@given(value=st.text(st.characters(blacklist_characters="\n\0"), max_size=30))
def test_every_comparison_is_total(name, value):
    question = ask(name, value)
    comparison = COMPARISONS[name]
    verdict = comparison.judge(question)
    assert verdict is None or isinstance(verdict, (str, Absent))
    assert comparison.strength(question) is None or comparison.strength(question) >= 0
    for assignment in comparison.mend(question):
        assert question.parameter in assignment


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("value", ["", "bogus, starttls", ">=TLSv1.3", "no"])
def test_a_rule_without_a_value_only_reports(name, value):
    question = replace(ask(name, value), values=())
    assert list(COMPARISONS[name].mend(question)) == []


# comparison, what is there, what to write instead: best first, None to take it out
MENDS = [
    ("protocol-floor", ">=TLSv1", [">=TLSv1.2"]),
    ("protocol-floor", ">=TLSv1.3", [">=TLSv1.3"]),
    ("protocol-floor", "bogus", [">=TLSv1.2"]),
    ("includes", "", ["aNULL"]),
    ("includes", "MD5", ["MD5, aNULL"]),
    ("excludes", "dsn, STARTTLS", ["dsn", "dsn"]),
    ("excludes", "starttls", [None, ""]),
    ("unset", "btree:/x", [None, ""]),
    ("obsolete", "no", [None]),
]


@pytest.mark.parametrize(("name", "value", "candidates"), MENDS)
def test_what_to_write_instead(name, value, candidates):
    question = ask(name, value)
    written = [one[question.parameter] for one in COMPARISONS[name].mend(question)]
    assert written == candidates


def suite(name, exchange, authentication="RSA", mac="AEAD"):
    return Suite(
        name=name,
        protocol="TLSv1.2",
        key_exchange=exchange,
        authentication=authentication,
        encryption="AES",
        mac=mac,
    )


GOOD, OLD = suite("GOOD", "ECDH"), suite("OLD", "RSA")
CBC, ANONYMOUS = suite("CBC", "ECDH", mac="SHA1"), suite("ANONYMOUS", "ECDH", "None")
SILENT, UNKNOWN = Absent(reason="no openssl"), Absent(reason="too many questions")


@pytest.mark.parametrize(
    ("default", "own", "expected"),
    [
        ((GOOD, OLD), (GOOD,), None),
        ((GOOD, OLD), (), "OpenSSL finds no cipher"),
        ((GOOD,), (GOOD, OLD), "this adds OLD"),
        ((GOOD, OLD, CBC, ANONYMOUS), (OLD, CBC, ANONYMOUS), "this leaves none of the suites"),
        ((OLD, CBC), (OLD,), None),
        ((GOOD,), SILENT, SILENT),
        (SILENT, (GOOD,), SILENT),
        (SILENT, UNKNOWN, UNKNOWN),
    ],
)
def test_a_cipher_list_against_the_default_one(default, own, expected):
    question = ask("not-weaker-than-default", "OWN", suites={"HIGH": default, "OWN": own})
    verdict = COMPARISONS["not-weaker-than-default"].judge(question)
    if isinstance(expected, str):
        assert verdict.startswith(expected)
    else:
        assert verdict == expected


@pytest.mark.parametrize("name", sorted(NAMES))
def test_sentences_can_be_read(name):
    for value in ("", "bogus value", "none", "yes", "no", "2"):
        verdict = COMPARISONS[name].judge(ask(name, value))
        if isinstance(verdict, str):
            assert not verdict.endswith("."), "the reason follows"
            assert "\n" not in verdict


@pytest.mark.parametrize(
    ("policy", "weak"),
    [
        ("none", True),
        ("NONE", True),
        ("may", False),
        ("may protocols=>=TLSv1", True),
        ("may protocols=bogus", True),
        ("encrypt protocols=>=TLSv1.2:<=TLSv1.3", False),
        ("secure match=nexthop", False),
        ("bogus", True),
        ("", True),
    ],
)
def test_policy_entries(policy, weak):
    question = ask("no-weak-policy", "hash:/p", {"hash:/p": {"example.test": policy}})
    assert isinstance(COMPARISONS["no-weak-policy"].judge(question), str) is weak


def test_many_weak_entries_are_counted():
    entries = {f"{number}.test": "none" for number in range(9)}
    question = ask("no-weak-policy", "hash:/p", {"hash:/p": entries})
    assert "and 6 more" in COMPARISONS["no-weak-policy"].judge(question)


@pytest.mark.parametrize(
    ("value", "fine"), [("1", True), ("0", False), ("2", False), ("summary", True), ("9", False)]
)
def test_log_level(value, fine):
    assert (COMPARISONS["log-level"].judge(ask("log-level", value)) is None) is fine
